//! Each row of the table of refusals, both as HTTP and as a close frame.

use std::time::Duration;

use crate::cases::cases;
use crate::client::http::Answer;
use crate::host::Host;
use crate::world::{Shared, World, with_token};

cases! {
    "Refusals" => [
        no_token, bad_token, expired_token, two_carriers, bearer_without_token, dpop_scheme,
        too_long_token, missing_scope, not_the_owner, unknown_party, bad_upgrade,
        handshake_form, failing_hooks, failing_gates_and_admissions,
        failing_hooks_that_answer_nobody, a_panic_stays_in_its_room, a_panic_beside_a_write,
        a_panic_while_a_connection_is_written_down,
        answers_that_http_does_not_know,
        what_is_stored_is_what_is_read, expiry_on_a_live_socket,
        an_end_beyond_all_time, expiry_is_not_queued_behind_a_flood,
        the_same_expired_token_a_fifth_time, challenges_are_well_formed, head_answers_as_get,
        basic_and_unknown_schemes_are_no_token, anonymous_is_only_no_token,
    ],
}

async fn get(world: &World, token: &str) -> Answer {
    world
        .get("/parties/chat/refusals")
        .bearer(token)
        .send()
        .await
}

async fn closed(world: &World, token: &str) -> (u16, String) {
    world
        .open_as(token, "/parties/chat/refusals")
        .await
        .refused()
        .await
}

fn close(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}

async fn no_token(world: Shared) {
    let answer = world.get("/parties/chat/a").send().await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (401, "Unauthorized")
    );
    assert_eq!(
        answer.header("www-authenticate"),
        Some("Bearer realm=\"rooms\"")
    );
    let socket = world.open("/parties/chat/a").await;
    assert_eq!(socket.refused().await, close(1008, "Unauthorized"));
}

async fn bad_token(world: Shared) {
    let token = world.token().audience("other").sign();
    let answer = get(&world, &token).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (401, "Unauthorized")
    );
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(
        !challenge.contains("alice") && !challenge.contains(&token[..20]),
        "{challenge}"
    );
    assert_eq!(closed(&world, &token).await, close(1008, "Unauthorized"));
}

async fn expired_token(world: Shared) {
    let token = world.token().expired_for(Duration::from_secs(5)).sign();
    let answer = get(&world, &token).await;
    assert_eq!(answer.status, 401);
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(
        challenge.contains("error_description=\"the token has expired\""),
        "{challenge}"
    );
    assert_eq!(closed(&world, &token).await, close(3000, "token expired"));
    // A token is called expired only if it is right in everything else.
    let other = world
        .token()
        .expired_for(Duration::from_secs(5))
        .audience("other")
        .sign();
    assert_eq!(closed(&world, &other).await, close(1008, "Unauthorized"));
}

async fn two_carriers(world: Shared) {
    let token = world.alice();
    let text = "More than one method used for authentication";
    let both = world
        .get(&with_token("/parties/chat/a", &token))
        .bearer(&token)
        .send()
        .await;
    let twice = world
        .get("/parties/chat/a")
        .bearer(&token)
        .bearer(&token)
        .send()
        .await;
    let joined = format!("{token}, Bearer {token}");
    let joined = world.get("/parties/chat/a").bearer(&joined).send().await;
    let query = with_token(&with_token("/parties/chat/a", &token), &token);
    let query_twice = world.get(&query).send().await;
    for answer in [both, twice, joined, query_twice] {
        assert_eq!((answer.status, answer.text().as_str()), (400, text));
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(
            challenge.contains("error=\"invalid_request\""),
            "{challenge}"
        );
    }
    assert_eq!(world.open(&query).await.refused().await, close(1008, text));
}

async fn bearer_without_token(world: Shared) {
    let answer = world
        .get("/parties/chat/a")
        .header("Authorization", "Bearer")
        .send()
        .await;
    assert_eq!(answer.status, 400);
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("invalid_request"), "{challenge}");
    let socket = world
        .open_with("/parties/chat/a", &[("Authorization", "Bearer ")])
        .await;
    assert_eq!(socket.refused().await, close(1008, "Unauthorized"));
}

async fn dpop_scheme(world: Shared) {
    let value = format!("DPoP {}", world.alice());
    for party in ["chat", "optional"] {
        let path = format!("/parties/{party}/a");
        let answer = world
            .get(&path)
            .header("Authorization", &value)
            .send()
            .await;
        assert_eq!(answer.status, 401, "{party}");
        let socket = world.open_with(&path, &[("Authorization", &value)]).await;
        assert_eq!(
            socket.refused().await,
            close(1008, "Unauthorized"),
            "{party}"
        );
    }
}

