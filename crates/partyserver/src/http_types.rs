//! The HTTP types of hooks.

use std::net::SocketAddr;

use crate::body::Body;
use crate::close::Close;

/// A request to a room. Its URI is absolute and free of credentials.
pub type Request = http::Request<Body>;

/// The upgrade request of a WebSocket. Its URI is absolute and free of
/// credentials.
pub type Handshake = http::Request<()>;

/// An answer.
pub type Response = http::Response<Body>;

/// The address of a request's TCP peer, where the host knows it. It is among the
/// request's extensions, so that a handler of the application can read it. A server
/// that rooms are mounted in puts it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// For hosts: marks a request that came through a listener on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnLoopback;

/// A refusal of an upgrade, in both forms in which a client can be told.
///
/// Browsers hide the status of a refused handshake from the page. So a refusal
/// that a client must understand is a handshake that succeeds, followed at
/// once by a close frame; such a socket never joins the room.
#[derive(Debug)]
pub struct Refusal {
    response: Response,
    close: Option<Close>,
}

impl Refusal {
    /// A refusal that is always sent as this HTTP answer.
    pub fn http(response: Response) -> Self {
        Self {
            response,
            close: None,
        }
    }

    /// A refusal that is sent as a close frame after the handshake. Where the host
    /// can't do that, because its cap on refused sockets is reached, the HTTP answer is
    /// sent instead.
    pub fn closing(response: Response, close: Close) -> Self {
        Self {
            response,
            close: Some(close),
        }
    }

    /// The close frame, where the refusal has one.
    pub fn close(&self) -> Option<&Close> {
        self.close.as_ref()
    }

    /// The HTTP answer.
    pub fn into_response(self) -> Response {
        self.response
    }
}
