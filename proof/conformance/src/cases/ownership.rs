//! Rooms that belong to one user.

use crate::cases::cases;
use crate::world::Shared;

cases! {
    "Ownership" => [
        claims_are_atomic, the_same_owner_again, another_user_is_refused, overwriting_moves_the_room,
        the_former_owner_is_closed_at_once, first_user, first_user_is_atomic,
        anonymous_is_the_no_token_row, only_the_owner_connects, owners_survive_a_restart,
    ],
}

async fn claims_are_atomic(world: Shared) {
    let claims = (0..20).map(|i| {
        let world = world.clone();
        tokio::spawn(async move {
            let token = world.token().subject(&format!("user-{i}")).sign();
            world
                .claim(&token, "/parties/private-chat/race")
                .await
                .status
        })
    });
    let mut statuses = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        statuses.push(claim.await.unwrap_or_default());
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        19,
        "{statuses:?}"
    );
}

async fn the_same_owner_again(world: Shared) {
    for _ in 0..2 {
        let answer = world
            .claim(&world.alice(), "/parties/private-chat/again")
            .await;
        assert_eq!(
            (answer.status, answer.json()["owner"].as_str()),
            (200, Some("alice"))
        );
    }
}

async fn another_user_is_refused(world: Shared) {
    let path = "/parties/private-chat/taken";
    assert_eq!(world.claim(&world.alice(), path).await.status, 200);
    assert_eq!(world.claim(&world.bob(), path).await.status, 409);
    assert_eq!(world.get(path).bearer(&world.bob()).status().await, 403);
    assert_eq!(world.get(path).bearer(&world.alice()).status().await, 200);
}

async fn overwriting_moves_the_room(world: Shared) {
    let path = "/parties/private-chat/moved";
    world.claim(&world.alice(), path).await;
    let overwrite = format!("{path}/claim?overwrite=1");
    let answer = world
        .request("POST", &overwrite)
        .bearer(&world.bob())
        .send()
        .await;
    assert_eq!(answer.json()["owner"], "bob");
    assert_eq!(world.get(path).bearer(&world.alice()).status().await, 403);
    assert_eq!(world.get(path).bearer(&world.bob()).status().await, 200);
}

async fn the_former_owner_is_closed_at_once(world: Shared) {
    let path = "/parties/private-chat/closed-at-once";
    world.claim(&world.alice(), path).await;
    let (mut first, _) = world.join(&world.alice(), path).await;
    let (mut second, _) = world.join(&world.alice(), path).await;
    let overwrite = format!("{path}/claim?overwrite");
    world
        .request("POST", &overwrite)
        .bearer(&world.bob())
        .send()
        .await;
    // A message that is sent now is not handled.
    first.text("b:still here?").await;
    for socket in [&mut first, &mut second] {
        let expected =
            crate::client::ws::Frame::Close(Some(1008), "This chat is not yours.".into());
        assert_eq!(socket.next().await, expected);
    }
}

async fn first_user(world: Shared) {
    let path = "/parties/first-user/mine";
    assert_eq!(world.get(path).bearer(&world.alice()).status().await, 200);
    assert_eq!(world.get(path).bearer(&world.bob()).status().await, 403);
    let socket = world.open_as(&world.bob(), path).await;
    assert_eq!(
        socket.refused().await,
        (1008, "This chat is not yours.".into())
    );
}

async fn first_user_is_atomic(world: Shared) {
    let gets = (0..20).map(|i| {
        let world = world.clone();
        tokio::spawn(async move {
            let token = world.token().subject(&format!("user-{i}")).sign();
            world
                .get("/parties/first-user/race")
                .bearer(&token)
                .status()
                .await
        })
    });
    let mut admitted = 0;
    for get in gets.collect::<Vec<_>>() {
        admitted += usize::from(get.await.unwrap_or_default() == 200);
    }
    assert_eq!(admitted, 1);
}

async fn anonymous_is_the_no_token_row(world: Shared) {
    let path = "/parties/private-optional/a";
    let answer = world.get(path).send().await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.header("www-authenticate"),
        Some("Bearer realm=\"rooms\"")
    );
    let socket = world.open(path).await;
    assert_eq!(socket.refused().await, (1008, "Unauthorized".into()));
    assert_eq!(
        world
            .request("POST", "/parties/private-optional/a/claim")
            .status()
            .await,
        401
    );
    world.claim(&world.alice(), path).await;
    assert_eq!(world.get(path).bearer(&world.alice()).status().await, 200);
    assert_eq!(world.get(path).status().await, 401);
}

async fn only_the_owner_connects(world: Shared) {
    let path = "/parties/private-chat/owner-connects";
    world.claim(&world.alice(), path).await;
    let (mut alice, welcome) = world.join(&world.alice(), path).await;
    assert_eq!(welcome["sub"], "alice");
    let bob = world.open_as(&world.bob(), path).await;
    assert_eq!(bob.refused().await.0, 1008);
    alice.text("b:hello").await;
    let broadcast = alice.json().await;
    assert_eq!(
        (&broadcast["type"], &broadcast["text"]),
        (&"broadcast".into(), &"hello".into())
    );
}

async fn owners_survive_a_restart(world: Shared) {
    let own = crate::world::World::new(&world.start.served).await;
    let path = "/parties/private-chat/durable";
    let (alice, bob) = (own.alice(), own.bob());
    assert_eq!(own.claim(&alice, path).await.status, 200);
    let crate::world::World {
        issuer,
        server,
        start,
        folder,
    } = own;
    // The server has no chance to tidy up.
    server.signal("KILL").await;
    drop(server);
    let server = start
        .run()
        .await
        .unwrap_or_else(|error| panic!("no restart: {error}"));
    let own = crate::world::World {
        issuer,
        server,
        start,
        folder,
    };
    assert_eq!(own.get(path).bearer(&alice).status().await, 200);
    assert_eq!(own.get(path).bearer(&bob).status().await, 403);
}
