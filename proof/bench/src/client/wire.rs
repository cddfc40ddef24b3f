//! Requests whose bytes are made once, over one connection that is kept alive. This
//! client costs less than the servers that it loads.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// A connection on which every answer has the same status and the same length.
pub(crate) struct Wire {
    stream: TcpStream,
    /// The first line of the answers that are expected.
    status: String,
    answer: Vec<u8>,
    /// The length of the answers. Set when the first has come.
    length: Option<usize>,
}

impl Wire {
    pub(crate) async fn connect(address: &str, status: u16) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            status: format!("HTTP/1.1 {status} "),
            answer: vec![0; 4096],
            length: None,
        })
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        while self.length.is_none_or(|length| filled < length) {
            let count = self.stream.read(&mut self.answer[filled..]).await?;
            if count == 0 {
                return Err("the server closed the connection".into());
            }
            filled += count;
            if self.length.is_none() {
                self.length = length(&self.answer[..filled])?;
            }
        }
        let answer = &self.answer[..filled];
        if self.length == Some(filled) && answer.starts_with(self.status.as_bytes()) {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(answer);
        Err(format!("not {}but: {answer}", self.status).into())
    }
}

/// The bytes of a GET.
pub(crate) fn get(host: &str, path: &str, token: Option<&str>) -> Vec<u8> {
    let token = token.map_or(String::new(), |token| {
        format!("authorization: Bearer {token}\r\n")
    });
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{token}\r\n").into()
}

/// The length of the answer that begins with these bytes, if its head is complete.
fn length(answer: &[u8]) -> Result<Option<usize>> {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&answer[..head])?.to_ascii_lowercase();
    let body = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .ok_or("an answer does not say its length")?;
    Ok(Some(head + 4 + body.trim().parse::<usize>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(length(answer).unwrap(), Some(answer.len()));
        assert_eq!(length(&answer[..30]).unwrap(), None);
        assert!(length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
