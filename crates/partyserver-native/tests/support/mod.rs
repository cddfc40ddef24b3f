//! A server in this process and a client for it.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use partyserver_native::{Clock, Parties, PartyService};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{ClientBuilder, Limits, MaybeTlsStream, WebSocketStream};
use tower_service::Service as _;

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
        let answer = self.send(&format!("GET {path} HTTP/1.1"), &[]).await;
        (answer.status, answer.body)
    }

    /// The answer to a request without a body.
    pub(crate) async fn send(&self, line: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{line}\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += "Host: localhost\r\n";
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        self.raw(format!("{request}Connection: close\r\n\r\n"))
            .await
    }

    /// The answer to these bytes. All of them are sent before the answer is read.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.tcp().await;
        stream.write_all(request.as_ref()).await.unwrap();
        Answer::read(&mut stream).await
    }

    pub(crate) async fn open(&self, path: &str) -> Socket {
        self.open_with(path, Limits::default()).await
    }

    /// The same, for messages of any size.
    pub(crate) async fn open_of_any_size(&self, path: &str) -> Socket {
        let limits = Limits::default().max_payload_len(None);
        self.open_with(path, limits).await
    }

    async fn open_with(&self, path: &str, limits: Limits) -> Socket {
        let url = format!("ws://{}{path}", self.address);
        let (socket, _) = ClientBuilder::new()
            .limits(limits)
            .uri(&url)
            .unwrap()
            .connect()
            .await
            .unwrap();
        socket
    }

    /// A handshake by hand, for a client that does nothing by itself.
    pub(crate) async fn upgrade(&self, path: &str) -> TcpStream {
        let (stream, head) = self.upgrade_with(path, &[]).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream
    }

    /// A handshake with these bytes directly after it. Also returns the head of the
    /// answer.
    pub(crate) async fn upgrade_with(&self, path: &str, behind: &[u8]) -> (TcpStream, String) {
        let mut stream = self.tcp().await;
        let mut request = handshake(path).into_bytes();
        request.extend(behind);
        stream.write_all(&request).await.unwrap();
        let head = read_head(&mut stream).await;
        (stream, head)
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }
}

/// A wall clock that only the test moves.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<Mutex<SystemTime>>);

impl TestClock {
    pub(crate) fn new() -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Self(Arc::new(Mutex::new(start)))
    }

    pub(crate) fn advance(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// The client's end of a stream. The service serves the other end, as another server
/// would that it is mounted in. The stream takes `width` bytes at a time.
pub(crate) fn mounted(service: &PartyService, width: usize) -> DuplexStream {
    let (client, stream) = tokio::io::duplex(width);
    mount(service, stream);
    client
}

/// Serves a stream, as another server would that the service is mounted in.
pub(crate) fn mount(
    service: &PartyService,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let service = service.clone();
    tokio::spawn(async move {
        let service = hyper::service::service_fn(move |request| service.clone().call(request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
            .with_upgrades();
        // If a connection breaks, only its client is concerned.
        let _ = connection.await;
    });
}

/// The next text. Reading on also answers pings.
pub(crate) async fn text(socket: &mut Socket) -> String {
    loop {
        let message = socket.next().await.unwrap().unwrap();
        if !message.is_ping() {
            return message.as_text().expect("a text").to_owned();
        }
    }
}

/// A handshake, offering the subprotocols `chat` and `other`.
pub(crate) fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: chat, other\r\n\r\n"
    )
}

/// A client's frame, masked with zeros, of less than 64 KiB.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A client's close frame.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.as_bytes());
    frame(8, &payload)
}

/// The bytes of a server's close frame on the wire.
pub(crate) fn closing(code: u16, reason: &str) -> Vec<u8> {
    let mut frame = vec![0x88, u8::try_from(reason.len()).unwrap() + 2];
    frame.extend(code.to_be_bytes());
    frame.extend(reason.as_bytes());
    frame
}

/// Everything up to the end of the stream.
pub(crate) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    read.expect("the stream ends").expect("not by a reset");
    rest
}

pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The code and reason of the close frame, which must come next.
pub(crate) async fn closed(socket: &mut Socket) -> (u16, String) {
    let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
    let message = message.expect("a close frame comes").unwrap().unwrap();
    let (code, reason) = message.as_close().expect("a close frame");
    (code.into(), reason.to_owned())
}

/// Waits for a condition that can only be polled.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
    assert!(waited.is_ok(), "{what}");
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Reads one answer, up to its declared length.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let read = async {
            let head = read_head(stream).await;
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let mut answer = Self {
                status,
                head,
                body: String::new(),
            };
            let length = answer.header("content-length").unwrap_or("0");
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            answer.body = String::from_utf8(body).unwrap();
            answer
        };
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        read.expect("an answer comes")
    }

    /// The value of a header. The name must be in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(": ")?;
            (own.to_lowercase() == name).then_some(value)
        })
    }
}
