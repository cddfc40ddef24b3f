//! PartyServer's behaviour: the rows of its own tests that a client can see.

use serde_json::json;

use crate::cases::cases;
use crate::client::ws::Frame;
use crate::world::Shared;

cases! {
    "PartyServer 1-4" => [room_name_over_http, room_name_over_a_socket, start_runs_once],
    "PartyServer 5-9" => [before_connect_answers, before_request_answers, class_name_of_a_party],
    "PartyServer 19-27" => [
        connection_state, failing_start_is_tried_again, names_in_hooks, state_when_hibernating,
    ],
    "PartyServer 28-31" => [
        alarm, an_alarm_set_anew_while_it_runs, an_alarm_removed_while_it_waits, an_alarm_at_the_beginning_of_time,
    ],
    "PartyServer 59-69" => [tags, uri, props],
    "Routing" => [a_rewrite_sees_what_hooks_do, paths, extra_segments_and_trailing_question_mark, raw_room_names, upgrade_header_case],
}

async fn room_name_over_http(world: Shared) {
    let answer = world.get("/parties/stateful/123").send().await;
    assert_eq!(answer.json(), json!({"name": "123"}));
}

async fn room_name_over_a_socket(world: Shared) {
    for party in ["stateful", "hibernating-stateful"] {
        let mut socket = world.open(&format!("/parties/{party}/123")).await;
        assert_eq!(socket.json().await, json!({"name": "123"}));
    }
}

async fn start_runs_once(world: Shared) {
    for party in STARTING {
        let path = &format!("/parties/{party}/once");
        let (mut first, mut second, answer) =
            tokio::join!(world.open(path), world.open(path), world.get(path).send());
        assert_eq!(answer.text(), "1");
        for socket in [&mut first, &mut second] {
            assert_eq!(socket.next().await, Frame::Text("1".into()), "{party}");
        }
    }
}

async fn before_connect_answers(world: Shared) {
    let refused = world.try_open("/parties/before/refuse", &[]).await.err();
    assert_eq!(refused.map(|answer| answer.status), Some(503));
    let redirect = world.try_open("/parties/before/redirect", &[]).await.err();
    let redirect = redirect.unwrap_or_else(|| panic!("the upgrade was accepted"));
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (302, Some("/elsewhere"))
    );
}

async fn before_request_answers(world: Shared) {
    assert_eq!(world.get("/parties/before/refuse").status().await, 504);
    let redirect = world.get("/parties/before/redirect").send().await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (302, Some("/elsewhere"))
    );
}

async fn class_name_of_a_party(world: Shared) {
    let answer = world.get("/parties/before/describe").send().await.json();
    assert_eq!(
        answer,
        json!({"party": "before", "class": "Before", "room": "describe"})
    );
}

async fn connection_state(world: Shared) {
    let mut socket = world.open("/parties/stateful/state").await;
    socket.json().await;
    for (request, count) in [("get", 1), ("increment", 2), ("get", 2), ("increment", 3)] {
        socket.text(request).await;
        assert_eq!(socket.json().await, json!({ "count": count }), "{request}");
    }
}

async fn failing_start_is_tried_again(world: Shared) {
    let path = "/parties/failing-start/a";
    assert_eq!(world.get(path).status().await, 500);
    let answer = world.get(path).send().await;
    assert_eq!(answer.json(), json!({"counter": 2, "failCount": 1}));
}

async fn names_in_hooks(world: Shared) {
    for party in STARTING {
        let mut socket = world.open(&format!("/parties/{party}/R")).await;
        socket.next().await;
        assert_eq!(socket.next().await, Frame::Text("connected:R:R".into()));
        socket.text("name").await;
        assert_eq!(socket.next().await, Frame::Text("name:R:R".into()));
        socket.text("other").await;
        assert_eq!(socket.next().await, Frame::Text("counter:1".into()));
    }
}

/// Both need some time to start.
const STARTING: [&str; 2] = ["on-start-server", "hibernating-on-start-server"];

async fn state_when_hibernating(world: Shared) {
    let mut socket = world.open("/parties/hibernating-stateful/state").await;
    socket.json().await;
    socket.text("increment").await;
    assert_eq!(socket.json().await, json!({"count": 2}));
    // Longer than the one second for which the party's rooms stay without events.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    socket.text("get").await;
    assert_eq!(socket.json().await, json!({"count": 2}));
}

async fn an_alarm_at_the_beginning_of_time(world: Shared) {
    let path = "/parties/alarm/epoch";
    assert_eq!(world.get(&format!("{path}/set?epoch")).status().await, 200);
    crate::world::eventually("it fires at once", || async {
        world.get(path).send().await.json()["fired"] == 1
    })
    .await;
}

