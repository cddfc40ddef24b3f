//! What the shim and the platform provide, in addition to what `worker-sys` binds.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Response;

use super::http::Chunks;

#[wasm_bindgen]
extern "C" {
    /// The server's end of a WebSocket.
    #[derive(Clone)]
    pub(crate) type Socket;

    #[wasm_bindgen(method, catch)]
    pub(crate) fn accept(this: &Socket) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(crate) fn close(this: &Socket, code: u16, reason: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = close)]
    pub(crate) fn close_without_code(this: &Socket) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = serializeAttachment)]
    pub(crate) fn attach(this: &Socket, text: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = deserializeAttachment)]
    pub(crate) fn attached(this: &Socket) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter, js_name = readyState)]
    pub(crate) fn ready_state(this: &Socket) -> u16;
    /// The connection's own id. The socket has it as long as the object is in memory.
    #[wasm_bindgen(method, getter, js_name = partyserverKey)]
    pub(crate) fn key(this: &Socket) -> Option<f64>;
    #[wasm_bindgen(method, setter, js_name = partyserverKey)]
    pub(crate) fn set_key(this: &Socket, key: f64);
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_name = setTimeout)]
    pub(crate) fn set_timeout(
        callback: &Closure<dyn FnMut()>,
        millis: f64,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = clearTimeout)]
    pub(crate) fn clear_timeout(id: &JsValue) -> Result<(), JsValue>;
}

#[wasm_bindgen]
extern "C" {
    /// A response. In `head`, two lines are a name and a value.
    #[wasm_bindgen(catch, js_name = partyserverRespond)]
    pub(crate) fn respond(status: u16, head: &str, body: &JsValue) -> Result<Response, JsValue>;
    /// A 101 for the client's end of a socket.
    #[wasm_bindgen(js_name = partyserverUpgrade)]
    pub(crate) fn upgrade(client: &JsValue, protocol: Option<&str>) -> Response;
    /// A 101 for a socket that is closed at once.
    #[wasm_bindgen(catch, js_name = partyserverRefuse)]
    pub(crate) fn refuse(
        code: u16,
        reason: &str,
        protocol: Option<&str>,
    ) -> Result<Response, JsValue>;
    /// The whole body of a request: its bytes, or `null` when it is longer.
    #[wasm_bindgen(js_name = partyserverBody)]
    pub(crate) fn body(request: &JsValue, max: f64) -> Promise;
    /// Sends a request to the object of a room. Returns a promise of its answer, or of
    /// the answer of `room_failed`.
    #[wasm_bindgen(js_name = partyserverHandOff)]
    pub(crate) fn hand_off(
        env: &JsValue,
        binding: &str,
        room: &str,
        handoff: &str,
        is_upgrade: bool,
        protocol: Option<&str>,
        is_safe: bool,
        body: Option<Uint8Array>,
    ) -> JsValue;
    /// The names of the bindings that are namespaces of Durable Objects.
    #[wasm_bindgen(js_name = partyserverNamespaces)]
    pub(crate) fn namespaces(env: &JsValue) -> Vec<String>;
    /// A stream of chunks.
    #[wasm_bindgen(js_name = partyserverStream)]
    pub(crate) fn stream(chunks: Chunks) -> JsValue;
    /// 64 random bits in hexadecimal.
    #[wasm_bindgen(js_name = partyserverRandomId)]
    pub(crate) fn random_id() -> String;
    /// Sends a string or bytes; `false` when the socket has ended.
    #[wasm_bindgen(js_name = partyserverSend)]
    pub(crate) fn send(socket: &Socket, data: &JsValue) -> bool;
    /// Calls back with the events of a socket that does not hibernate.
    #[wasm_bindgen(js_name = partyserverListen)]
    pub(crate) fn listen(object: &JsValue, socket: &Socket);
}

/// The result of a promise. An error is the value that it was rejected with.
pub(crate) async fn settled(promise: Result<Promise, JsValue>) -> Result<JsValue, JsValue> {
    js_sys::futures::JsFuture::from(promise?).await
}

/// The text of something that was thrown.
pub(crate) fn error_text(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{thrown:?}"),
    }
}
