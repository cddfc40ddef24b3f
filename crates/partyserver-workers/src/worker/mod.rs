//! Before the gate: the Worker, which sees what anybody sends. No object is addressed here
//! before the party's gate has admitted the request.

mod fetch;
mod front;
mod refusal;

pub use self::fetch::{room_failed, worker_fetch};
