//! Admitted sockets: frames, ids, closes.

use local_issuer::Endpoint;
use serde_json::json;

use crate::cases::cases;
use crate::client::ws::{Frame, Socket, frame, text_frame};
use crate::world::{Shared, World, with_token};

cases! {
    "Rooms and sockets" => [
        early_frames_in_order, text_and_binary, echo_keeps_bytes_and_type, broadcast_reaches_all,
        broadcast_except_one, the_newest_of_an_id, frames_wait_while_a_token_is_checked,
        subprotocol_first_offered, subprotocol_on_refused_sockets, close_code_and_reason_come_back,
        close_without_code, close_hook_fails, close_hook_closes, own_public_id,
        same_subject_may_share_an_id, another_subject_gets_a_fresh_id, many_messages_keep_order,
        large_messages, ping_is_answered, fragments, protocol_errors_close, upgrade_at_root,
        a_closed_socket_leaves_the_room, frames_before_a_close_are_handled,
        a_client_that_never_answers_a_close,
    ],
}

async fn frames_before_a_close_are_handled(world: Shared) {
    for party in ["slow", "hibernating-slow"] {
        let path = format!("/parties/{party}/hasty");
        let mut socket = world.open(&path).await;
        for text in ["wait", "second", "third"] {
            socket.text(text).await;
        }
        socket.close(1000, "").await;
        assert_eq!(socket.closed().await.0, Some(1000), "{party}");
        crate::world::eventually("all of it was handled in order", || async {
            world.get(&path).send().await.json()
                == json!(["wait", "second", "third", "closed 1000"])
        })
        .await;
    }
}

async fn a_client_that_never_answers_a_close(world: Shared) {
    for party in ["slow", "hibernating-slow"] {
        let path = format!("/parties/{party}/mute");
        let mut socket = world.open(&path).await;
        socket.text("close").await;
        assert_eq!(socket.closed().await.0, Some(4000), "{party}");
        crate::world::eventually("the room is told of its end", || async {
            world.get(&path).send().await.json() == json!(["close", "closed 4000"])
        })
        .await;
        // The room is told once.
        drop(socket);
        nothing_more_is_told(&world, &path).await;
    }
}

/// What the room has seen, some time after it was told of the end.
async fn nothing_more_is_told(world: &World, path: &str) {
    let mut other = world.open(path).await;
    other.text("another").await;
    crate::world::eventually("another is handled", || async {
        world.get(path).send().await.json() == json!(["close", "closed 4000", "another"])
    })
    .await;
}

async fn early_frames_in_order(world: Shared) {
    let early: Vec<u8> = (0..20).flat_map(|i| text_frame(&i.to_string())).collect();
    let path = with_token("/parties/chat/early", &world.alice());
    let opened = Socket::open(&world.server.address, &path, &[], &early).await;
    let mut socket = opened.unwrap_or_else(|answer| panic!("{}", answer.status));
    assert_eq!(socket.json().await["type"], "welcome");
    for i in 0..20 {
        assert_eq!(socket.json().await["text"], i.to_string());
    }
}

async fn text_and_binary(world: Shared) {
    let (mut socket, _) = world.join(&world.alice(), "/parties/chat/binary").await;
    socket.text("ünïcode").await;
    assert_eq!(socket.json().await["text"], "ünïcode");
    socket.send(&frame(2, b"bytes")).await;
    let echo = socket.json().await;
    assert_eq!(
        (&echo["type"], &echo["text"]),
        (&json!("echo"), &json!("bytes"))
    );
}

async fn echo_keeps_bytes_and_type(world: Shared) {
    let mut socket = world.open("/parties/echo/a").await;
    let bytes: Vec<u8> = (0..=255).collect();
    socket.send(&frame(2, &bytes)).await;
    assert_eq!(socket.next().await, Frame::Binary(bytes));
    socket.text("text").await;
    assert_eq!(socket.next().await, Frame::Text("text".into()));
    socket.send(&frame(2, b"")).await;
    assert_eq!(socket.next().await, Frame::Binary(Vec::new()));
}

