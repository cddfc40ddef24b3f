//! Attacks that work on the npm package, shown to be impossible here.

use std::time::Duration;

use local_issuer::{Endpoint, LocalIssuer};
use serde_json::json;

use crate::cases::cases;
use crate::client::ws::{Frame, Socket, text_frame};
use crate::server::size_of;
use crate::world::{Shared, World, with_token};

cases! {
    "Attacks" => [
        reused_id_without_a_token, reused_id_with_another_users_token, reused_id_in_another_room,
        an_id_that_looks_like_a_tag,
        frames_sent_with_the_upgrade_by_a_refused_socket, frames_after_the_close_of_a_refused_socket,
        broadcasts_while_a_token_is_checked, no_owner_and_no_subject, expired_socket_says_nothing_more,
        internal_headers_are_not_believed, ten_thousand_refused_requests_leave_no_trace,
        a_token_is_never_shown,
    ],
}

async fn reused_id_without_a_token(world: Shared) {
    let path = "/parties/private-chat/reused?_pk=known";
    world
        .claim(&world.alice(), "/parties/private-chat/reused")
        .await;
    let (mut owner, _) = world.join(&world.alice(), path).await;
    let early = [text_frame("b:as the owner"), text_frame("who am I?")].concat();
    let opened = Socket::open(&world.server.address, path, &[], &early).await;
    let stranger = opened.unwrap_or_else(|answer| panic!("{}", answer.status));
    assert_eq!(stranger.refused().await, (1008, "Unauthorized".into()));
    owner.text("still me").await;
    let echo = owner.json().await;
    assert_eq!(
        (&echo["type"], &echo["sub"]),
        (&json!("echo"), &json!("alice"))
    );
}

async fn reused_id_with_another_users_token(world: Shared) {
    let path = "/parties/chat/reused-by-bob?_pk=known";
    let (mut alice, _) = world.join(&world.alice(), path).await;
    let (mut bob, welcome) = world.join(&world.bob(), path).await;
    assert_ne!(welcome["id"], "known");
    bob.text("who am I?").await;
    assert_eq!(bob.json().await["sub"], "bob");
    alice.text("who am I?").await;
    assert_eq!(alice.json().await["sub"], "alice");
    // The other order: after alice is gone, bob may have the id, and he is bob.
    alice.close(1000, "").await;
    alice.closed().await;
    let (mut bob, _) = world.join(&world.bob(), path).await;
    bob.text("who am I?").await;
    assert_eq!(bob.json().await["sub"], "bob");
}

async fn reused_id_in_another_room(world: Shared) {
    let (_alice, _) = world
        .join(&world.alice(), "/parties/chat/room-one?_pk=everywhere")
        .await;
    let mut stranger = world
        .open("/parties/optional/room-two?_pk=everywhere")
        .await;
    assert!(stranger.json().await["sub"].is_null());
    stranger.text("who am I?").await;
    assert!(stranger.json().await["sub"].is_null());
    let refused = world.open("/parties/chat/room-two?_pk=everywhere").await;
    assert_eq!(refused.refused().await.0, 1008);
}

async fn an_id_that_looks_like_a_tag(world: Shared) {
    for party in ["tags", "hibernating-tags"] {
        let path = format!("/parties/{party}/forged?_pk=user:alice");
        let mut forger = world.open(&path).await;
        for (tag, held) in [("user:alice", json!([])), ("role-a", json!(["user:alice"]))] {
            forger.text(&format!("tagged {tag}")).await;
            assert_eq!(forger.json().await, held, "{party}: {tag}");
        }
    }
}

async fn frames_sent_with_the_upgrade_by_a_refused_socket(world: Shared) {
    let path = "/parties/chat/early-refused";
    let (mut alice, _) = world.join(&world.alice(), path).await;
    let early: Vec<u8> = (0..10).flat_map(|_| text_frame("b:let me in")).collect();
    for query in ["", "?access_token=bad"] {
        let path = format!("{path}{query}");
        let opened = Socket::open(&world.server.address, &path, &[], &early).await;
        let refused = opened.unwrap_or_else(|answer| panic!("{}", answer.status));
        assert_eq!(refused.refused().await.0, 1008);
    }
    alice.text("x").await;
    assert_eq!(alice.json().await["type"], "echo", "nothing was broadcast");
}

async fn frames_after_the_close_of_a_refused_socket(world: Shared) {
    let path = "/parties/chat/late-refused";
    let (mut alice, _) = world.join(&world.alice(), path).await;
    let mut refused = world.open(path).await;
    refused.text("b:between").await;
    assert_eq!(refused.closed().await.0, Some(1008));
    refused.text("b:after").await;
    alice.text("b:from alice").await;
    assert_eq!(
        alice.json().await["from"],
        "alice",
        "it is the first broadcast"
    );
    refused.close(1008, "").await;
    assert_eq!(refused.next().await, Frame::End, "it received nothing else");
}