async fn too_long_token(world: Shared) {
    let token = "a".repeat(16 * 1024 + 1);
    let answer = get(&world, &token).await;
    assert_eq!(answer.status, 400);
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("invalid_request"), "{challenge}");
    assert_eq!(closed(&world, &token).await, close(1008, "Unauthorized"));
}

async fn missing_scope(world: Shared) {
    let token = world.token().scope("rooms:read").sign();
    let answer = world.get("/parties/scoped/a").bearer(&token).send().await;
    assert_eq!(answer.status, 403);
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert!(challenge.contains("scope=\"rooms:write\""), "{challenge}");
    let socket = world.open_as(&token, "/parties/scoped/a").await;
    assert_eq!(socket.refused().await, close(1008, "insufficient scope"));
    let token = world.token().scope("other rooms:write").sign();
    assert_eq!(
        world.get("/parties/scoped/a").bearer(&token).status().await,
        200
    );
}

async fn not_the_owner(world: Shared) {
    let path = "/parties/private-chat/not-the-owner";
    let text = "This chat is not yours.";
    // Without an owner, the room belongs to nobody.
    for _ in 0..2 {
        let answer = world.get(path).bearer(&world.bob()).send().await;
        assert_eq!((answer.status, answer.text().as_str()), (403, text));
        assert!(answer.header("www-authenticate").is_some());
        let socket = world.open_as(&world.bob(), path).await;
        assert_eq!(socket.refused().await, close(1008, text));
        world.claim(&world.alice(), path).await;
    }
    assert_eq!(world.get(path).bearer(&world.alice()).status().await, 200);
}

async fn unknown_party(world: Shared) {
    let answer = world.get("/parties/no-such-party/a").send().await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (400, "Invalid request")
    );
    let answer = world.try_open("/parties/no-such-party/a", &[]).await.err();
    assert_eq!(answer.map(|answer| answer.status), Some(400));
}

async fn bad_upgrade(world: Shared) {
    let upgrade = |version: &str, key: &str| {
        world
            .get("/parties/plain/a")
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Version", version)
            .header("Sec-WebSocket-Key", key)
    };
    let answer = upgrade("12", "dGhlIHNhbXBsZSBub25jZQ==").send().await;
    assert_eq!(
        (answer.status, answer.header("sec-websocket-version")),
        (426, Some("13"))
    );
    assert_eq!(upgrade("13", "bad").status().await, 400);
}

async fn handshake_form(world: Shared) {
    let answer = world.try_open("/parties/handshake/a", &[]).await.err();
    let answer = answer.unwrap_or_else(|| panic!("the upgrade was accepted"));
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").is_some());
    let (_socket, welcome) = world.join(&world.alice(), "/parties/handshake/a").await;
    assert_eq!(welcome["sub"], "alice");
}

async fn failing_hooks(world: Shared) {
    let path = "/parties/faulty/failing-hooks";
    let instance = || async { world.get(path).send().await.json()["instance"].to_string() };
    let mut before = instance().await;
    for (how, is_new) in [("error", false), ("panic", true), ("slow", true)] {
        let answer = world.get(&format!("{path}/{how}")).send().await;
        assert_eq!(answer.status, 500, "{how}");
        let text = answer.text();
        assert!(!text.contains("told to"), "{how}: internals are shown");
        assert_logged(&world, &text).await;
        let after = instance().await;
        assert_eq!(before != after, is_new, "{how}");
        before = after;
        let mut socket = world.open(path).await;
        socket.text(how).await;
        let (code, reason) = socket.closed().await;
        assert_eq!(code, Some(1011), "{how}");
        assert_logged(&world, &reason).await;
        before = if is_new { instance().await } else { before };
    }
}

async fn failing_gates_and_admissions(world: Shared) {
    for how in ["error", "panic", "slow"] {
        for hook in [
            "on_before_connect",
            "on_admit",
            "connection_tags",
            "on_connect",
        ] {
            let path = format!("/parties/faulty/gates-{how}?{hook}={how}");
            let (code, reason) = world.open(&path).await.refused().await;
            assert_eq!(code, 1011, "{hook} {how}");
            assert_logged(&world, &reason).await;
        }
        let gate = format!("/parties/faulty/gates-{how}?on_before_request={how}");
        let start = format!("/parties/faulty/on_start-{how}");
        for path in [gate, start.clone()] {
            let answer = world.get(&path).send().await;
            assert_eq!(answer.status, 500, "{path}");
            assert_logged(&world, &answer.text()).await;
        }
        let (code, reason) = world.open(&start).await.refused().await;
        assert_eq!(code, 1011, "on_start {how}");
        assert_logged(&world, &reason).await;
    }
}

