//! An answer that is still being streamed ends with the identity that asked for it, and
//! when the room gets another owner.

mod support;

use std::convert::Infallible;
use std::time::Duration;

use agents_oauth2_jwt_bearer::{Claim, Overwrite, RoomOwnership, WithAuth, WithOwnership};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use partyserver::*;
use partyserver_native::Parties;
use support::TestServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Streams without end: either all the time, or one word and then silence.
struct Streaming;

impl Streaming {
    fn answer(path: &str) -> Response {
        let all_the_time = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Bytes::from_static(b"tick"), ()))
        });
        let once = stream::once(async { Bytes::from_static(b"tick") });
        if path.ends_with("/silent") {
            Response::new(body(once.chain(stream::pending())))
        } else {
            Response::new(body(all_the_time))
        }
    }
}

fn body(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    let frames = chunks.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
    Body::stream(StreamBody::new(frames))
}

impl Server for Streaming {
    async fn on_before_request(&self, _: &Lobby, request: Request) -> Result<RequestGate> {
        if request.uri().path().contains("/gate") {
            return Ok(RequestGate::Answer(Self::answer(request.uri().path())));
        }
        Ok(RequestGate::Admit(request))
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        if request.uri().path().ends_with("/give-away") {
            cx.room().set_owner("bob", Overwrite::Yes).await?;
        }
        Ok(Self::answer(request.uri().path()))
    }
}

#[tokio::test]
async fn a_stream_does_not_outlive_its_identity() {
    let server = TestServer::start(|options| {
        Parties::new().party("streaming", move || {
            WithAuth::new(Streaming, options.clone())
        })
    })
    .await;
    let token = server
        .issuer
        .token()
        .expires_in(Duration::from_secs(2))
        .sign();
    let paths = ["a/busy", "a/silent", "a/gate/busy", "a/gate/silent"];
    let answers = paths.map(|path| whole_answer(&server, path, &token));
    for answer in futures_util::future::join_all(answers).await {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("tick"), "{answer}");
        assert!(!answer.contains("\r\n0\r\n"), "it looks complete: {answer}");
    }
}

#[tokio::test]
async fn a_stream_does_not_outlive_a_change_of_owner() {
    let server = TestServer::start(|options| {
        Parties::new().party("streaming", move || {
            let owned = WithOwnership::new(Streaming).claim(Claim::FirstUser);
            WithAuth::new(owned, options.clone())
        })
    })
    .await;
    let token = server.issuer.token().sign();
    let mut silent = request(&server, "a/silent", &token).await;
    let mut begun = Vec::new();
    while !begun.ends_with(b"tick") {
        begun.push(silent.read_u8().await.unwrap());
    }
    // The room is given away before this answer begins.
    let (given_away, silent) = tokio::join!(
        whole_answer(&server, "a/give-away", &token),
        rest("a/silent", silent)
    );
    assert_eq!(silent, "\r\n", "nothing more came, not even the last chunk");
    assert!(!given_away.contains("tick"), "{given_away}");
}

/// Everything that comes until the connection ends.
async fn whole_answer(server: &TestServer, path: &str, token: &str) -> String {
    rest(path, request(server, path, token).await).await
}

async fn request(server: &TestServer, path: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let head = format!(
        "GET /parties/streaming/{path} HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn rest(path: &str, mut stream: TcpStream) -> String {
    let mut rest = String::new();
    let read = stream.read_to_string(&mut rest);
    let read = tokio::time::timeout(Duration::from_secs(5), read).await;
    // A reset counts as an end too.
    let _ = read.unwrap_or_else(|_| panic!("{path} goes on"));
    rest
}
