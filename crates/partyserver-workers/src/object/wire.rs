//! Messages, as the platform has them and as hooks do.

use std::cell::RefCell;

use partyserver::Message;
use wasm_bindgen::JsValue;

thread_local! {
    /// The message that is being handled, and the platform's value of it: one that
    /// is passed on goes out as it came.
    static RECEIVED: RefCell<Option<(Message, JsValue)>> = const { RefCell::new(None) };
}

/// A message as the platform sends it; once for any number of sockets.
pub(super) fn encode(message: &Message) -> JsValue {
    let received = RECEIVED.with_borrow(|received| {
        let (held, data) = received.as_ref()?;
        is_same(held, message).then(|| data.clone())
    });
    received.unwrap_or_else(|| match message {
        Message::Text(text) => JsValue::from_str(text),
        Message::Binary(bytes) => js_sys::Uint8Array::from(&bytes[..]).into(),
    })
}

/// A message as the platform gives it: a string or an `ArrayBuffer`. `text` is the
/// string where it was read already.
pub(super) fn decode(data: JsValue, text: Option<String>) -> Message {
    let message: Message = match text.or_else(|| data.as_string()) {
        Some(text) => text.into(),
        None => js_sys::Uint8Array::new(&data).to_vec().into(),
    };
    RECEIVED.set(Some((message.clone(), data)));
    message
}

/// Lets go of what [`decode`] keeps.
pub(super) fn forget_received() {
    RECEIVED.set(None);
}

/// Whether two messages share their bytes: the one that is held keeps them from
/// being used for anything else.
fn is_same(held: &Message, other: &Message) -> bool {
    std::mem::discriminant(held) == std::mem::discriminant(other)
        && std::ptr::eq(held.as_bytes(), other.as_bytes())
}
