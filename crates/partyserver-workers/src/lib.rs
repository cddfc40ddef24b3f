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
//! # Code map
//! The folders draw the security boundary. `worker` is before the gate and sees what
//! anybody sends; `object` is behind it and sees only what the Worker hands over, and the
//! sockets that it has admitted. Neither imports the other: `handoff` is all that passes
//! between them. `platform` knows of neither. What both need (the site that is served, and
//! what a room is asked) stands at the root.
//!
//! # Limits
//! A request's head has at most 64 KiB and 100 headers (431, 414); its body
//! `PartyOptions::max_body` (413), or 1 MiB outside of rooms, and 30 s (408). A room's
//! answer that the platform can't bring is asked for again twice for safe methods and
//! upgrades, whose hooks may run again then; after that it is 503 or 1013. Messages that
//! wait for their turns are at most `PartyOptions::max_queued_bytes` a connection, and all
//! that waits in a room at most 32 MiB (1013, 503). A client has 5 s to answer a
//! close frame before `on_close` is told. Where the outcome of an alarm can't be stored,
//! storing is tried again; `on_alarm` itself runs again only in a new memory.
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

mod handoff;
mod object;
mod parties;
mod party;
mod platform;
mod room;
mod serve;
mod site;
mod worker;

pub use parties::Parties;
pub use platform::task::spawn;
pub use serve::{Env, SetupError, serve};

/// For the shim alone.
#[doc(hidden)]
pub mod shim {
    pub use crate::object::RoomObject;
    pub use crate::platform::http::Chunks;
    pub use crate::platform::task::{Task, begin, panicked};
    pub use crate::worker::{room_failed, worker_fetch};
}
