//! Stateful, real-time rooms: the trait that a room's code implements, and the handles
//! that the code is given.
//!
//! This crate contains no host and knows nothing of OAuth. A host
//! (`partyserver-native`, or Durable Objects) runs rooms through [`host`]. A wrapper
//! (`agents-oauth2-jwt-bearer`) is a [`Server`] around a [`Server`]; it uses [`wrap`].
//!
//! **The contract:** a room handles one event at a time, in order, after `on_start` has
//! succeeded. A socket that was refused was never in the room.
//!
//! # Example
//! A room that refuses the name "closed", and echoes messages with a count:
//! ```
//! use partyserver::*;
//!
//! #[derive(Default)]
//! struct Echo { count: u64 }
//!
//! impl Server for Echo {
//!     async fn on_before_connect(&self, lobby: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
//!         if lobby.room_name() == "closed" {
//!             let answer = answer::text(http::StatusCode::FORBIDDEN, "This room is closed.");
//!             return Ok(ConnectGate::Refuse(Refusal::closing(answer, Close::new(1008, "closed"))));
//!         }
//!         Ok(ConnectGate::Admit(handshake))
//!     }
//!
//!     async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
//!         self.count += 1;
//!         from.send(format!("{}: {}", self.count, message.as_text()?))?;
//!         Ok(())
//!     }
//! }
//! ```

pub mod answer;
mod body;
mod close;
mod cors;
mod error;
mod hooks;
pub mod host;
mod http_types;
mod loggable;
mod maybe_send;
mod message;
mod options;
mod readiness;
mod registry;
mod room;
pub mod router;
mod server;
mod stream_end;
pub mod testing;
pub mod wrap;

pub use body::{Body, BodyError};
pub use close::{Close, CloseEvent};
pub use cors::{Cors, Origins};
pub use error::{Error, Result};
pub use http_types::{Handshake, PeerAddress, Refusal, Request, Response};
pub use loggable::loggable;
pub use maybe_send::{BoxFuture, MaybeSend, MaybeSync};
pub use message::{Message, NotText};
pub use options::{CorsOption, Hibernation, PartyOptions, Subprotocols};
pub use readiness::Readiness;
pub use registry::PartyRegistry;
pub use room::Room;
pub use room::attachments::{
    Attachment, Attachments, Decoder, Encoded, Encoder, Lifetime, Principal,
};
pub use room::connection::{Connection, SendError, StateError};
pub use room::context::{Context, Lobby};
pub use room::locals::Locals;
pub use room::sql::{Rows, Sql, SqlError, SqlValue};
pub use room::storage::{Storage, StorageError, Update};
pub use room::tags::TagError;
pub use server::{Admission, ConnectGate, RequestGate, Server};
pub use stream_end::StreamEnd;
pub use wrap::IntoServer;
