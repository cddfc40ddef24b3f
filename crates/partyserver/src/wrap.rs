//! Servers around servers.
//!
//! [`Wrap`] is not at the crate's root, because its hooks have the same names as those
//! of [`Server`]. With both traits in scope, each call would have to name the trait.
//!
//! # Example
//! A wrapper that counts the messages to a room, whatever the room does:
//! ```
//! use partyserver::wrap::Wrap;
//! use partyserver::{Connection, Context, Message, Result, Server};
//!
//! struct Counted<S> {
//!     inner: S,
//!     messages: u64,
//! }
//!
//! impl<S: Server> Wrap for Counted<S> {
//!     type Inner = S;
//!
//!     fn inner(&self) -> &S {
//!         &self.inner
//!     }
//!
//!     fn inner_mut(&mut self) -> &mut S {
//!         &mut self.inner
//!     }
//!
//!     async fn on_message(&mut self, cx: &Context, from: &Connection, message: Message) -> Result<()> {
//!         self.messages += 1;
//!         self.inner.on_message(cx, from, message).await
//!     }
//! }
//!
//! struct Chat;
//! impl Server for Chat {}
//!
//! fn is_a_server(_: impl Server) {}
//! is_a_server(Counted { inner: Chat, messages: 0 });
//! ```

pub use crate::server::{HOOKS, Wrap};

use std::time::SystemTime;

use crate::close::Close;
use crate::room::connection::Connection;
use crate::server::Server;

/// Says until when the identity behind a connection is valid: earlier or later than what
/// was said before. At that time the connection is closed as by [`Connection::close_at`],
/// whose own deadline this does not extend. Returns whether the connection was still open:
/// a renewal revives nothing.
///
/// It is for the one wrapper that gives connections their identity. A room's code has
/// [`Connection::close_at`]: with this it could outlive a token.
pub fn renew(connection: &Connection, until: SystemTime, close: Close) -> bool {
    connection.renew(until, close)
}

/// What a party can be made of: a [`Server`], or a value that becomes one.
///
/// An outermost wrapper is a value that becomes a server. It is no server itself, so no
/// other wrapper can be put around it, and the wrong order does not compile.
pub trait IntoServer {
    /// The server that it becomes.
    type Server: Server;

    /// The server of one room, or of a party's gate.
    fn into_server(self) -> Self::Server;
}

impl<S: Server> IntoServer for S {
    type Server = S;

    fn into_server(self) -> S {
        self
    }
}
