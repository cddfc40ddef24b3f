//! The example with its own issuer, on a real socket.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::net::SocketAddr;

use agents_oauth2_jwt_bearer::{AuthOptions, BearerAuth};
use axum::Router;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use local_issuer::{LocalIssuer, TokenBuilder};
use partyserver_native::{Parties, PartyService};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_websockets::{ClientBuilder, Message};

pub struct World {
    pub issuer: LocalIssuer,
    pub app: Router,
    pub auth: BearerAuth,
    pub rooms: PartyService,
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub served: JoinHandle<()>,
}

/// An answer whose body was read.
pub type Answer = http::Response<String>;

/// What a WebSocket was told.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Text(String),
    Close(u16, String),
}

pub fn close(code: u16, reason: &str) -> Told {
    Told::Close(code, reason.to_owned())
}

impl World {
    pub async fn start() -> Self {
        let issuer = LocalIssuer::builder().start().await.unwrap();
        Self::with(issuer, |options| options).await
    }

    pub async fn with(issuer: LocalIssuer, change: impl FnOnce(BearerAuth) -> BearerAuth) -> Self {
        let options = BearerAuth::builder().issuer(issuer.url()).audience("api");
        let options = AuthOptions::new(change(options.build().unwrap()));
        let auth = options.bearer_auth().clone();
        let (app, rooms) = axum_example::app(Parties::new(), options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (service, router) = (rooms.clone(), app.clone());
        let served = tokio::spawn(async move {
            // The end of the test stops the server too.
            let stopped = async { stopped.await.unwrap_or_default() };
            service.serve_with(router, listener, stopped).await;
        });
        Self {
            issuer,
            app,
            auth,
            rooms,
            address,
            stop,
            served,
        }
    }

    /// A token for alice, with the scopes that the server requires in every test.
    pub fn token(&self) -> TokenBuilder {
        self.issuer.token().scope("chat")
    }

    /// `Bearer` with a token for alice.
    pub fn bearer(&self) -> String {
        bearer(self.token())
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut request = http::Request::builder().method(method).uri(path);
        request = request.header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Opens a WebSocket with a token, says hello, and returns what comes first.
    pub async fn hello(&self, token: Option<&str>) -> Told {
        hello(self.address, token).await
    }
}

pub async fn hello(address: SocketAddr, token: Option<&str>) -> Told {
    let token = token.unwrap_or_default();
    let url = format!("ws://{address}/parties/chat/a?access_token={token}");
    let client = ClientBuilder::new().uri(&url).unwrap();
    let (mut socket, answer) = client.connect().await.unwrap();
    // RFC 9112 section 6.3: a 101 has no content.
    assert!(!answer.headers().contains_key("content-length"));
    let _ = futures_util::SinkExt::send(&mut socket, Message::text("hello")).await;
    let message = socket.next().await.unwrap().unwrap();
    match message.as_close() {
        Some((code, reason)) => Told::Close(code.into(), reason.to_owned()),
        None => Told::Text(message.as_text().expect("a text").to_owned()),
    }
}

pub fn bearer(token: TokenBuilder) -> String {
    format!("Bearer {}", token.sign())
}
