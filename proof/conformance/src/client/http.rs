//! HTTP/1.1, with one connection per request.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's only value. A header that occurs twice fails the case.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands twice");
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(_) => panic!("status {} with a body that is not JSON", self.status),
        }
    }

    /// The head of an answer, from its bytes.
    pub(crate) fn parse_head(head: &[u8]) -> io::Result<Self> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no status line"))?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Ok(Self {
            status,
            headers,
            body: Vec::new(),
        })
    }
}

/// Sends bytes, and reads one answer to its end.
pub(crate) async fn exchange(address: &str, bytes: &[u8], is_head: bool) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut read = Vec::new();
    let head_end = loop {
        if let Some(end) = find_head_end(&read) {
            break end;
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::Error::other("the connection ended without an answer"));
        }
    };
    let mut answer = Answer::parse_head(&read[..head_end])?;
    let mut body = read.split_off(head_end + 4);
    let length = answer
        .header("content-length")
        .and_then(|length| length.parse().ok());
    let length: usize = if is_head || answer.status == 101 {
        0
    } else {
        length.unwrap_or(usize::MAX)
    };
    while body.len() < length && stream.read_buf(&mut body).await? > 0 {}
    answer.body = body;
    Ok(answer)
}

pub(crate) fn find_head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n")
}