async fn broadcasts_while_a_token_is_checked(world: Shared) {
    // The stranger's token names a key that must be fetched, and the provider is slow.
    let own = World::new(&world.start.served).await;
    let path = "/parties/chat/slow-check";
    let (mut alice, _) = own.join(&own.alice(), path).await;
    let hold = own.issuer.hold(Endpoint::Jwks);
    let token = own.token().header("kid", "unknown").sign();
    let address = own.server.address.clone();
    let pending = tokio::spawn(async move {
        let early = text_frame("b:too early");
        Socket::open(&address, &with_token(path, &token), &[], &early)
            .await
            .ok()
    });
    hold.arrived().await;
    for i in 0..10 {
        alice.text(&format!("b:secret {i}")).await;
        assert_eq!(alice.json().await["text"], format!("secret {i}"));
    }
    hold.release();
    let stranger = pending
        .await
        .ok()
        .flatten()
        .unwrap_or_else(|| panic!("no handshake"));
    assert_eq!(stranger.refused().await, (1008, "Unauthorized".into()));
    alice.text("x").await;
    assert_eq!(alice.json().await["type"], "echo");
}

async fn no_owner_and_no_subject(world: Shared) {
    let path = "/parties/private-optional/nobodys";
    for token in [
        world.token().without("sub").sign(),
        world.token().subject("").sign(),
    ] {
        assert_eq!(world.get(path).bearer(&token).status().await, 401);
        let socket = world.open_as(&token, path).await;
        assert_eq!(socket.refused().await.0, 1008);
    }
    assert_eq!(world.get(path).status().await, 401);
    assert_eq!(world.get(path).bearer(&world.alice()).status().await, 403);
}

async fn expired_socket_says_nothing_more(world: Shared) {
    let path = "/parties/chat/expired-speaker";
    let (mut bob, _) = world.join(&world.bob(), path).await;
    let token = world.token().expires_in(Duration::from_secs(2)).sign();
    let (mut alice, _) = world.join(&token, path).await;
    assert_eq!(alice.closed().await.0, Some(3000));
    alice.text("b:from the grave").await;
    bob.text("b:from bob").await;
    assert_eq!(bob.json().await["from"], "bob");
}

async fn internal_headers_are_not_believed(world: Shared) {
    let identity =
        json!({"oauth2.identity": [false, {"claims": {"sub": "alice"}, "valid_until": 1e12}]});
    for name in [
        "x-partykit-props",
        "x-partykit-room",
        "x-partyserver-attachments",
    ] {
        let value = identity.to_string();
        let answer = world
            .get("/parties/chat/a")
            .header(name, &value)
            .send()
            .await;
        assert_eq!(answer.status, 401, "{name}");
    }
}

async fn ten_thousand_refused_requests_leave_no_trace(world: Shared) {
    let own = World::new(&world.start.served).await;
    // After a write, all files of the store exist.
    let claim = own.claim(&own.alice(), "/parties/private-chat/first").await;
    assert_eq!(claim.status, 200);
    let before = size_of(&own.start.data);
    let bad = own.token().audience("other").sign();
    let own = std::sync::Arc::new(own);
    let workers = (0..8).map(|worker| {
        let (own, bad) = (own.clone(), bad.clone());
        tokio::spawn(async move {
            for i in 0..1250 {
                let path = format!("/parties/private-chat/refused-{worker}-{i}");
                let request = own.get(&path);
                let request = if i % 2 == 0 {
                    request.bearer(&bad)
                } else {
                    request
                };
                assert_eq!(request.status().await, 401);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        assert!(worker.await.is_ok());
    }
    // The data of the first room may have become smaller meanwhile.
    let after = size_of(&own.start.data);
    assert!(after <= before, "{before} B have grown to {after} B");
    let claim = own
        .claim(&own.alice(), "/parties/private-chat/second")
        .await;
    assert_eq!(claim.status, 200);
    assert!(
        size_of(&own.start.data) > after,
        "an admitted request leaves one"
    );
}

async fn a_token_is_never_shown(world: Shared) {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let foreign = issuer.token().sign();
    for token in [foreign, world.token().audience("other").sign()] {
        let signature = token.rsplit('.').next().unwrap_or_default();
        for path in [
            with_token("/parties/chat/a", &token),
            with_token("/parties/nope/a", &token),
        ] {
            let answer = world.get(&path).send().await;
            assert!(!answer.text().contains(signature));
            assert!(
                !answer
                    .header("www-authenticate")
                    .unwrap_or_default()
                    .contains(signature)
            );
            assert!(
                !answer
                    .header("location")
                    .unwrap_or_default()
                    .contains(signature)
            );
        }
    }
}
