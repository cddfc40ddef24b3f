//! Runs `partyserver` rooms as Cloudflare Durable Objects.
//!
//! A Worker verifies each request at the edge, with the gate of its party, and only
//! then addresses the object of the room. The object runs the same server type as the
//! native host.
//!
//! **The contract:** a request that its gate refused never starts an object, and a hook
//! that panics ends its own event, not other rooms. After any other trap (no memory
//! left, a stack too deep) all rooms of the isolate start again from storage. Sockets
//! that hibernate stay open; the others are closed with 1011.
//!
//! # Code map
//! The folders follow the security boundary. `worker` is before the gate and sees what
//! anybody sends. `object` is behind it and sees only what the Worker passes on, and
//! the sockets that it has admitted. Neither imports the other: `handoff` is all that
//! passes between them. `platform` knows of neither. What both need is at the root: the
//! site that is served, and the calls that a room answers.
//!
//! # Limits
//! A request's head has at most 64 KiB and 100 headers (431, 414). Its body has at most
//! `PartyOptions::max_body` (413), or 1 MiB outside of rooms, and must arrive within 30
//! s (408). If the platform can't bring a room's answer, safe methods and upgrades are
//! tried twice more, and their hooks may run again then. After that the answer is 503
//! or 1013. The messages of a connection that wait for their turns have at most
//! `PartyOptions::max_queued_bytes`, and everything that waits in a room has at most 32
//! MiB (1013, 503). A client has 5 s to answer a close frame before `on_close` is told.
//! If the outcome of an alarm can't be stored, storing is tried again. `on_alarm` itself
//! runs again only in a new memory.
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

// On other targets there is nothing to build, except the tests of parts that need no
// platform.
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
