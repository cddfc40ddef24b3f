//! The kit as a site: the part of the way from a head to an answer that each host
//! implements itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::guard::{Cut, within};
use super::kit::{Kit, Trouble};
use super::party::AnyParty;
use super::socket::TestSocket;
use crate::body::{Body, BodyError};
use crate::error::{Error, Result};
use crate::host::ending;
use crate::host::failure::Failure;
use crate::host::front::{self, Brought, Visit};
use crate::host::gate::AnyGate;
use crate::host::own;
use crate::host::routes::Routes;
use crate::host::upgrade;
use crate::http_types::{Handshake, Refusal, Request, Response};
use crate::maybe_send::{BoxFuture, MaybeSend};

/// An application in the kit.
pub(super) struct Site {
    pub(super) kit: Arc<Kit>,
    pub(super) routes: Routes,
    pub(super) parties: Vec<Box<dyn AnyParty>>,
}

/// The result of a request.
pub(super) enum Answer {
    Http(Response),
    Socket(TestSocket),
}

impl Site {
    /// Answers a request, wherever it leads.
    pub(super) async fn answer(&self, request: Request) -> Answer {
        let (head, body) = request.into_parts();
        let answer = front::answer(self, head, move |max| limited(body, max)).await;
        self.ending(answer)
    }

    /// Answers a request that is for a room of the first party.
    pub(super) async fn enter(&self, room: &str, request: Request) -> Answer {
        let (mut head, body) = request.into_parts();
        let answer = match front::Site::believe(self, &mut head) {
            Ok(()) => {
                let body = move |max| limited(body, max);
                front::enter(self, (0, room), head, (), body).await
            }
            Err(refusal) => Answer::Http(*refusal),
        };
        self.ending(answer)
    }

    fn ending(&self, answer: Answer) -> Answer {
        let Answer::Http(answer) = answer else {
            return answer;
        };
        let (clock, kit) = (Arc::clone(&self.kit), Arc::clone(&self.kit));
        Answer::Http(ending(
            answer,
            move || clock.now(),
            move |time| kit.wait(time),
        ))
    }
}

impl front::Site for Site {
    type Client = ();
    /// The subprotocol that was selected.
    type Upgrade = Option<String>;
    type Answer = Answer;

    fn routes(&self) -> &Routes {
        &self.routes
    }

    fn parties(&self) -> usize {
        self.parties.len()
    }

    fn gate(&self, party: usize) -> &dyn AnyGate {
        self.parties[party].gate()
    }

    fn now(&self) -> SystemTime {
        self.kit.now()
    }

    fn random_id(&self) -> String {
        self.kit.next_id()
    }

    fn believe(&self, head: &mut Parts) -> Result<(), Box<Response>> {
        if head.uri.authority().is_some() {
            return Ok(());
        }
        head.uri = absolute(head).ok_or_else(|| {
            let refusal = own(StatusCode::BAD_REQUEST, "The Host header is malformed");
            Box::new(refusal)
        })?;
        Ok(())
    }

    fn problems(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn guarded<'a, T: MaybeSend + 'a>(
        &'a self,
        limit: Duration,
        hook: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T, Failure>> {
        Box::pin(async move {
            match within(&self.kit.clock, limit, hook).await {
                Ok(Err(error)) if error.status().is_server_error() => {
                    let told = Error::msg(error.to_string());
                    self.kit.trouble(Trouble::Error(error));
                    Err(Failure::Hook(told))
                }
                Ok(outcome) => outcome.map_err(Failure::Hook),
                Err(cut) => {
                    let failure = cut.failure();
                    self.kit.trouble(Trouble::Cut(cut));
                    Err(failure)
                }
            }
        })
    }

    fn timed<'a>(
        &'a self,
        limit: Duration,
        body: BoxFuture<'a, Result<Bytes, BodyError>>,
    ) -> BoxFuture<'a, Option<Result<Bytes, BodyError>>> {
        Box::pin(async move {
            match within(&self.kit.clock, limit, body).await {
                Ok(read) => Some(read),
                Err(Cut::TimedOut) => None,
                Err(Cut::Panicked(panic)) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn upgrade(
        &self,
        head: &mut Parts,
        (): (),
        visit: &Visit,
    ) -> Result<Option<String>, Box<Response>> {
        let subprotocols = &self.gate(visit.party).options().subprotocols;
        upgrade::check(&head.method, &head.headers, subprotocols)
    }

    fn request<'a>(&'a self, visit: &'a Visit, request: Request) -> BoxFuture<'a, Brought<Answer>> {
        let room = self.parties[visit.party].room(visit.lobby.room_name());
        let of = visit.lobby.attachments().clone();
        Box::pin(async move { Brought::Answer(room.request(request, of).await) })
    }

    fn connect<'a>(
        &'a self,
        visit: &'a Visit,
        handshake: Handshake,
        subprotocol: Option<String>,
    ) -> BoxFuture<'a, Brought<Answer>> {
        let room = self.parties[visit.party].room(visit.lobby.room_name());
        let of = visit.lobby.attachments().clone();
        Box::pin(async move {
            match room.connect(handshake, of).await {
                Ok(line) => Brought::Done(Answer::Socket(TestSocket::admitted(line, subprotocol))),
                Err(refusal) => self.refuse(*refusal, subprotocol),
            }
        })
    }

    fn refuse(&self, refusal: Refusal, subprotocol: Option<String>) -> Brought<Answer> {
        match refusal.close().cloned() {
            Some(close) => Brought::Done(Answer::Socket(TestSocket::refused(close, subprotocol))),
            None => Brought::Answer(refusal.into_response()),
        }
    }

    fn respond(&self, answer: Response) -> Answer {
        Answer::Http(answer)
    }
}

/// A handshake with the headers that make it an upgrade; those that are missing are
/// added.
pub(super) fn as_upgrade(handshake: Handshake) -> Request {
    let mut request = handshake.map(|()| Body::empty());
    for (name, value) in [
        (CONNECTION, "Upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_VERSION, "13"),
        (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        let value = HeaderValue::from_static(value);
        request.headers_mut().entry(name).or_insert(value);
    }
    request
}

/// The absolute URL, with the host name from the head, or `test` if it has none.
fn absolute(head: &Parts) -> Option<Uri> {
    let host = match head.headers.get(HOST) {
        Some(host) => Authority::try_from(host.as_bytes()).ok()?,
        None => Authority::from_static("test"),
    };
    let path = head.uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(host);
    uri.path_and_query(path).build().ok()
}

/// A body that yields at most this many bytes.
fn limited(body: Body, max: usize) -> Body {
    let size = http_body::Body::size_hint(&body).exact();
    if body.is_whole() && size.is_some_and(|size| size <= max as u64) {
        return body;
    }
    let limited = Limited::new(body, max);
    Body::stream(
        limited.map_err(|error| match error.downcast::<BodyError>() {
            Ok(error) => *error,
            Err(error) if error.is::<LengthLimitError>() => BodyError::TooLarge,
            Err(error) => BodyError::Interrupted(error),
        }),
    )
}
