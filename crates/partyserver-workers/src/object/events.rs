//! The events of a Durable Object, in the form in which the shim calls them.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use js_sys::Uint8Array;
use partyserver::host::own;
use partyserver::router::kebab_case;
use partyserver::{CloseEvent, Error, Response};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker_sys::types::DurableObjectState;

use crate::handoff::HandOff;
use crate::platform::http as to_http;
use crate::platform::js::{Socket, error_text};
use crate::room::AnyRoom;
use crate::site::{Site, misconfigured};

/// A room in a Durable Object.
#[wasm_bindgen]
pub struct RoomObject {
    class: String,
    state: DurableObjectState,
    env: JsValue,
    room: OnceCell<Rc<dyn AnyRoom>>,
}

#[wasm_bindgen]
impl RoomObject {
    /// The room of an object of a class.
    #[wasm_bindgen(constructor)]
    pub fn new(class: String, state: DurableObjectState, env: JsValue) -> Self {
        Self {
            class,
            state,
            env,
            room: OnceCell::new(),
        }
    }

    /// Answers a request that the Worker passes on. `object` is the class instance in
    /// the shim. It holds this value, so this value does not keep it.
    pub fn fetch(
        &self,
        handoff: Option<String>,
        body: Option<Uint8Array>,
        object: JsValue,
    ) -> JsValue {
        let Some(handoff) = handoff.as_deref().and_then(HandOff::read) else {
            return to_http::response(not_ours());
        };
        match self.room(Some(&handoff.room)) {
            Ok(room) if room.is(&handoff.party, &handoff.room) => {
                let body = body.map(|body| body.to_vec()).unwrap_or_default();
                room.handle(handoff, body, object).begin()
            }
            Ok(_) => to_http::response(not_ours()),
            Err(problem) => misconfigured(&problem),
        }
    }

    /// The longest message, in bytes; 0 while it is not known.
    #[wasm_bindgen(js_name = readMaxMessage)]
    pub fn max_message(&self) -> f64 {
        let room = self.room(None);
        room.map_or(0.0, |room| room.max_message() as f64)
    }

    /// Handles a message. `key` is the value of `Socket::key`; a socket without a key
    /// gives no number. The same holds for the methods below. `length` is the length of
    /// the data in JavaScript, in UTF-16 units or bytes. `text` is the data if the shim
    /// has read it as text.
    pub fn message(
        &self,
        key: f64,
        socket: JsValue,
        data: JsValue,
        length: f64,
        text: Option<String>,
    ) -> JsValue {
        let socket: Socket = socket.unchecked_into();
        match self.room(None) {
            Ok(room) => room.message(known(key), socket, data, length as usize, text),
            Err(problem) => misconfigured(&problem),
        }
    }

    /// Handles the end of a socket.
    pub fn closed(
        &self,
        key: f64,
        socket: JsValue,
        code: u16,
        reason: String,
        clean: bool,
    ) -> JsValue {
        let event = if clean {
            CloseEvent::clean(code, reason)
        } else {
            CloseEvent::abnormal()
        };
        self.ended(key, socket, event, None)
    }

    /// Handles a socket that broke.
    pub fn broken(&self, key: f64, socket: JsValue, error: &JsValue) -> JsValue {
        let error = Error::msg(error_text(error));
        self.ended(key, socket, CloseEvent::abnormal(), Some(error))
    }

    /// Handles the platform's alarm. `true` when everything that was due is done.
    pub fn alarm(&self) -> JsValue {
        match self.room(None) {
            Ok(room) => room.alarm().begin(),
            Err(problem) => misconfigured(&problem),
        }
    }

    fn ended(&self, key: f64, socket: JsValue, event: CloseEvent, error: Option<Error>) -> JsValue {
        let socket: Socket = socket.unchecked_into();
        match self.room(None) {
            Ok(room) => room.closed(known(key), socket, event, error).begin(),
            Err(problem) => misconfigured(&problem),
        }
    }

    /// The room. When the platform wakes an object for an alarm, the object may not
    /// know its own name. `given` is the name that the Worker says.
    fn room(&self, given: Option<&str>) -> Result<Rc<dyn AnyRoom>, String> {
        if let Some(room) = self.room.get() {
            return Ok(Rc::clone(room));
        }
        let site = Site::of(&self.env)?;
        let name = kebab_case(&self.class);
        let party = site
            .party(&name)
            .ok_or_else(|| format!("no party is named {name:?}"))?;
        let id = self.state.id().map_err(|thrown| error_text(&thrown))?;
        let own = id.name();
        let own = own.as_deref().or(given);
        let own = own.ok_or("the platform does not say what the object is named")?;
        let room = party.room(Arc::from(own), self.state.clone().unchecked_into());
        Ok(Rc::clone(self.room.get_or_init(|| room)))
    }
}

/// A connection's key. A socket without one gives no number.
fn known(key: f64) -> Option<u64> {
    (!key.is_nan()).then_some(key as u64)
}

/// The answer to a request that did not come through the gate of this room.
fn not_ours() -> Response {
    own(
        http::StatusCode::BAD_REQUEST,
        "Not a request of this Worker's",
    )
}
