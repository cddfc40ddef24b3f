//! Runs `partyserver` rooms as Cloudflare Durable Objects.
//!
//! A Worker verifies each request at the edge, by the gate of its party, and only
//! then addresses the object of the room. The object runs the same server type as
//! the native host does.
//!
//! **The contract:** an object is never started by what its gate refused, and a
//! hook that panics ends its own event, not other rooms.
//!
//! # Example
//! The whole `main.rs` of a Worker whose parties are in a library:
//! ```ignore
//! fn main() {
//!     partyserver_workers::serve(|env| {
//!         let options = AuthOptions::builder().variables(|name| env.var(name));
//!         let options = options.build_on_web(partyserver_workers::spawn)?;
//!         Ok(my_parties(Parties::new(), options))
//!     });
//! }
//! ```

// Elsewhere there is nothing to build, but the tests of what needs no platform run.
#![cfg(target_arch = "wasm32")]

mod alarm;
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

pub use entry::{ConfigError, Env, RoomObject, room_failed, serve, worker_fetch};
pub use http::Chunks;
pub use parties::Parties;
pub use task::{Task, begin, panicked, spawn};
