//! The core beneath the hosts. Users of rooms never need it.
//!
//! A host does I/O; what it does when is decided here, in parts that are given the time
//! and have no other input or output than their arguments. Where several hooks belong
//! together, a part is asynchronous over a small port.
//!
//! | part | decides |
//! |---|---|
//! | [`front`] | the order from a head to an answer: limits, health, routing, CORS, the gate |
//! | [`gate`] | what a party's gate is asked, with the party's options |
//! | [`admission`] | how an upgrade becomes a connection: hooks, public id, a full room |
//! | [`instance`] | the order of a room's hooks |
//! | [`life`] | what may be handled or sent at a time, and how a connection ends |
//! | [`record`] | what sleeps with a socket |
//! | [`alarm`] | when an alarm runs, is tried again, and when a room is woken |
//! | [`failure`] | what a client and the log are told of a hook that failed |
//! | [`backlog`] | what waits, and how much may |
//! | [`idle`] | how long a room without events stays in memory |
//!
//! The ports that a host implements for a room and its connections are here.

pub mod admission;
pub mod alarm;
mod answer;
pub mod backlog;
pub mod failure;
mod finish;
pub mod front;
pub mod gate;
pub mod idle;
pub mod inbound;
pub mod instance;
pub mod life;
pub mod record;
pub mod routes;
pub mod upgrade;

pub use self::answer::{at_capacity, own, unavailable};
pub use self::finish::Finish;
pub use crate::loggable::escaped;
pub use crate::room::port::{ConnectionPort, RoomPort, SqlPort, StoragePort};
pub use crate::room::storage::{Change, RESERVED, StorageStep, UpdateStep};
pub use crate::stream_end::ending;
