//! A client of a party. It authenticates as browsers and programs do.

mod http;
mod socket;
pub(crate) mod wire;

use ::http::Uri;

use crate::Result;

pub(crate) use self::http::Http;
pub(crate) use self::socket::Socket;
pub(crate) use self::wire::Wire;

/// A party of a server, and a token that it accepts, if it asks for one.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    party: String,
    token: Option<String>,
}

impl Target {
    /// `party` is the URL that room names are appended to, such as
    /// `http://127.0.0.1:8787/parties/chat`.
    pub(crate) fn new(party: &str, token: &str) -> Self {
        Self {
            party: party.trim_end_matches('/').to_owned(),
            token: Some(token.to_owned()),
        }
    }

    /// A party that asks for no token.
    pub(crate) fn open(party: &str) -> Self {
        Self {
            party: party.trim_end_matches('/').to_owned(),
            token: None,
        }
    }

    /// The URL for requests. Their token is in a header (RFC 6750 section 2.1).
    fn request_uri(&self, room: &str) -> Result<Uri> {
        let uri: Uri = format!("{}/{room}", self.party).parse()?;
        match uri.scheme_str() {
            Some("http") => Ok(uri),
            _ => Err(format!("not an http URL: {}", self.party).into()),
        }
    }

    /// The URL for handshakes. Their token is in the query (RFC 6750 section 2.3),
    /// because browsers can't set headers there.
    fn socket_uri(&self, room: &str) -> Result<Uri> {
        let uri = self.request_uri(room)?.to_string();
        let uri = uri.replacen("http", "ws", 1);
        Ok(match &self.token {
            Some(token) => format!("{uri}?access_token={token}").parse()?,
            None => uri.parse()?,
        })
    }
}

/// The name of the room that connection `index` is in, when there are `rooms` of them.
pub(crate) fn room(index: usize, rooms: usize) -> String {
    format!("bench-{}", index % rooms.max(1))
}
