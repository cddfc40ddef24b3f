//! Before the gate: the Worker, which sees what anybody sends. It addresses no object
//! before the party's gate has admitted the request.

mod fetch;
mod front;
mod refusal;

pub use self::fetch::{room_failed, worker_fetch};
