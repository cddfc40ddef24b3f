//! The calls that an object makes to its room, whatever the room's server is.

use std::rc::Rc;

use partyserver::{CloseEvent, Error};
use wasm_bindgen::JsValue;

use crate::handoff::HandOff;
use crate::platform::js::Socket;
use crate::platform::task::Event;

/// A room of any server. `key` is the key of the socket's connection. It is absent if
/// the connection has not been restored yet.
pub(crate) trait AnyRoom {
    /// Whether this is the room with these names.
    fn is(&self, party: &str, room: &str) -> bool;
    /// Answers a request or an upgrade.
    fn handle(self: Rc<Self>, handoff: HandOff, body: Vec<u8>, object: JsValue) -> Event;
    /// The longest message, in bytes.
    fn max_message(&self) -> usize;
    /// Begins to handle a message.
    fn message(
        self: Rc<Self>,
        key: Option<u64>,
        socket: Socket,
        data: JsValue,
        length: usize,
        text: Option<String>,
    ) -> JsValue;
    /// Handles the end of a socket.
    fn closed(
        self: Rc<Self>,
        key: Option<u64>,
        socket: Socket,
        event: CloseEvent,
        error: Option<Error>,
    ) -> Event;
    /// Handles the platform's alarm. Answers `true` when everything that was due is
    /// done.
    fn alarm(self: Rc<Self>) -> Event;
}