async fn broadcast_reaches_all(world: Shared) {
    let path = "/parties/chat/broadcast";
    let (mut alice, _) = world.join(&world.alice(), path).await;
    let (mut bob, _) = world.join(&world.bob(), path).await;
    let (mut other, _) = world
        .join(&world.alice(), "/parties/chat/another-room")
        .await;
    bob.text("b:hi").await;
    for socket in [&mut alice, &mut bob] {
        assert_eq!(
            socket.json().await,
            json!({"type": "broadcast", "from": "bob", "text": "hi"})
        );
    }
    other.text("x").await;
    assert_eq!(
        other.json().await["type"],
        "echo",
        "another room does not hear it"
    );
}

async fn broadcast_except_one(world: Shared) {
    let path = "/parties/chat/all-but-one";
    let (mut alice, _) = world.join(&world.alice(), path).await;
    let (mut bob, _) = world.join(&world.bob(), path).await;
    bob.text("e:psst").await;
    bob.text("b:to all").await;
    assert_eq!(alice.json().await["text"], "psst");
    assert_eq!(alice.json().await["text"], "to all");
    assert_eq!(
        bob.json().await["text"],
        "to all",
        "it did not get the first"
    );
}

async fn the_newest_of_an_id(world: Shared) {
    let path = "/parties/chat/newest?_pk=shared";
    let (mut first, _) = world.join(&world.alice(), path).await;
    let (mut second, _) = world.join(&world.alice(), path).await;
    let (mut bob, _) = world.join(&world.bob(), "/parties/chat/newest").await;
    bob.text("n:shared").await;
    assert_eq!(second.json().await["text"], "newest");
    second.close(1000, "").await;
    assert_eq!(second.closed().await.0, Some(1000));
    // When the room has noticed that, the first is the newest.
    for _ in 0..100 {
        bob.text("n:shared").await;
        bob.text("e:not told").await;
        if first.json().await["text"] == "newest" {
            return;
        }
    }
    panic!("the one that is left is not found");
}

async fn frames_wait_while_a_token_is_checked(world: Shared) {
    // The token is good, but its key must be fetched first.
    let own = World::new(&world.start.served).await;
    let path = "/parties/chat/slow-check";
    let (mut alice, _) = own.join(&own.alice(), path).await;
    own.issuer.rotate();
    let hold = own.issuer.hold(Endpoint::Jwks);
    let token = own.bob();
    let address = own.server.address.clone();
    let pending = tokio::spawn(async move {
        let early: Vec<u8> = (0..20).flat_map(|i| text_frame(&i.to_string())).collect();
        let opened = Socket::open(&address, &with_token(path, &token), &[], &early).await;
        opened.ok()
    });
    hold.arrived().await;
    alice.text("meanwhile").await;
    assert_eq!(alice.json().await["text"], "meanwhile");
    hold.release();
    let mut bob = pending.await.ok().flatten().expect("a handshake");
    assert_eq!(bob.json().await["type"], "welcome");
    for i in 0..20 {
        assert_eq!(bob.json().await["text"], i.to_string());
    }
}

async fn subprotocol_first_offered(world: Shared) {
    let path = with_token("/parties/chat/a", &world.alice());
    let headers = [("Sec-WebSocket-Protocol", "chat.v2, chat.v1")];
    let socket = world.open_with(&path, &headers).await;
    assert_eq!(
        socket.response.header("sec-websocket-protocol"),
        Some("chat.v2")
    );
    let socket = world.open(&path).await;
    assert_eq!(socket.response.header("sec-websocket-protocol"), None);
}

