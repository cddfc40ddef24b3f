//! A server in this process and a client for it.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::time::Duration;

use agents_oauth2_jwt_bearer::{AuthOptions, BearerAuth};
use futures_util::StreamExt;
use local_issuer::LocalIssuer;
use partyserver_native::{Parties, PartyService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A server that runs until the test ends.
pub(crate) struct TestServer {
    pub(crate) issuer: LocalIssuer,
    pub(crate) service: PartyService,
    pub(crate) address: String,
}

impl TestServer {
    /// Serves parties with an issuer of the test's own, without leeway.
    pub(crate) async fn start(parties: impl FnOnce(AuthOptions) -> Parties) -> Self {
        Self::start_with(|options| options, parties).await
    }

    /// The same with further options.
    pub(crate) async fn start_with(
        further: impl FnOnce(AuthOptions) -> AuthOptions,
        parties: impl FnOnce(AuthOptions) -> Parties,
    ) -> Self {
        let issuer = LocalIssuer::builder().start().await.unwrap();
        let options = BearerAuth::builder().issuer(issuer.url()).audience("api");
        let bearer = options.leeway(Duration::ZERO).build().unwrap();
        let options = further(AuthOptions::new(bearer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let service = parties(options).build().unwrap();
        let serving = service.clone();
        tokio::spawn(async move { serving.serve_on(listener, std::future::pending()).await });
        Self {
            issuer,
            service,
            address,
        }
    }

    /// The status of a GET.
    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> u16 {
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "GET {path} HTTP/1.1\r\n{}",
            authorization.unwrap_or_default()
        );
        let answer = self.send(&head).await;
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The whole answer to a request without a body: its line and headers.
    pub(crate) async fn send(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("{head}Host: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub(crate) async fn open(&self, path: &str, token: Option<&str>) -> Socket {
        let query = token
            .map(|token| format!("?access_token={token}"))
            .unwrap_or_default();
        let url = format!("ws://{}{path}{query}", self.address);
        let (socket, _) = ClientBuilder::new()
            .uri(&url)
            .unwrap()
            .connect()
            .await
            .unwrap();
        socket
    }
}

/// The next text.
pub(crate) async fn text(socket: &mut Socket) -> String {
    let message = socket.next().await.unwrap().unwrap();
    message.as_text().expect("a text").to_owned()
}

/// The close frame that must come next.
pub(crate) async fn closed(socket: &mut Socket) -> (u16, String) {
    let message: Message = socket.next().await.expect("a close frame").unwrap();
    let (code, reason) = message.as_close().expect("nothing before the close frame");
    (code.into(), reason.to_owned())
}

/// Waits for a condition that can only be polled.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
    assert!(waited.is_ok(), "{what}");
}
