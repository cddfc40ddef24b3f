//! Rooms on one machine: a `partyserver` host on tokio, hyper and SQLite.
//!
//! A request goes one way through this crate: `listen` accepts it, `service` checks it
//! and brings it through the party's gate, and `room` runs it in its turn. `socket`
//! serves upgraded connections, and `store` keeps the data that must not be lost.
//! `partyserver::host` makes the decisions on that way, the same for every host. This
//! crate knows nothing of OAuth.
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

mod clock;
mod failure;
mod host;
mod limits;
mod listen;
mod parties;
mod room;
mod service;
mod site;
mod socket;
mod stop;
mod store;
mod trust;
mod turn_limit;

pub use clock::{Clock, SystemClock};
pub use limits::Limits;
pub use parties::{Parties, ServeError};
pub use partyserver::PeerAddress;
pub use service::PartyService;
pub use stop::stop_signal;
pub use store::StoreError;
pub use trust::AllowedHosts;
