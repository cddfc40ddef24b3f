//! The core that all hosts share. Authors of rooms never need it.
//!
//! A host does the I/O. The parts here decide what happens and when. They are given the
//! time and have no input or output beside their arguments. Where several hooks belong
//! together, the part is asynchronous and reaches the host through a small port.
//!
//! | part | decides |
//! |---|---|
//! | [`front`] | the order from a head to an answer: limits, health, routing, CORS, the gate |
//! | [`gate`] | what a party's gate is asked, with the party's options |
//! | [`admission`] | how an upgrade becomes a connection: hooks, public id, a full room |
//! | [`instance`] | the order of a room's hooks |
//! | [`closing`] | the code and the reason of every close frame that a host sends by itself |
//! | [`life`] | what may be handled or sent at a time, and how a connection ends |
//! | [`record`] | what sleeps with a socket |
//! | [`alarm`] | when an alarm runs, is tried again, and when a room is woken |
//! | [`failure`] | what a client and the log are told when a hook failed |
//! | [`backlog`] | the queues of events and messages, and how much may wait |
//! | [`idle`] | how long a room without events stays in memory |
//!
//! The ports that a host implements for a room and its connections are here.

pub mod admission;
pub mod alarm;
mod answer;
pub mod backlog;
pub mod closing;
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
pub use crate::http_types::OnLoopback;
pub use crate::loggable::escaped;
pub use crate::room::port::{ConnectionPort, RoomPort, SqlPort, StoragePort};
pub use crate::room::storage::{Change, RESERVED, StorageStep, UpdateStep};
pub use crate::stream_end::ending;
