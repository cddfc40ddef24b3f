//! Converts messages and close frames between rooms and the wire.

use bytestring::ByteString;
use partyserver::{Close, CloseEvent, Message};
use tokio_websockets::{CloseCode, Message as WsMessage};

/// The content of the client's close frame. The code is 1005 when the frame has none.
pub(crate) fn close_event(message: &WsMessage) -> CloseEvent {
    match message.as_close() {
        Some((code, reason)) => CloseEvent::clean(code.into(), reason),
        None => CloseEvent::clean(1005, ""),
    }
}

pub(crate) fn close_message(close: &Close) -> WsMessage {
    let code = CloseCode::try_from(close.code()).ok();
    WsMessage::close(code, close.reason())
}

/// A message for the room. `None` for pings and pongs.
pub(crate) fn from_wire(message: WsMessage) -> Option<Message> {
    let is_text = message.is_text();
    if !is_text && !message.is_binary() {
        return None;
    }
    let bytes: bytes::Bytes = message.into_payload().into();
    if !is_text {
        return Some(Message::Binary(bytes));
    }
    // The stream has checked that it is UTF-8.
    ByteString::try_from(bytes).ok().map(Message::Text)
}
