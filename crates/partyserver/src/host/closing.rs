//! Every close frame that a host sends by itself, with its code and its reason (RFC 6455
//! section 7.4). Those of a room's code and of the wrappers are their own.

use crate::close::Close;

/// Nobody is let in now: a place is missing, or the room can't be reached.
pub fn try_again_later() -> Close {
    Close::new(Close::TRY_AGAIN_LATER, "try again later")
}

/// The room has as many connections as its party allows.
pub fn room_is_full() -> Close {
    Close::new(Close::TRY_AGAIN_LATER, "the room is full")
}

/// More waits to be sent than may wait for one client.
pub fn reads_too_slowly() -> Close {
    Close::new(Close::TRY_AGAIN_LATER, "the client reads too slowly")
}

/// More was sent before the handshake was answered than may wait for one client.
pub fn too_much_at_first() -> Close {
    Close::new(Close::TRY_AGAIN_LATER, "too much was sent to a new client")
}

/// More waits to be handled than may wait of one client, or in one room.
pub fn too_many_wait() -> Close {
    Close::new(Close::TRY_AGAIN_LATER, "too many messages wait")
}

/// A message is over the party's limit.
pub fn message_too_large() -> Close {
    Close::new(Close::TOO_LARGE, "the message is too large")
}

/// The client broke the protocol; the code says how (1002, 1007, 1009).
pub fn broken_rule(code: u16) -> Close {
    Close::new(code, "")
}

/// The server stops.
pub fn server_stops() -> Close {
    Close::new(Close::GOING_AWAY, "the server stops")
}

/// A hook failed; the log has the cause under the same id.
pub fn hook_failed(id: &str) -> Close {
    Close::new(Close::INTERNAL_ERROR, failure_text(id))
}

/// What is known of the connection can't be kept through its room's sleep.
pub fn cannot_be_kept() -> Close {
    Close::new(Close::INTERNAL_ERROR, "")
}

/// The stream has ended, so no frame is sent: what stands in its place.
pub(super) fn stream_ended() -> Close {
    Close::new(Close::GOING_AWAY, "")
}

/// What a client is told of a failure, in a close frame and in an answer.
pub(super) fn failure_text(id: &str) -> String {
    format!("Internal server error ({id})")
}
