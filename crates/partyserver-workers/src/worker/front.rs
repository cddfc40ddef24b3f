//! What the core needs from the platform to serve a request: one request, on its way to
//! its room's object.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use js_sys::Uint8Array;
use partyserver::host::failure::{Failure, Place};
use partyserver::host::front::{self, Brought, Visit};
use partyserver::host::gate::AnyGate;
use partyserver::host::routes::Routes;
use partyserver::host::{Finish, upgrade};
use partyserver::{BodyError, BoxFuture, Handshake, Refusal, Request, Response, Result};
use wasm_bindgen::JsValue;

use super::refusal::{refuse, refused};
use crate::handoff;
use crate::platform::time::{limited, now};
use crate::platform::{http as to_http, js};
use crate::site::Site;

/// A request in the platform's form.
pub(super) struct Incoming {
    site: Rc<Site>,
    env: JsValue,
    known: Rc<Known>,
}

/// What is known about a request so far. If handling it panics, the answer is made from
/// this.
#[derive(Default)]
pub(super) struct Known {
    /// Set when the room of the request is known.
    routed: OnceCell<Routed>,
    /// The subprotocol. Set when the request is known to be a good upgrade.
    upgrade: OnceCell<Option<String>>,
}

/// The party and room of a request, and what every answer to it gets.
struct Routed {
    party: Arc<str>,
    room: String,
    finish: Finish,
}

impl Incoming {
    pub(super) fn new(site: Rc<Site>, env: JsValue, known: Rc<Known>) -> Self {
        Self { site, env, known }
    }

    /// A promise of the answer of the room's object.
    fn hand_off(
        &self,
        visit: &Visit,
        head: &Parts,
        upgrade: Option<Option<&str>>,
        body: Option<Uint8Array>,
    ) -> Result<JsValue> {
        let (is_upgrade, protocol) = (upgrade.is_some(), upgrade.flatten());
        let text = handoff::write(head, visit, is_upgrade, protocol.map(str::to_owned))?;
        Ok(js::hand_off(
            &self.env,
            &self.site.bindings[visit.party],
            visit.lobby.room_name(),
            &text,
            is_upgrade,
            protocol,
            is_upgrade || head.method.is_safe(),
            body,
        ))
    }
}

impl front::Site for Incoming {
    type Client = ();
    /// The subprotocol.
    type Upgrade = Option<String>;
    type Answer = JsValue;

    fn routes(&self) -> &Routes {
        &self.site.routes
    }

    fn parties(&self) -> usize {
        self.site.parties.len()
    }

    fn gate(&self, party: usize) -> &dyn AnyGate {
        self.site.parties[party].gate()
    }

    fn now(&self) -> SystemTime {
        now()
    }

    fn random_id(&self) -> String {
        js::random_id()
    }

    /// The platform makes the URL absolute, and says who the client is.
    fn believe(&self, _: &mut Parts) -> Result<(), Box<Response>> {
        Ok(())
    }

    /// Nothing runs between requests, so a fetch that is due begins here.
    fn problems(&self) -> BoxFuture<'_, Vec<String>> {
        for party in &self.site.parties {
            party.gate().start();
        }
        Box::pin(std::future::ready(Vec::new()))
    }

    /// A panic ends the task, and [`Known::panicked`] concludes it.
    fn guarded<'a, T: 'a>(
        &'a self,
        limit: Duration,
        hook: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T, Failure>> {
        Box::pin(async move {
            let outcome = limited(limit, hook).await;
            Failure::of(outcome.ok_or(Failure::TimedOut))
        })
    }

    fn timed<'a>(
        &'a self,
        limit: Duration,
        body: BoxFuture<'a, Result<Bytes, BodyError>>,
    ) -> BoxFuture<'a, Option<Result<Bytes, BodyError>>> {
        Box::pin(limited(limit, body))
    }

    fn routed(&self, visit: &Visit) {
        // Called once per request, so it is not set already.
        let _ = self.known.routed.set(Routed {
            party: self.gate(visit.party).name().clone(),
            room: visit.lobby.room_name().to_owned(),
            finish: visit.finish.clone(),
        });
    }

    fn upgrade(
        &self,
        head: &mut Parts,
        (): (),
        visit: &Visit,
    ) -> Result<Option<String>, Box<Response>> {
        let subprotocols = &self.gate(visit.party).options().subprotocols;
        let protocol = upgrade::check(&head.method, &head.headers, subprotocols)?;
        // Called once per request, so it is not set already.
        let _ = self.known.upgrade.set(protocol.clone());
        Ok(protocol)
    }

    fn request<'a>(
        &'a self,
        visit: &'a Visit,
        request: Request,
    ) -> BoxFuture<'a, Brought<JsValue>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let answer = async {
                let body = body.bytes().await?;
                let body = (!body.is_empty()).then(|| Uint8Array::from(&body[..]));
                self.hand_off(visit, &head, None, body)
            };
            match answer.await {
                Ok(answer) => Brought::Done(answer),
                Err(error) => {
                    let failure = Failure::Hook(error);
                    Brought::Answer(failure.to_response(&js::random_id(), visit.place()))
                }
            }
        })
    }

    fn connect<'a>(
        &'a self,
        visit: &'a Visit,
        handshake: Handshake,
        protocol: Option<String>,
    ) -> BoxFuture<'a, Brought<JsValue>> {
        let (head, ()) = handshake.into_parts();
        let brought = match self.hand_off(visit, &head, Some(protocol.as_deref()), None) {
            Ok(answer) => Brought::Done(answer),
            Err(error) => {
                let failure = Failure::Hook(error);
                let refusal = failure.to_refusal(&js::random_id(), visit.place());
                self.refuse(refusal, protocol)
            }
        };
        Box::pin(std::future::ready(brought))
    }

    fn refuse(&self, refusal: Refusal, protocol: Option<String>) -> Brought<JsValue> {
        refuse(refusal, protocol.as_deref())
    }

    fn respond(&self, answer: Response) -> JsValue {
        to_http::response(answer)
    }
}

impl Known {
    /// The answer to a request whose handling panicked.
    pub(super) fn panicked(&self, panic: String) -> JsValue {
        let (failure, id) = (Failure::Panicked(panic), js::random_id());
        let Some(routed) = self.routed.get() else {
            let nowhere = Place {
                party: "",
                room: "",
            };
            return to_http::response(failure.to_response(&id, nowhere));
        };
        let place = Place {
            party: &routed.party,
            room: &routed.room,
        };
        match self.upgrade.get() {
            Some(protocol) => refused(
                failure.to_refusal(&id, place),
                protocol.as_deref(),
                &routed.finish,
            ),
            None => to_http::response(routed.finish.apply(failure.to_response(&id, place))),
        }
    }
}
