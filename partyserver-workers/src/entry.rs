//! What the shim calls: the Worker's `fetch`, and the events of an object.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use js_sys::Uint8Array;
use partyserver::host::failed;
use partyserver::router::kebab_case;
use partyserver::{CloseEvent, Error};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker_sys::types::DurableObjectState;

use crate::edge::{self, Incoming, Known};
use crate::failure::Failure;
use crate::handoff::HandOff;
use crate::js::{self, Socket, error_text, random_id};
use crate::parties::{Parties, Site};
use crate::room_cell::{AnyRoom, refuse};
use crate::task;
use crate::{http as to_http, log};

/// Why a Worker can't serve. One line, for the operator.
pub type ConfigError = Box<dyn std::error::Error>;

type Make = Box<dyn FnOnce(&Env) -> Result<Parties, ConfigError>>;

thread_local! {
    static MAKE: RefCell<Option<Make>> = const { RefCell::new(None) };
    static SITE: OnceCell<Result<Rc<Site>, String>> = const { OnceCell::new() };
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

/// Serves parties; to be called by `main`, once.
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
            let make = MAKE.take().ok_or("main does not call serve")?;
            let parties = make(&Env(env.clone())).map_err(|error| error.to_string())?;
            let site = Rc::new(parties.build(&js::namespaces(env))?);
            for party in &site.parties {
                party.start();
            }
            Ok(site)
        })
        .clone()
    })
}

/// The answer of a Worker whose configuration is wrong.
fn misconfigured(problem: &str) -> JsValue {
    let id = random_id();
    tracing::error!(%id, problem, "the configuration is wrong");
    to_http::response(failed(&id))
}

/// Answers a request to the Worker. `request` is given where it has a body.
#[wasm_bindgen(js_name = workerFetch)]
pub fn worker_fetch(env: JsValue, method: String, url: String, headers: String, request: JsValue) {
    let known = Rc::new(Known::default());
    let panic_known = Rc::clone(&known);
    task::offer(
        async move {
            let site = match site(&env) {
                Ok(site) => site,
                Err(problem) => return misconfigured(&problem),
            };
            let Some(head) = edge::head(&method, &url, &headers) else {
                return to_http::response(partyserver::text(
                    http::StatusCode::BAD_REQUEST,
                    "Bad request",
                ));
            };
            let incoming = Incoming {
                site,
                env,
                request,
                head,
                known,
            };
            incoming.answer().await
        },
        move |panic| {
            let failure = Failure::Panicked(panic);
            let Known { finish, upgrade } = &*panic_known;
            match (finish.get(), upgrade.get()) {
                (Some(finish), Some(protocol)) => {
                    refuse(failure.to_refusal("", ""), protocol.as_deref(), finish)
                }
                (Some(finish), None) => {
                    to_http::response(finish.apply(failure.to_response("", "")))
                }
                (None, _) => to_http::response(failure.to_response("", "")),
            }
        },
    )
}

/// The answer to a request that the platform could not bring to its room's object.
#[wasm_bindgen(js_name = roomFailed)]
pub fn room_failed(
    handoff: &str,
    binding: &str,
    room: &str,
    error: &str,
    is_overloaded: bool,
) -> JsValue {
    let site = SITE.with(|site| site.get().cloned());
    match (site, HandOff::read(handoff)) {
        (Some(Ok(site)), Some(handoff)) => {
            edge::room_failed(&site, &handoff, binding, room, error, is_overloaded)
        }
        _ => misconfigured("a request was handed over that this Worker did not make"),
    }
}

/// A room in a Durable Object.
#[wasm_bindgen]
pub struct RoomObject {
    room: Result<Rc<dyn AnyRoom>, String>,
    /// The object's class instance in the shim.
    this: JsValue,
}

#[wasm_bindgen]
impl RoomObject {
    /// The room of an object of a class.
    #[wasm_bindgen(constructor)]
    pub fn new(class: &str, state: DurableObjectState, env: &JsValue, this: JsValue) -> Self {
        Self {
            room: room(class, state, env),
            this,
        }
    }

    /// Answers a request that the Worker hands over.
    pub fn fetch(&self, handoff: Option<String>, body: Option<Uint8Array>) {
        let room = self.room.clone();
        let handoff = handoff.as_deref().and_then(HandOff::read);
        match (room, handoff) {
            (Ok(room), Some(handoff)) => {
                let body = body.map(|body| body.to_vec()).unwrap_or_default();
                room.handle(handoff, body, self.this.clone())
            }
            (Err(problem), _) => answered(misconfigured(&problem)),
            (_, None) => answered(to_http::response(partyserver::text(
                http::StatusCode::BAD_REQUEST,
                "Not a request of this Worker's",
            ))),
        }
    }

    /// Handles a message.
    pub fn message(&self, socket: JsValue, data: JsValue) {
        let socket: Socket = socket.unchecked_into();
        match &self.room {
            Ok(room) => Rc::clone(room).message(socket, data),
            Err(problem) => answered(misconfigured(problem)),
        }
    }

    /// Handles the end of a socket.
    pub fn closed(&self, socket: JsValue, code: u16, reason: String, clean: bool) {
        let event = if clean {
            CloseEvent::clean(code, reason)
        } else {
            CloseEvent::abnormal()
        };
        self.ended(socket, event, None)
    }

    /// Handles the break of a socket.
    pub fn broken(&self, socket: JsValue, error: &JsValue) {
        let error = Error::msg(error_text(error));
        self.ended(socket, CloseEvent::abnormal(), Some(error))
    }

    /// Handles the platform's alarm.
    pub fn alarm(&self) {
        match &self.room {
            Ok(room) => Rc::clone(room).alarm(),
            Err(problem) => answered(misconfigured(problem)),
        }
    }

    fn ended(&self, socket: JsValue, event: CloseEvent, error: Option<Error>) {
        let socket: Socket = socket.unchecked_into();
        match &self.room {
            Ok(room) => Rc::clone(room).closed(socket, event, error),
            Err(problem) => answered(misconfigured(problem)),
        }
    }
}

fn room(class: &str, state: DurableObjectState, env: &JsValue) -> Result<Rc<dyn AnyRoom>, String> {
    let site = site(env)?;
    let name = kebab_case(class);
    let party = site.parties.iter().find(|party| **party.name() == *name);
    let party = party.ok_or_else(|| format!("no party is named {name:?}"))?;
    let id = state.id().map_err(|thrown| error_text(&thrown))?;
    let room = id.name().ok_or("an object's id was not made from a name")?;
    Ok(Rc::clone(party).room(Arc::from(room), state))
}

fn answered(answer: JsValue) {
    task::offer(std::future::ready(answer), |_| JsValue::NULL)
}
