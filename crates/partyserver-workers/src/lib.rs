//! Runs `partyserver` rooms as Cloudflare Durable Objects.
//!
//! A Worker verifies each request at the edge, by the gate of its party, and only
//! then addresses the object of the room. The object runs the same server type as
//! the native host does.
//!
//! **The contract:** an object is never started by what its gate refused, and a
//! hook that panics ends its own event, not other rooms. After any other trap (memory
//! used up, a stack too deep) all rooms of the isolate begin anew from storage: sockets
//! that hibernate stay, the others are closed with 1011.
//!
//! # Limits
//! A request's head has at most 64 KiB and 100 headers (431, 414); its body
//! `PartyOptions::max_body` (413), or 1 MiB outside of rooms, and 30 s (408). A room's
//! answer that the platform can't bring is asked for again twice for safe methods and
//! upgrades, whose hooks may run again then; after that it is 503 or 1013. Messages that
//! wait for their turns are at most `PartyOptions::max_queued_bytes` a connection, and all
//! that waits in a room at most 32 MiB (1013, 503). A client has 5 s to answer a
//! close frame before `on_close` is told. An alarm whose outcome can't be stored is
//! tried again by the platform.
//!
//! # Example
//! The whole `main.rs` of a Worker whose parties are in a library:
//! ```ignore
//! fn main() {
//!     partyserver_workers::serve(|env| {
//!         let bearer = BearerAuth::builder().variables(|name| env.var(name));
//!         let options = AuthOptions::new(bearer.build_on_web(partyserver_workers::spawn)?);
//!         Ok(my_parties(Parties::new(), options))
//!     });
//! }
//! ```

// Elsewhere there is nothing to build, but the tests of what needs no platform run.
#![cfg(target_arch = "wasm32")]

mod alarm;
mod arrival;
mod attachment;
mod edge;
mod entry;
mod failure;
mod finish;
mod handoff;
mod http;
mod js;
mod log;
mod parties;
mod party;
mod refusal;
mod room;
mod room_cell;
mod socket;
mod sql;
mod storage;
mod task;
mod time;
mod turns;

pub use entry::{ConfigError, Env, serve};
pub use parties::Parties;
pub use task::spawn;

/// For the shim alone.
#[doc(hidden)]
pub mod shim {
    pub use crate::entry::{RoomObject, room_failed, worker_fetch};
    pub use crate::http::Chunks;
    pub use crate::task::{Task, begin, panicked};
}
