//! A server in this process and a client for it.
#![allow(dead_code, reason = "each test uses a part of it")]

use futures_util::StreamExt;
use partyserver_native::{Parties, PartyService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{ClientBuilder, MaybeTlsStream, WebSocketStream};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A server that runs until the test ends.
pub(crate) struct TestServer {
    pub(crate) service: PartyService,
    pub(crate) address: String,
}

impl TestServer {
    pub(crate) async fn start(parties: Parties) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let service = parties.build().unwrap();
        let serving = service.clone();
        tokio::spawn(async move { serving.serve_on(listener, std::future::pending()).await });
        Self { service, address }
    }

    /// The status and body of a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = self.tcp().await;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        (status, body)
    }

    pub(crate) async fn open(&self, path: &str) -> Socket {
        let url = format!("ws://{}{path}", self.address);
        let (socket, _) = ClientBuilder::new()
            .uri(&url)
            .unwrap()
            .connect()
            .await
            .unwrap();
        socket
    }

    /// A handshake by hand: a client that does nothing by itself.
    pub(crate) async fn upgrade(&self, path: &str) -> TcpStream {
        let mut stream = self.tcp().await;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        stream
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }
}

/// The next text; pings are answered by reading on.
pub(crate) async fn text(socket: &mut Socket) -> String {
    loop {
        let message = socket.next().await.unwrap().unwrap();
        if !message.is_ping() {
            return message.as_text().expect("a text").to_owned();
        }
    }
}