/// The text contains an id, which is in the log, and nothing else about the failure.
async fn assert_logged(world: &World, text: &str) {
    let id = text.strip_prefix("Internal server error (");
    let id = id.and_then(|id| id.strip_suffix(')'));
    let id = id.unwrap_or_else(|| panic!("no id alone: {text}"));
    crate::world::eventually("its id is logged", || async { world.server.has_logged(id) }).await;
}

async fn failing_hooks_that_answer_nobody(world: Shared) {
    for how in ["error", "panic", "slow"] {
        for hook in ["on_close", "on_alarm", "on_event"] {
            let path = format!("/parties/faulty/{hook}-{how}");
            match hook {
                "on_close" => {
                    let mut socket = world.open(&path).await;
                    socket.close(1000, "").await;
                    assert_eq!(socket.closed().await.0, Some(1000), "{how}");
                }
                "on_alarm" => assert_eq!(world.get(&format!("{path}/alarm")).status().await, 200),
                _ => assert_eq!(world.get(&format!("{path}/event")).status().await, 200),
            }
            // The hook ran, and the room goes on.
            crate::world::eventually("the hook has run", || async {
                let answer = world.get(&path).send().await;
                answer.status == 200 && answer.json()["ran"].as_u64() >= Some(1)
            })
            .await;
        }
    }
}

/// This happens only where a host keeps records while a room sleeps.
async fn a_panic_while_a_connection_is_written_down(world: Shared) {
    let path = "/parties/hibernating-faulty/written-down";
    let mut bystander = world.open(path).await;
    let mut unwritable = world.open(path).await;
    unwritable.text("attach").await;
    if world.start.served.host == Host::Workers {
        assert_eq!(unwritable.closed().await.0, Some(1011));
    }
    for _ in 0..3 {
        bystander.text("still here").await;
        assert!(bystander.json().await["instance"].is_string());
    }
    drop(unwritable);
    crate::world::eventually("the room is told", || async {
        world.get(path).send().await.json()["ran"] == 1
    })
    .await;
}

async fn an_end_beyond_all_time(world: Shared) {
    let token = world.token().claim("exp", 1e300).sign();
    let (mut socket, _) = world.join(&token, "/parties/chat/endless").await;
    socket.text("still here").await;
    assert_eq!(socket.json().await["text"], "still here");
}

async fn a_panic_stays_in_its_room(world: Shared) {
    let (mut bystander, _) = world
        .join(&world.alice(), "/parties/chat/beside-a-panic")
        .await;
    bystander.text("before").await;
    let before = bystander.json().await["instance"].clone();
    let path = "/parties/faulty/panics";
    for _ in 0..20 {
        let mut socket = world.open(path).await;
        let mut colleague = world.open(path).await;
        socket.text("panic").await;
        assert_eq!(socket.closed().await.0, Some(1011));
        // Only the socket whose hook failed is closed.
        colleague.text("fine").await;
        assert!(colleague.json().await["instance"].is_string());
        assert_eq!(world.get(&format!("{path}/panic")).status().await, 500);
    }
    bystander.text("after").await;
    assert_eq!(bystander.json().await["instance"], before);
}

async fn a_panic_beside_a_write(world: Shared) {
    let path = "/parties/faulty/beside";
    for _ in 0..3 {
        let panicked = world.get(&format!("{path}/panic-beside-a-write"));
        assert_eq!(panicked.status().await, 500);
        // The next write does not wait for the one that will never end.
        let written = world.get(&format!("{path}/write")).send().await;
        assert_eq!(written.status, 200, "{}", written.text());
    }
}

async fn what_is_stored_is_what_is_read(world: Shared) {
    let path = "/parties/faulty/stores/large-number";
    let answer = world.get(path).send().await;
    match world.start.served.host {
        Host::Native | Host::Kit => assert_eq!(answer.text(), "[18446744073709551615]"),
        // JavaScript would round the number, so it is refused.
        Host::Workers => assert_eq!(answer.status, 500),
    }
}

async fn answers_that_http_does_not_know(world: Shared) {
    let mut bystander = world.open("/parties/faulty/answers").await;
    bystander.text("before").await;
    let before = bystander.json().await;
    for (status, expected) in [
        (204, [204, 204]),
        (205, [205, 205]),
        (304, [304, 304]),
        // A host may send a status that has no meaning yet, or say that it can't.
        (600, [600, 500]),
        (999, [999, 500]),
    ] {
        let path = format!("/parties/faulty/answers/answer-{status}");
        let answered = world.get(&path).status().await;
        assert!(expected.contains(&answered), "{status}: {answered}");
    }
    bystander.text("after").await;
    assert_eq!(bystander.json().await, before);
}

