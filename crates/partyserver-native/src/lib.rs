//! Rooms on one machine: a `partyserver` host on tokio, hyper and SQLite.
//!
//! A request goes one way through this crate: `listen` accepts it, `service`
//! checks and routes it, the party's gate decides on it, and `room` runs it in
//! turn; `store` keeps what must not be lost. The host knows no OAuth.
//!
//! # Example
//! ```no_run
//! use partyserver::*;
//! use partyserver_native::Parties;
//!
//! #[derive(Default)]
//! struct Echo;
//!
//! impl Server for Echo {
//!     async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
//!         from.send(message)?;
//!         Ok(())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), partyserver_native::ServeError> {
//!     Parties::new().party("echo", Echo::default).serve("127.0.0.1:8787").await
//! }
//! ```

mod alarms;
mod clock;
mod connection;
mod connections;
mod descriptors;
mod failure;
mod finish;
mod frames;
mod health;
mod inbound;
mod io;
mod limits;
mod listen;
mod party;
mod places;
mod refused;
mod room;
mod room_cell;
mod sending;
mod serve;
mod service;
mod shutdown;
mod socket;
mod store;
mod sweep;
mod tcp;
mod turn_limit;
mod upgrade;

pub use clock::{Clock, SystemClock};
pub use inbound::AllowedHosts;
pub use limits::Limits;
pub use partyserver::PeerAddress;
pub use serve::{Parties, ServeError, stop_signal};
pub use service::PartyService;
pub use store::StoreError;
