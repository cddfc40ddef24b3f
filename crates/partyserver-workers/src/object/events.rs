//! What the shim calls: the Worker's `fetch`, and the events of an object.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use js_sys::Uint8Array;
use partyserver::host::failed;
use partyserver::router::kebab_case;
use partyserver::{CloseEvent, Error, Response};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker_sys::types::DurableObjectState;

use crate::edge::{self, Incoming, Known};
use crate::failure::Failure;
use crate::handoff::HandOff;
use crate::js::{self, Socket, error_text, random_id};
use crate::parties::{Parties, Site};
use crate::refusal::refuse;
use crate::room_cell::AnyRoom;
use crate::task::Event;
use crate::{http as to_http, log};

/// Why a Worker can't serve. One line, for the operator.
pub type ConfigError = Box<dyn std::error::Error>;

type Make = Box<dyn FnOnce(&Env) -> Result<Parties, ConfigError>>;

thread_local! {
    static MAKE: RefCell<Option<Make>> = const { RefCell::new(None) };
    static SITE: OnceCell<Result<Rc<Site>, String>> = const { OnceCell::new() };
    /// Whether the gates have begun to work in this isolate.
    static IS_STARTED: Cell<bool> = const { Cell::new(false) };
}

/// The variables and secrets of a Worker.
pub struct Env(JsValue);

impl Env {
    /// The text of a variable or secret. `None` when there is none, or when the
    /// binding is no text.
    pub fn var(&self, name: &str) -> Option<String> {
        js_sys::Reflect::get(&self.0, &name.into())
            .ok()?
            .as_string()
    }
}

/// Serves parties; to be called by `main`, once: a second call takes the first's place.
///
/// `make` runs at the first request of an isolate. When it fails, the cause is
/// logged and every request is answered with 500 and the id of that log line: a
/// Worker cannot refuse to start.
pub fn serve(make: impl FnOnce(&Env) -> Result<Parties, ConfigError> + 'static) {
    log::init();
    MAKE.set(Some(Box::new(make)));
}

/// What is served; the error is what is wrong with the configuration.
fn site(env: &JsValue) -> Result<Rc<Site>, String> {
    SITE.with(|site| {
        site.get_or_init(|| {
            let make = MAKE
                .take()
                .ok_or("main does not call serve, or what it serves has panicked")?;
            let parties = make(&Env(env.clone())).map_err(|error| error.to_string())?;
            Ok(Rc::new(parties.build(&js::namespaces(env))?))
        })
        .clone()
    })
}

/// The same for the Worker, whose gates begin to work.
fn served(env: &JsValue) -> Result<Rc<Site>, String> {
    let site = site(env)?;
    if !IS_STARTED.replace(true) {
        for party in &site.parties {
            party.start();
        }
    }
    Ok(site)
}

/// The answer of a Worker whose configuration is wrong.
fn misconfigured(problem: &str) -> JsValue {
    let id = random_id();
    tracing::error!(%id, problem, "the configuration is wrong");
    to_http::response(failed(&id))
}

/// Answers a request to the Worker. `request` is given where it has a body.
#[wasm_bindgen(js_name = workerFetch)]
pub fn worker_fetch(
    env: JsValue,
    method: String,
    url: String,
    headers: String,
    request: JsValue,
) -> JsValue {
    let known = Rc::new(Known::default());
    let panic_known = Rc::clone(&known);
    let answer = async move {
        let site = match served(&env) {
            Ok(site) => site,
            Err(problem) => return misconfigured(&problem),
        };
        let head = match edge::head(&method, &url, &headers) {
            Ok(head) => head,
            Err(refusal) => return to_http::response(*refusal),
        };
        let incoming = Incoming {
            site,
            env,
            request,
            head,
            known,
        };
        incoming.answer().await
    };
    let last_words = move |panic: &str| {
        let failure = Failure::Panicked(panic);
        let Known {
            finish,
            room,
            upgrade,
        } = &*panic_known;
        let (party, room) = room.get().map_or(("", ""), |(party, room)| (party, room));
        match (finish.get(), upgrade.get()) {
            (Some(finish), Some(protocol)) => {
                refuse(failure.to_refusal(party, room), protocol.as_deref(), finish)
            }
            (Some(finish), None) => {
                to_http::response(finish.apply(failure.to_response(party, room)))
            }
            (None, _) => to_http::response(failure.to_response(party, room)),
        }
    };
    Event::new(answer, last_words).begin()
}

/// The answer to a request that the platform could not bring to its room's object.
#[wasm_bindgen(js_name = roomFailed)]
pub fn room_failed(handoff: &str, error: &str, is_transient: bool) -> JsValue {
    let site = SITE.with(|site| site.get().cloned());
    match (site, HandOff::read(handoff)) {
        (Some(Ok(site)), Some(handoff)) => edge::room_failed(&site, &handoff, error, is_transient),
        _ => misconfigured("a request was handed over that this Worker did not make"),
    }
}

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

    /// Answers a request that the Worker hands over. `object` is the class instance in
    /// the shim; it holds this, so it is not kept here.
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

    /// Handles a message. `key` is what `Socket::key` gives, here as below: no number
    /// for none. `length` is that of the data in JavaScript: of UTF-16 units or bytes.
    /// `text` is the data where the shim has read it.
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

    /// Handles the break of a socket.
    pub fn broken(&self, key: f64, socket: JsValue, error: &JsValue) -> JsValue {
        let error = Error::msg(error_text(error));
        self.ended(key, socket, CloseEvent::abnormal(), Some(error))
    }

    /// Handles the platform's alarm: `true` when all that was due is done.
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

    /// The room. An object that the platform wakes for an alarm may not know its
    /// own name; `given` is what the Worker says.
    fn room(&self, given: Option<&str>) -> Result<Rc<dyn AnyRoom>, String> {
        if let Some(room) = self.room.get() {
            return Ok(Rc::clone(room));
        }
        let site = site(&self.env)?;
        let name = kebab_case(&self.class);
        let party = site
            .party(&name)
            .ok_or_else(|| format!("no party is named {name:?}"))?;
        let id = self.state.id().map_err(|thrown| error_text(&thrown))?;
        let own = id.name();
        let own = own.as_deref().or(given);
        let own = own.ok_or("the platform does not say what the object is named")?;
        let room = Rc::clone(party).room(Arc::from(own), self.state.clone().unchecked_into());
        Ok(Rc::clone(self.room.get_or_init(|| room)))
    }
}

/// A connection's key; a socket without one gives no number.
fn known(key: f64) -> Option<u64> {
    (!key.is_nan()).then_some(key as u64)
}

/// The answer to a request that did not pass the gate of this room.
fn not_ours() -> Response {
    partyserver::host::own(
        http::StatusCode::BAD_REQUEST,
        "Not a request of this Worker's",
    )
}
