//! Hooks that fail in the kit: the client sees what it would see on a host, and the
//! test sees more.

use std::panic::AssertUnwindSafe;

use http::StatusCode;
use partyserver::testing::{TestParties, TestRoom};
use partyserver::*;

/// Fails in the hook that the room's name says. The answer says how often this value
/// was asked.
#[derive(Default)]
struct Failing {
    asked: u64,
}

impl Failing {
    fn fail(name: &str, hook: &str) -> Result<()> {
        match name.strip_prefix(hook) {
            Some("-error") => Err(NotText.into_error()),
            Some("-panic") => panic!("as asked"),
            _ => Ok(()),
        }
    }
}

/// An error type of its own.
#[derive(Debug, thiserror::Error)]
#[error("the cause")]
struct NotText;

impl NotText {
    fn into_error(self) -> Error {
        self.into()
    }
}

impl Server for Failing {
    async fn on_before_request(&self, lobby: &Lobby, request: Request) -> Result<RequestGate> {
        Self::fail(lobby.room_name(), "gate")?;
        Ok(RequestGate::Admit(request))
    }

    async fn on_connect(&mut self, cx: &Context, _: &Connection, _: &Handshake) -> Result<()> {
        Self::fail(cx.room().name(), "connect")
    }

    async fn on_close(&mut self, cx: &Context, _: &Connection, _: CloseEvent) -> Result<()> {
        Self::fail(cx.room().name(), "close")
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        self.asked += 1;
        if request.method() == http::Method::POST {
            Self::fail(cx.room().name(), "request")?;
        }
        Ok(Response::new(self.asked.to_string().into()))
    }

    async fn on_event(&mut self, cx: &Context, _: serde_json::Value) -> Result<()> {
        Self::fail(cx.room().name(), "event")
    }
}

fn room(name: &str) -> TestRoom {
    TestRoom::new("failing", name, Failing::default)
}

fn request(method: http::Method, path: &str) -> Request {
    let request = http::Request::builder().method(method).uri(path);
    request.body(Body::empty()).unwrap()
}

async fn asked(room: &mut TestRoom) -> String {
    let answer = room.request(request(http::Method::GET, "/")).await.unwrap();
    let body = answer.into_body().bytes().await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn an_error_is_the_hooks_own() {
    for hook in ["gate", "request"] {
        let mut room = room(&format!("{hook}-error"));
        let failed = room.request(request(http::Method::POST, "/")).await;
        let error = failed.unwrap_err();
        assert!(error.downcast_ref::<NotText>().is_some(), "{hook}: {error}");
    }
    let mut connect = room("connect-error");
    let error = connect.connect("/").await.err().unwrap();
    assert!(error.downcast_ref::<NotText>().is_some());
    assert!(
        connect.room().connections().is_empty(),
        "its socket is closed"
    );

    let mut close = room("close-error");
    let socket = close.connect("/").await.unwrap();
    assert!(close.close(&socket, 1000, "").await.is_err());

    let mut event = room("event-error");
    event.room().post(&1).unwrap();
    assert!(event.settle().await.is_err());
    assert!(event.settle().await.is_ok(), "it is told once");
}

#[tokio::test]
async fn an_error_keeps_the_server_and_a_panic_ends_it() {
    let mut room_that_errs = room("request-error");
    assert_eq!(asked(&mut room_that_errs).await, "1");
    let failed = room_that_errs
        .request(request(http::Method::POST, "/"))
        .await;
    assert!(failed.is_err());
    assert_eq!(asked(&mut room_that_errs).await, "3");

    let mut room_that_panics = room("request-panic");
    assert_eq!(asked(&mut room_that_panics).await, "1");
    let socket = room_that_panics.connect("/").await.unwrap();
    // The test panics with the hook's panic, so it has to catch that.
    let post = room_that_panics.request(request(http::Method::POST, "/"));
    let panic = futures(AssertUnwindSafe(post)).await.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as asked"));
    assert_eq!(asked(&mut room_that_panics).await, "1", "it starts anew");
    assert_eq!(socket.closed(), None, "others stay");
}

/// Catches the panic of a future.
async fn futures<T>(future: AssertUnwindSafe<impl Future<Output = T>>) -> std::thread::Result<T> {
    let mut future = std::pin::pin!(future.0);
    std::future::poll_fn(|cx| {
        let poll = AssertUnwindSafe(|| future.as_mut().poll(cx));
        match std::panic::catch_unwind(poll) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    })
    .await
}

#[tokio::test]
async fn an_application_is_answered_as_by_a_host() {
    let parties = TestParties::new().party("failing", Failing::default);
    for name in ["gate-error", "gate-panic", "request-error", "request-panic"] {
        let path = format!("/parties/failing/{name}");
        let answer = parties.request(request(http::Method::POST, &path)).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{name}");
        let body = answer.into_body().bytes().await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.starts_with("Internal server error (test-"), "{text}");
        let failures = parties.failures();
        assert_eq!(failures.len(), 1, "{name}");
        let cause = if name.ends_with("error") {
            "the cause"
        } else {
            "as asked"
        };
        assert_eq!(failures[0].to_string(), cause);
    }
    for name in ["connect-error", "connect-panic"] {
        let handshake = http::Request::get(format!("/parties/failing/{name}"));
        let socket = parties.connect(handshake.body(()).unwrap()).await.unwrap();
        let close = socket.closed().unwrap();
        assert_eq!(close.code(), Close::INTERNAL_ERROR, "{name}");
        assert_eq!(parties.failures().len(), 1, "{name}");
    }
}
