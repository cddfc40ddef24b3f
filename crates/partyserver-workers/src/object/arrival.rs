//! Messages and requests as they arrive, and the limit of what may wait for its turn.

use std::rc::Rc;

use partyserver::host::closing;
use partyserver::{Close, PartyOptions};
use wasm_bindgen::JsValue;

use super::connection::Conn;
use super::turns::{Turn, Turns};

/// A message that has arrived.
pub(super) enum Arrived {
    /// The platform's value, and its text if that was read already.
    Message(JsValue, Option<String>),
    /// The message was not kept. Its sender is closed when its turn comes, so that
    /// earlier messages are handled first.
    Refused(Close),
}

impl Arrived {
    /// Looks at a message before any of it is copied. `length` is at most the number of
    /// its bytes. Nothing more is read from a sender that is refused.
    pub(super) fn of(
        message: (JsValue, Option<String>),
        length: usize,
        sender: Option<&Conn>,
        turns: &Turns,
        options: &PartyOptions,
    ) -> Self {
        let own = sender.map_or(0, |conn| conn.load().get());
        let close = if length > options.max_message {
            closing::message_too_large()
        } else if turns.is_busy() && own + length > options.max_queued_bytes
            || is_full(turns, length)
        {
            closing::too_many_wait()
        } else {
            return Self::Message(message.0, message.1);
        };
        if let Some(sender) = sender {
            sender.stop_reading();
        }
        Self::Refused(close)
    }

    /// The message's turn. The memory that it takes is counted while it waits.
    pub(super) fn turn(&self, length: usize, sender: Option<&Conn>, turns: &Rc<Turns>) -> Rc<Turn> {
        if !turns.is_busy() {
            return turns.turn();
        }
        let kept = match self {
            Self::Message(..) => length,
            Self::Refused(_) => 0,
        };
        let own = sender.map(|conn| Rc::clone(conn.load()));
        let loads = own.into_iter().chain([Rc::clone(turns.load())]);
        turns.turn_with(kept + OVERHEAD, loads.collect())
    }
}

/// Whether so much waits in the room already that there is no place for these bytes.
pub(super) fn is_full(turns: &Turns, bytes: usize) -> bool {
    turns.is_busy() && turns.load().get() + bytes > MAX_WAITING
}

/// What a waiting message costs in addition to its bytes.
const OVERHEAD: usize = 512;
/// How many bytes may wait for their turns in one room: those of messages, and of
/// requests with their bodies. An isolate has 128 MB for all of its rooms.
const MAX_WAITING: usize = 32 * 1024 * 1024;
