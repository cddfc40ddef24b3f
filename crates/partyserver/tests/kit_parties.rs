//! A whole application in the kit.

use std::time::Duration;

use http::StatusCode;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST};
use partyserver::testing::{TestParties, TestSocket};
use partyserver::*;
use serde_json::{Value, json};

/// Answers with what it knows about its place.
#[derive(Default)]
struct Here {
    seen: u64,
}

impl Server for Here {
    async fn on_start(&mut self, cx: &Context) -> Result<()> {
        if cx.room().name() == "patient" {
            cx.room().sleep(Duration::from_secs(5)).await;
        }
        Ok(())
    }

    async fn on_connect(&mut self, cx: &Context, from: &Connection, _: &Handshake) -> Result<()> {
        from.close_at(cx.now() + Duration::from_secs(60), Close::new(4000, ""));
        Ok(())
    }

    async fn on_message(&mut self, cx: &Context, _: &Connection, message: Message) -> Result<()> {
        self.seen += 1;
        cx.room().broadcast(message);
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        self.seen += 1;
        answer::json(&json!({
            "party": cx.room().party(),
            "room": cx.room().name(),
            "props": cx.props::<Value>(),
            "url": request.uri().to_string(),
            "seen": self.seen,
        }))
    }
}

fn parties() -> TestParties {
    let props = PartyOptions::new().props(&"hello").unwrap();
    let open = PartyOptions::new().cors(CorsOption::Default);
    let chosen = Subprotocols::FirstOf(vec!["v2".into()]);
    TestParties::new()
        .party_with("Props", props, Here::default)
        .party_with("open", open.subprotocols(chosen), Here::default)
        .rewrite(|head| {
            if head.uri.path() == "/chat" {
                head.uri = "/parties/open/rewritten".parse().unwrap();
            }
        })
        .fallback(async |_| answer::text(StatusCode::IM_A_TEAPOT, "mine"))
}

fn get(path: &str) -> Request {
    http::Request::get(path).body(Body::empty()).unwrap()
}

async fn body(answer: Response) -> Value {
    let bytes = answer.into_body().bytes().await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

async fn open(parties: &TestParties, path: &str) -> TestSocket {
    let handshake = http::Request::get(path).body(()).unwrap();
    parties.connect(handshake).await.unwrap()
}

#[tokio::test]
async fn requests_find_their_rooms() {
    let parties = parties();
    for (path, status) in [
        ("/parties/props/a", 200),
        ("/parties/open/a/b", 200),
        ("/chat", 200),
        ("/parties/nothing/a", 400),
        ("/parties", 418),
        ("/healthz", 200),
        ("/readyz", 200),
    ] {
        assert_eq!(parties.request(get(path)).await.status(), status, "{path}");
    }
    let mut request = get("/parties/props/a?x=1");
    request
        .headers_mut()
        .insert(HOST, "rooms.example".parse().unwrap());
    let seen = body(parties.request(request).await).await;
    let expected = json!({
        "party": "props",
        "room": "a",
        "props": "hello",
        "url": "http://rooms.example/parties/props/a?x=1",
        "seen": 2,
    });
    assert_eq!(seen, expected);
    let answer = parties.request(get("/parties/open/a")).await;
    assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}

#[tokio::test]
async fn sockets_in_several_rooms_share_a_clock() {
    let parties = parties();
    let first = open(&parties, "/parties/open/a").await;
    let second = open(&parties, "/parties/open/a").await;
    let other = open(&parties, "/parties/open/b").await;
    parties.send(&first, "hi").await;
    assert_eq!(first.received(), ["hi".into()]);
    assert_eq!(second.received(), ["hi".into()]);
    assert_eq!(other.received(), []);
    parties.close(&first, 1000, "").await;
    parties.vanish(&second).await;
    let room = parties.room("open", "a").unwrap();
    assert!(room.connections().is_empty());
    parties.advance(Duration::from_secs(60)).await;
    assert_eq!(other.closed(), Some(Close::new(4000, "")));
    assert!(parties.room("nothing", "a").is_none());
}

#[tokio::test]
async fn one_room_or_all_are_put_to_sleep() {
    let parties = parties();
    let seen = async |room: &str| {
        let path = format!("/parties/open/{room}");
        body(parties.request(get(&path)).await).await["seen"].clone()
    };
    for room in ["a", "b"] {
        assert_eq!(seen(room).await, 1);
    }
    parties.hibernate_room("open", "a");
    assert_eq!((seen("a").await, seen("b").await), (1.into(), 2.into()));
    parties.hibernate();
    assert_eq!((seen("a").await, seen("b").await), (1.into(), 1.into()));
}

#[tokio::test]
async fn an_upgrade_that_is_none_is_answered() {
    let parties = parties();
    let handshake = |path: &str| http::Request::get(path.to_owned());
    let answer = parties
        .connect(handshake("/nowhere").body(()).unwrap())
        .await;
    assert_eq!(answer.err().unwrap().status(), StatusCode::IM_A_TEAPOT);
    let old = handshake("/parties/open/a").header("sec-websocket-version", "8");
    let answer = parties.connect(old.body(()).unwrap()).await.err().unwrap();
    assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED);
    let offers = handshake("/parties/open/a").header("sec-websocket-protocol", "v1, v2");
    let socket = parties.connect(offers.body(()).unwrap()).await.unwrap();
    assert_eq!(socket.subprotocol(), Some("v2"));
}

#[tokio::test]
async fn where_time_passes_hooks_wait_for_it() {
    let parties = parties().time_passes();
    let before = parties.now();
    let (answer, ()) = tokio::join!(parties.request(get("/parties/open/patient")), async {
        assert_eq!(parties.now(), before, "the hook has not moved it");
        parties.advance(Duration::from_secs(5)).await;
    });
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(parties.now(), before + Duration::from_secs(5));
}

#[tokio::test]
async fn simultaneous_events_of_a_room_have_their_turns_in_order() {
    let parties = parties().time_passes();
    let path = "/parties/open/patient";
    let (first, second, other, ()) = tokio::join!(
        parties.request(get(path)),
        parties.request(get(path)),
        parties.request(get("/parties/open/a")),
        parties.advance(Duration::from_secs(5)),
    );
    assert_eq!(body(first).await["seen"], 1);
    assert_eq!(body(second).await["seen"], 2);
    assert_eq!(body(other).await["seen"], 1);
}
