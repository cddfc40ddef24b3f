//! Authenticated requests over one connection that is kept alive.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Target;
use crate::Result;

/// A connection to the target.
pub(crate) struct Http {
    target: Target,
    authorization: HeaderValue,
    host: HeaderValue,
    sender: SendRequest<Empty<Bytes>>,
}

impl Http {
    pub(crate) async fn connect(target: &Target) -> Result<Self> {
        let uri = target.request_uri("")?;
        let host = uri.host().ok_or("the URL has no host")?;
        let token = target.token.as_deref().unwrap_or_default();
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The errors of the connection also come back from the requests.
        tokio::spawn(connection);
        Ok(Self {
            target: target.clone(),
            authorization: HeaderValue::try_from(format!("Bearer {token}"))?,
            host: HeaderValue::from_str(uri.authority().map_or(host, |value| value.as_str()))?,
            sender,
        })
    }

    /// Sends a GET to the room. The answer must be 200, and is read to its end.
    pub(crate) async fn get(&mut self, room: &str) -> Result<()> {
        let uri = self.target.request_uri(room)?;
        let request = Request::get(path(&uri))
            .header(HOST, &self.host)
            .header(AUTHORIZATION, &self.authorization)
            .body(Empty::new())?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status == StatusCode::OK {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&body);
        Err(format!("{status}: {}", body.lines().next().unwrap_or_default()).into())
    }
}

fn path(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}
