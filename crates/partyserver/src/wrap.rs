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

use crate::server::Server;

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
