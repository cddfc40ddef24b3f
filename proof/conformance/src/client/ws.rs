//! WebSocket frames, one at a time.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http::{Answer, find_head_end};

/// An upgraded connection.
pub(crate) struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
    pub(crate) response: Answer,
}

/// What the server sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Close(Option<u16>, String),
    Ping,
    Pong,
    /// The stream ended.
    End,
}

impl Socket {
    /// Sends a handshake, with `early` in the same write. An answer that is not a 101
    /// is returned as the error.
    pub(crate) async fn open(
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
        early: &[u8],
    ) -> Result<Self, Answer> {
        let failed =
            |error: io::Error| -> ! { panic!("the handshake of {} failed: {error}", shown(path)) };
        let mut stream = TcpStream::connect(address)
            .await
            .unwrap_or_else(|error| failed(error));
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        let bytes = [request.as_bytes(), early].concat();
        stream
            .write_all(&bytes)
            .await
            .unwrap_or_else(|error| failed(error));
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = find_head_end(&read) {
                break end;
            }
            match stream.read_buf(&mut read).await {
                Ok(0) => failed(io::Error::other("the stream ended")),
                Ok(_) => {}
                Err(error) => failed(error),
            }
        };
        let mut response = Answer::parse_head(&read[..end]).unwrap_or_else(|error| failed(error));
        let read = read.split_off(end + 4);
        if response.status == 101 {
            return Ok(Self {
                stream,
                read,
                response,
            });
        }
        response.body = read;
        let length = response
            .header("content-length")
            .and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or_default();
        while response.body.len() < length {
            if matches!(stream.read_buf(&mut response.body).await, Ok(0) | Err(_)) {
                break;
            }
        }
        Err(response)
    }

    pub(crate) async fn send(&mut self, frame: &[u8]) {
        // If the server has closed the stream, it can't be written to. The case notices
        // that when it reads.
        let _ = self.stream.write_all(frame).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(&text_frame(text)).await;
    }

    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        self.send(&frame(
            8,
            &[&code.to_be_bytes(), reason.as_bytes()].concat(),
        ))
        .await;
    }

    /// The next frame. Pings are skipped.
    pub(crate) async fn next(&mut self) -> Frame {
        loop {
            match timeout(PATIENCE, self.next_frame()).await {
                Ok(Ok(Frame::Ping)) => {}
                Ok(Ok(frame)) => return frame,
                Ok(Err(_)) => return Frame::End,
                Err(_) => panic!("no frame came within {PATIENCE:?}"),
            }
        }
    }

    /// The next frame, which must be JSON text.
    #[track_caller]
    pub(crate) fn json(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            match self.next().await {
                Frame::Text(text) => serde_json::from_str(&text)
                    .unwrap_or_else(|_| panic!("{caller}: a frame that is not JSON")),
                other => panic!("{caller}: expected text, got {other:?}"),
            }
        }
    }

    /// Reads to the close frame; anything else before it fails the case.
    pub(crate) async fn refused(mut self) -> (u16, String) {
        match self.next().await {
            Frame::Close(Some(code), reason) => (code, reason),
            other => panic!("expected a close frame first, got {other:?}"),
        }
    }

    /// Reads until the close frame, and skips everything before it.
    pub(crate) async fn closed(&mut self) -> (Option<u16>, String) {
        loop {
            match self.next().await {
                Frame::Close(code, reason) => return (code, reason),
                Frame::End => panic!("the stream ended without a close frame"),
                _ => {}
            }
        }
    }

    async fn next_frame(&mut self) -> io::Result<Frame> {
        let head = self.take(2).await?;
        let length = match head[1] & 0x7f {
            126 => usize::from(u16::from_be_bytes(
                self.take(2).await?.try_into().unwrap_or_default(),
            )),
            127 => {
                let bytes = self.take(8).await?.try_into().unwrap_or_default();
                usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX)
            }
            short => usize::from(short),
        };
        let payload = self.take(length).await?;
        Ok(match head[0] & 0x0f {
            1 => Frame::Text(String::from_utf8_lossy(&payload).into_owned()),
            2 => Frame::Binary(payload),
            9 => Frame::Ping,
            10 => Frame::Pong,
            8 if payload.len() >= 2 => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                Frame::Close(
                    Some(code),
                    String::from_utf8_lossy(&payload[2..]).into_owned(),
                )
            }
            _ => Frame::Close(None, String::new()),
        })
    }

    async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < count {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.read.split_off(count);
        Ok(std::mem::replace(&mut self.read, rest))
    }
}

/// A masked text frame.
pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    frame(1, text.as_bytes())
}

/// A masked, final frame.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// A path without its query, which may hold a token.
fn shown(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

const PATIENCE: Duration = Duration::from_secs(20);
