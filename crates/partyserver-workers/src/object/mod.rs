//! Behind the gate: a room in its Durable Object. It sees only what the Worker passes
//! on, and the sockets that it has admitted.
//!
//! Each event of the object becomes a task. Everything that a panic could leave behind
//! is also known to the task's last words: the turn, and the connection that joined.

mod alarm;
mod arrival;
mod cell;
mod closing;
mod connection;
mod connections;
mod deadlines;
mod event;
mod events;
mod port;
mod room;
mod sleeping;
mod sql;
mod storage;
mod turns;
mod upgrade;
mod wire;

pub(crate) use self::cell::RoomCell;
pub use self::events::RoomObject;