async fn subprotocol_on_refused_sockets(world: Shared) {
    let socket = world
        .open_with("/parties/chat/a", &[("Sec-WebSocket-Protocol", "a, b")])
        .await;
    assert_eq!(socket.response.header("sec-websocket-protocol"), Some("a"));
    assert_eq!(socket.refused().await.0, 1008);
}

async fn close_code_and_reason_come_back(world: Shared) {
    for party in CLOSING {
        let path = &format!("/parties/{party}/codes");
        for (code, reason) in [(1000, "client-said-bye"), (4321, "own code"), (4222, "")] {
            let mut socket = world.open(path).await;
            socket.close(code, reason).await;
            assert_eq!(socket.next().await, Frame::Close(Some(code), reason.into()));
            assert_eq!(socket.next().await, Frame::End);
        }
        // Each socket ends by itself, so the hooks may run in another order.
        crate::world::eventually("the close hook is told all three", || async {
            let mut events = close_events(&world, path).await;
            events.sort_by_key(|event| event["code"].as_u64());
            events
                == [
                    json!({"code": 1000, "reason": "client-said-bye", "clean": true}),
                    json!({"code": 4222, "reason": "", "clean": true}),
                    json!({"code": 4321, "reason": "own code", "clean": true}),
                ]
        })
        .await;
    }
}

/// What the room's close hook has been told so far.
async fn close_events(world: &Shared, path: &str) -> Vec<serde_json::Value> {
    let answer = world.get(path).send().await.json();
    answer.as_array().cloned().unwrap_or_default()
}

async fn close_without_code(world: Shared) {
    for party in CLOSING {
        let path = &format!("/parties/{party}/no-code");
        let mut socket = world.open(path).await;
        socket.send(&frame(8, b"")).await;
        assert_eq!(socket.next().await, Frame::Close(None, String::new()));
        assert_eq!(socket.next().await, Frame::End);
        crate::world::eventually("the close hook is told 1005", || async {
            let told = [json!({"code": 1005, "reason": "", "clean": true})];
            close_events(&world, path).await == told
        })
        .await;
    }
}

async fn close_hook_fails(world: Shared) {
    for party in CLOSING {
        let path = format!("/parties/{party}/throws");
        let mut socket = world.open(&path).await;
        socket.close(1000, "").await;
        assert_eq!(socket.next().await, Frame::Close(Some(1000), String::new()));
        assert_eq!(world.get(&path).status().await, 200);
    }
}

async fn close_hook_closes(world: Shared) {
    for party in CLOSING {
        let mut socket = world.open(&format!("/parties/{party}/closes")).await;
        socket.close(1000, "").await;
        let Frame::Close(Some(1000 | 4000), _) = socket.next().await else {
            panic!("expected 1000 or 4000");
        };
    }
}

const CLOSING: [&str; 2] = ["closing", "hibernating-closing"];

async fn own_public_id(world: Shared) {
    let (_a, chosen) = world
        .join(&world.alice(), "/parties/chat/ids?_pk=my-id")
        .await;
    assert_eq!(chosen["id"], "my-id");
    let (_b, random) = world.join(&world.alice(), "/parties/chat/ids").await;
    assert!(
        random["id"]
            .as_str()
            .is_some_and(|id| id.len() >= 8 && id != "my-id")
    );
    let long = format!("/parties/chat/ids?_pk={}", "x".repeat(257));
    let (_c, fresh) = world.join(&world.alice(), &long).await;
    assert!(fresh["id"].as_str().is_some_and(|id| id.len() < 257));
}

async fn same_subject_may_share_an_id(world: Shared) {
    let path = "/parties/chat/shared?_pk=shared";
    let (mut first, a) = world.join(&world.alice(), path).await;
    let (mut second, b) = world.join(&world.alice(), path).await;
    assert_eq!((&a["id"], &b["id"]), (&json!("shared"), &json!("shared")));
    for socket in [&mut first, &mut second] {
        socket.text("x").await;
        assert_eq!(socket.json().await["type"], "echo", "both live");
    }
}

