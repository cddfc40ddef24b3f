//! What a case has: an issuer, a server, and short ways to use both.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use local_issuer::{LocalIssuer, TokenBuilder};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::http::{Answer, exchange};
use crate::client::ws::Socket;
use crate::server::{Served, Server, Start};

/// An issuer, and a server that accepts its tokens.
pub(crate) struct World {
    pub(crate) issuer: LocalIssuer,
    pub(crate) server: Server,
    pub(crate) start: Start,
    pub(crate) folder: TempDir,
}

/// A request to be sent.
pub(crate) struct Request<'w> {
    world: &'w World,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl World {
    /// A separate world, for cases that break things.
    pub(crate) async fn new(served: &Served) -> Self {
        let issuer = LocalIssuer::builder()
            .start()
            .await
            .expect("the issuer starts");
        Self::with_issuer(served, issuer).await
    }

    pub(crate) async fn with_issuer(served: &Served, issuer: LocalIssuer) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let start = Start {
            served: served.clone(),
            issuer: Some(issuer.url()),
            audience: Some("api".into()),
            data: folder.path().join("data"),
            listen: "127.0.0.1:0".into(),
        };
        Self::with_start(start, folder, issuer).await
    }

    /// A server that is started in this way. The folder exists as long as the server
    /// runs.
    pub(crate) async fn with_start(start: Start, folder: TempDir, issuer: LocalIssuer) -> Self {
        let server = start.run().await;
        Self {
            issuer,
            server: server.unwrap_or_else(|error| panic!("no start: {error}")),
            start,
            folder,
        }
    }

    pub(crate) fn token(&self) -> TokenBuilder {
        self.issuer.token()
    }

    pub(crate) fn alice(&self) -> String {
        self.token().subject("alice").sign()
    }

    pub(crate) fn bob(&self) -> String {
        self.token().subject("bob").sign()
    }

    pub(crate) fn get(&self, path: &str) -> Request<'_> {
        self.request("GET", path)
    }

    pub(crate) fn request(&self, method: &'static str, path: &str) -> Request<'_> {
        Request {
            world: self,
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Opens a WebSocket. An answer that is not a 101 is the error.
    pub(crate) async fn try_open(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Socket, Answer> {
        Socket::open(&self.server.address, path, headers, &[]).await
    }

    pub(crate) async fn open(&self, path: &str) -> Socket {
        self.open_with(path, &[]).await
    }

    pub(crate) async fn open_with(&self, path: &str, headers: &[(&str, &str)]) -> Socket {
        match self.try_open(path, headers).await {
            Ok(socket) => socket,
            Err(answer) => panic!("the handshake was answered with {}", answer.status),
        }
    }

    /// Opens a WebSocket with a token in the query. The path may have a query too.
    pub(crate) async fn open_as(&self, token: &str, path: &str) -> Socket {
        self.open(&with_token(path, token)).await
    }

    /// The same, and reads the welcome frame, which is returned.
    pub(crate) async fn join(&self, token: &str, path: &str) -> (Socket, Value) {
        let mut socket = self.open_as(token, path).await;
        let welcome = socket.json().await;
        assert_eq!(welcome["type"], "welcome");
        (socket, welcome)
    }

    /// Makes the token's user the owner of a private room.
    pub(crate) async fn claim(&self, token: &str, path: &str) -> Answer {
        self.request("POST", &format!("{path}/claim"))
            .bearer(token)
            .send()
            .await
    }
}

impl Request<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let address = &self.world.server.address;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nConnection: close\r\n",
            self.method, self.path
        );
        if !self.headers.iter().any(|(name, _)| name == "Host") {
            head += &format!("Host: {address}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let bytes = [head.as_bytes(), b"\r\n", &self.body].concat();
        let answer = exchange(address, &bytes, self.method == "HEAD").await;
        answer.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    pub(crate) async fn status(self) -> u16 {
        self.send().await.status
    }
}

/// A path with a token in its query.
pub(crate) fn with_token(path: &str, token: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}access_token={token}")
}

pub(crate) fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// Asks again until the answer is yes, for a limited time. It is for changes that the
/// server makes by itself and does not announce.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    for _ in 0..200 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come true: {what}");
}

pub(crate) type Shared = Arc<World>;
