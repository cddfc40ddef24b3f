//! Messages in the platform's form and in the form that hooks see.

use std::cell::RefCell;

use partyserver::Message;
use wasm_bindgen::JsValue;

thread_local! {
    /// The message that is being handled, with the platform's value of it. If a hook
    /// passes the message on, the same value is sent, without a conversion.
    static RECEIVED: RefCell<Option<(Message, JsValue)>> = const { RefCell::new(None) };
}

/// A message in the platform's form. It is converted once for any number of sockets.
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

/// A message from the platform's form: a string or an `ArrayBuffer`. `text` is the
/// string if it was read already.
pub(super) fn decode(data: JsValue, text: Option<String>) -> Message {
    let message: Message = match text.or_else(|| data.as_string()) {
        Some(text) => text.into(),
        None => js_sys::Uint8Array::new(&data).to_vec().into(),
    };
    RECEIVED.set(Some((message.clone(), data)));
    message
}

/// Forgets what [`decode`] keeps.
pub(super) fn forget_received() {
    RECEIVED.set(None);
}

/// Whether two messages share their bytes. The message that is held keeps its bytes
/// alive, so their memory can't belong to anything else.
fn is_same(held: &Message, other: &Message) -> bool {
    std::mem::discriminant(held) == std::mem::discriminant(other)
        && std::ptr::eq(held.as_bytes(), other.as_bytes())
}