async fn another_subject_gets_a_fresh_id(world: Shared) {
    let path = "/parties/chat/guessed?_pk=guessed";
    let (mut alice, _) = world.join(&world.alice(), path).await;
    let (_bob, welcome) = world.join(&world.bob(), path).await;
    assert_ne!(welcome["id"], "guessed");
    alice.text("x").await;
    assert_eq!(alice.json().await["sub"], "alice");
    // In another room the id is not shared.
    let (_c, welcome) = world
        .join(&world.bob(), "/parties/chat/elsewhere?_pk=guessed")
        .await;
    assert_eq!(
        (&welcome["id"], &welcome["sub"]),
        (&json!("guessed"), &json!("bob"))
    );
}

async fn many_messages_keep_order(world: Shared) {
    let mut socket = world.open("/parties/echo/order").await;
    let all: Vec<u8> = (0..1000).flat_map(|i| text_frame(&i.to_string())).collect();
    socket.send(&all).await;
    for i in 0..1000 {
        assert_eq!(socket.next().await, Frame::Text(i.to_string()));
    }
}

async fn large_messages(world: Shared) {
    let mut socket = world.open("/parties/echo/large").await;
    for length in [125, 126, 65_535, 65_536, 1 << 20] {
        let bytes = vec![7_u8; length];
        socket.send(&frame(2, &bytes)).await;
        assert!(
            socket.next().await == Frame::Binary(bytes),
            "{length} bytes"
        );
    }
}

async fn ping_is_answered(world: Shared) {
    let mut socket = world.open("/parties/echo/ping").await;
    socket.send(&frame(9, b"are you there?")).await;
    assert_eq!(socket.next().await, Frame::Pong);
}

async fn fragments(world: Shared) {
    let mut socket = world.open("/parties/echo/fragments").await;
    let mut first = frame(1, "Hällo".as_bytes());
    first[0] = 0x01;
    let mut last = frame(0, b" world");
    last[0] = 0x80;
    socket.send(&[first, frame(9, b""), last].concat()).await;
    assert_eq!(socket.next().await, Frame::Pong);
    assert_eq!(socket.next().await, Frame::Text("Hällo world".into()));
}

async fn protocol_errors_close(world: Shared) {
    for (bytes, code, what) in [
        (vec![0x81, 0x01, b'x'], 1002, "an unmasked frame"),
        (frame(1, &[0xff, 0xfe]), 1007, "text that is not UTF-8"),
        (frame(3, b""), 1002, "an unknown opcode"),
        (frame(8, &[0x03]), 1002, "a close frame of one byte"),
        (
            frame(8, &1005_u16.to_be_bytes()),
            1002,
            "a close code that may not be sent",
        ),
    ] {
        let mut socket = world.open("/parties/echo/errors").await;
        socket.send(&bytes).await;
        assert_eq!(socket.closed().await.0, Some(code), "{what}");
    }
}

async fn upgrade_at_root(world: Shared) {
    let mut socket = world.open("/").await;
    socket.text("root").await;
    assert_eq!(socket.next().await, Frame::Text("root".into()));
    assert_eq!(world.get("/").status().await, 200);
}

async fn a_closed_socket_leaves_the_room(world: Shared) {
    // The room holds two sockets. A place is free again when its socket is gone,
    // whether it was closed or just dropped.
    for round in 0..10 {
        crate::world::eventually("both places are free", || async {
            let mut first = world.open("/parties/small/places").await;
            let mut second = world.open("/parties/small/places").await;
            let mut is_free = true;
            for socket in [&mut first, &mut second] {
                socket.text("x").await;
                is_free &= socket.next().await == Frame::Text("x".into());
            }
            if is_free && round % 2 == 0 {
                first.close(1000, "").await;
                assert_eq!(first.closed().await.0, Some(1000));
            }
            is_free
        })
        .await;
    }
}
