//! Clients: one for HTTP that keeps its connection, and one for WebSocket.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_websockets::{ClientBuilder, Config, Limits, Message, WebSocketStream};

/// A connection that sends one request after another.
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Whether it has a header; its name in lower case.
    pub(crate) fn has(&self, name: &str) -> bool {
        let mut names = self.head.lines().filter_map(|line| line.split(':').next());
        names.any(|own| own.eq_ignore_ascii_case(name))
    }
}

impl Http {
    pub(crate) async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
    ) -> io::Result<Answer> {
        let authorization = token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    /// Reads an answer, up to its declared length.
    async fn answer(&mut self) -> io::Result<Answer> {
        let head = head(&mut self.stream).await?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status"))?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or_default()];
        self.stream.read_exact(&mut body).await?;
        Ok(Answer {
            status,
            head,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Sends a request on a new connection. It must be answered.
pub(crate) async fn request(address: &str, method: &str, path: &str, token: &str) -> Answer {
    let exchange = async {
        let mut http = Http::connect(address).await?;
        http.request(method, path, Some(token)).await
    };
    let answer = timeout(PATIENCE, exchange).await;
    answer
        .expect("an answer comes in time")
        .unwrap_or_else(|error| panic!("no answer: {error}"))
}

/// An upgraded connection, for a client that does everything by hand.
pub(crate) async fn upgrade(address: &str, path: &str) -> io::Result<(TcpStream, String)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    upgrade_over(stream, path).await
}

/// The same, over a stream that is open already.
pub(crate) async fn upgrade_over(
    mut stream: TcpStream,
    path: &str,
) -> io::Result<(TcpStream, String)> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let head = head(&mut stream).await?;
    Ok((stream, head))
}

/// A WebSocket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// The result of waiting for a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Text(String),
    Closed(u16, String),
    /// The stream ended without a close frame.
    Gone,
}

impl Socket {
    /// Opens a WebSocket. If the answer is not a 101, returns its status.
    ///
    /// # Errors
    /// When the connection fails.
    pub(crate) async fn try_open(address: &str, path: &str) -> io::Result<Result<Self, u16>> {
        let (stream, head) = upgrade(address, path).await?;
        if !head.starts_with("HTTP/1.1 101 ") {
            let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
            return Ok(Err(status.unwrap_or_default()));
        }
        let stream = ClientBuilder::new()
            .limits(Limits::unlimited())
            .config(Config::default())
            .take_over(stream);
        Ok(Ok(Self(stream)))
    }

    pub(crate) async fn open(address: &str, path: &str) -> Self {
        match timeout(PATIENCE, Self::try_open(address, path)).await {
            Ok(Ok(Ok(socket))) => socket,
            Ok(Ok(Err(status))) => panic!("the handshake was answered with {status}"),
            Ok(Err(error)) => panic!("the handshake failed: {error}"),
            Err(_) => panic!("the handshake was not answered in time"),
        }
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        // If the server has closed the socket, the next receive shows it.
        let _ = self.0.send(Message::text(text.into())).await;
    }

    /// The next text, or the end. Pings are answered meanwhile.
    pub(crate) async fn next(&mut self) -> Received {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(message)) => {
                        if let Some(text) = message.as_text() {
                            return Received::Text(text.to_owned());
                        }
                        if let Some((code, reason)) = message.as_close() {
                            return Received::Closed(code.into(), reason.to_owned());
                        }
                    }
                    Some(Err(_)) | None => return Received::Gone,
                }
            }
        };
        let next = timeout(PATIENCE, next).await;
        next.expect("a message comes in time")
    }

    /// Reads until the end, and skips everything before it.
    pub(crate) async fn end(&mut self) -> Received {
        loop {
            match self.next().await {
                Received::Text(_) => {}
                end => return end,
            }
        }
    }

    /// Sends a text and waits for the same text.
    pub(crate) async fn echo(&mut self, text: &str) {
        self.send(text).await;
        assert_eq!(self.next().await, Received::Text(text.to_owned()));
    }

    /// Closes, and waits until the server has closed too.
    pub(crate) async fn close(mut self) {
        if self.0.close().await.is_ok() {
            while let Some(Ok(_)) = self.0.next().await {}
        }
    }
}

/// Gives this process, and the servers that it starts, as many descriptors as the
/// system allows.
pub(crate) fn allow_many_sockets() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    // If this fails, there are fewer sockets than asked for, and the fault says so.
    let _ = setrlimit(Resource::Nofile, most);
}

/// How many descriptors this process may have.
pub(crate) fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