async fn an_alarm_removed_while_it_waits(world: Shared) {
    let path = "/parties/slow/alarmed";
    let nothing = serde_json::json!([]);
    let answer = world.get(&format!("{path}/alarm")).send().await;
    assert_eq!(answer.json(), nothing);
    // Everything that waited for the end of the hook has its turn before this.
    let mut socket = world.open(path).await;
    socket.text("wait").await;
    crate::world::eventually("the message alone is seen", || async {
        let seen = world.get(path).send().await.json();
        assert_ne!(seen[0], "alarm");
        seen == serde_json::json!(["wait"])
    })
    .await;
}

async fn an_alarm_set_anew_while_it_runs(world: Shared) {
    let path = "/parties/alarm/anew";
    world.get(&format!("{path}/set?ms=100")).send().await;
    crate::world::eventually("both alarms fire", || async {
        world.get(path).send().await.json()["fired"] == 2
    })
    .await;
    // Longer than the pause after which a failed alarm is tried again.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(world.get(path).send().await.json()["fired"], 2);
}

async fn alarm(world: Shared) {
    let path = "/parties/alarm/a";
    world.get(&format!("{path}/set?ms=300")).send().await;
    crate::world::eventually("the alarm fires", || async {
        let answer = world.get(path).send().await.json();
        (&answer["fired"], &answer["name"]) == (&json!(1), &json!("a"))
    })
    .await;
}

async fn tags(world: Shared) {
    for party in ["tags", "hibernating-tags"] {
        let mut socket = world.open(&format!("/parties/{party}/a?_pk=tagged")).await;
        for _ in 0..2 {
            socket.text("tags").await;
            assert_eq!(
                socket.json().await,
                json!(["tagged", "role-a", "role-b"]),
                "{party}"
            );
            if party == "hibernating-tags" {
                tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            }
        }
    }
}

async fn uri(world: Shared) {
    let path = "/parties/hibernating-tags/uri/more?token=abc&_pk=custom-id";
    let mut socket = world.open(path).await;
    let expected = format!("http://{}{path}", world.server.address);
    for _ in 0..2 {
        socket.text("uri").await;
        assert_eq!(socket.next().await, Frame::Text(expected.clone()));
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
}

async fn props(world: Shared) {
    let expected = json!({"greeting": "grüß dich"});
    // A client's own header of the same purpose is not believed.
    let request = world
        .get("/parties/props/a")
        .header("x-partykit-props", "eyJncmVldGluZyI6ImV2aWwifQ==");
    assert_eq!(request.send().await.json(), expected);
    let mut socket = world.open("/parties/props/b").await;
    assert_eq!(socket.json().await, expected);
}

async fn paths(world: Shared) {
    for (path, status) in [
        ("/parties/plain/a", 200),
        ("//parties//plain//a", 200),
        ("/parties/plain/a/b/c", 200),
        ("/parties/plain", 404),
        ("/parties/plain/", 404),
        ("/parties", 404),
        ("/nowhere/plain/a", 404),
        ("/parties/Plain/a", 400),
        ("/parties/nothing/a", 400),
    ] {
        assert_eq!(world.get(path).status().await, status, "{path}");
    }
}

/// The URL is absolute, and headers that only hosts and proxies may set are gone.
async fn a_rewrite_sees_what_hooks_do(world: Shared) {
    let internal = [
        ("x-partykit-props", "evil"),
        ("X-PartyServer-Secret-Handoff", "evil"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
    ];
    let host = format!("http://{}", world.server.address);
    let saw = json!({"url": format!("{host}/moved/a?tell"), "internal": []});
    let mut request = world.get("/moved/a?tell");
    for (name, value) in internal {
        request = request.header(name, value);
    }
    let answer = request.send().await.json();
    let mut socket = world.open_with("/moved/a?tell", &internal).await;
    assert_eq!(socket.json().await["type"], "welcome");
    for told in [answer, socket.json().await] {
        assert_eq!(told["rewrite_saw"], saw, "{told}");
        assert_eq!(
            told["url"],
            format!("{host}/parties/plain/a?tell"),
            "{told}"
        );
    }
}

async fn extra_segments_and_trailing_question_mark(world: Shared) {
    let answer = world.get("/parties/plain/a/more?").send().await.json();
    let url = answer["url"].as_str().unwrap_or_default();
    assert!(url.contains("/parties/plain/a/more"), "{url}");
}

async fn raw_room_names(world: Shared) {
    for room in ["a%20b", "%2e%2e", "%2F", "ünicode-encoded-%C3%BC"] {
        let room: String = room.chars().filter(char::is_ascii).collect();
        let answer = world
            .get(&format!("/parties/plain/{room}"))
            .send()
            .await
            .json();
        assert_eq!(answer["room"], room.as_str());
    }
}

async fn upgrade_header_case(world: Shared) {
    let request = world
        .get("/parties/stateful/case")
        .header("UPGRADE", "WebSocket")
        .header("Connection", "keep-alive, UPGRADE")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(request.status().await, 101);
}