async fn expiry_on_a_live_socket(world: Shared) {
    let token = world.token().expires_in(Duration::from_secs(3)).sign();
    let (mut socket, _) = world.join(&token, "/parties/chat/expiry").await;
    socket.text("hello").await;
    assert_eq!(socket.json().await["text"], "hello");
    assert_eq!(
        socket.next().await,
        crate::client::ws::Frame::Close(Some(3000), "token expired".into())
    );
}

async fn expiry_is_not_queued_behind_a_flood(world: Shared) {
    // There are far more frames than the room has handled at the deadline.
    let token = world.token().expires_in(Duration::from_secs(2)).sign();
    let (mut socket, _) = world.join(&token, "/parties/chat/expiry-in-a-flood").await;
    let began = tokio::time::Instant::now();
    let flood = async {
        for _ in 0..20_000 {
            socket.text("b:x").await;
            if began.elapsed() > Duration::from_millis(1500) {
                break;
            }
        }
        socket
    };
    let mut socket = flood.await;
    assert_eq!(socket.closed().await, (Some(3000), "token expired".into()));
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}

async fn the_same_expired_token_a_fifth_time(world: Shared) {
    let token = world.token().expired_for(Duration::from_secs(5)).sign();
    for attempt in 1..=5 {
        let socket = world.open_as(&token, "/parties/chat/a?_pk=looping").await;
        let expected = if attempt < 5 { 3000 } else { 1008 };
        assert_eq!(socket.refused().await.0, expected, "attempt {attempt}");
    }
    // Another connection id is counted separately.
    let socket = world.open_as(&token, "/parties/chat/a?_pk=other").await;
    assert_eq!(socket.refused().await.0, 3000);
}

async fn challenges_are_well_formed(world: Shared) {
    let tokens = [
        String::from("not.a.token"),
        world.token().audience("a\"b\\c").sign(),
        world.token().expired_for(Duration::from_secs(9)).sign(),
    ];
    for token in tokens {
        let answer = get(&world, &token).await;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer realm=\""), "{challenge}");
        for part in challenge.trim_start_matches("Bearer ").split(", ") {
            let (_, value) = part.split_once('=').unwrap_or_default();
            let inner = value.trim_matches('"');
            assert_eq!(value.len(), inner.len() + 2, "{part} is not quoted");
            assert!(
                inner
                    .chars()
                    .all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\')
            );
        }
    }
}

async fn head_answers_as_get(world: Shared) {
    let head = world.request("HEAD", "/parties/chat/a").send().await;
    assert_eq!((head.status, head.body.len()), (401, 0));
    assert!(head.header("www-authenticate").is_some());
    let head = world
        .request("HEAD", "/parties/chat/a")
        .bearer(&world.alice())
        .send()
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

async fn basic_and_unknown_schemes_are_no_token(world: Shared) {
    for value in ["Basic Zm9vOmJhcg==", "Negotiate abc"] {
        let answer = world
            .get("/parties/chat/a")
            .header("Authorization", value)
            .send()
            .await;
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"rooms\"")
        );
        let path = with_token("/parties/chat/a", &world.alice());
        assert_eq!(
            world
                .get(&path)
                .header("Authorization", value)
                .status()
                .await,
            200
        );
    }
}

async fn anonymous_is_only_no_token(world: Shared) {
    let answer = world.get("/parties/optional/a").send().await;
    assert_eq!(
        (answer.status, answer.json()["claims"].is_null()),
        (200, true)
    );
    let mut socket = world.open("/parties/optional/a").await;
    assert!(socket.json().await["sub"].is_null());
    let bad = world.token().audience("other").sign();
    assert_eq!(
        world.get("/parties/optional/a").bearer(&bad).status().await,
        401
    );
    let expired = world.token().expired_for(Duration::from_secs(5)).sign();
    assert_eq!(
        world
            .get("/parties/optional/a")
            .bearer(&expired)
            .status()
            .await,
        401
    );
    let socket = world.open_as(&bad, "/parties/optional/a").await;
    assert_eq!(socket.refused().await.0, 1008);
    let (_socket, welcome) = world.join(&world.alice(), "/parties/optional/a").await;
    assert_eq!(welcome["sub"], "alice");
}
