//! Failures of hooks: an id for the client, the cause for the log.

use std::any::Any;

use http::StatusCode;
use partyserver::host::{failed, failed_upgrade};
use partyserver::{Connection, Error, Refusal, Response, answer, loggable};

use crate::turn_limit::PastLimit;

/// Why a turn has no outcome.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A hook returned an error.
    Hook(Error),
    /// A hook panicked; the room starts anew.
    Panicked(String),
    /// A hook ran past the turn limit; the room starts anew.
    TimedOut,
}

impl Failure {
    pub(crate) fn from_panic(panic: &(dyn Any + Send)) -> Self {
        if panic.is::<PastLimit>() {
            return Self::TimedOut;
        }
        Self::Panicked(panic_text(panic))
    }

    /// Logs the failure and returns the id that it is logged with.
    pub(crate) fn log(&self, party: &str, room: &str, connection: Option<&Connection>) -> String {
        let id = random_id();
        let room = loggable(room);
        let connection = connection.map(|connection| loggable(connection.id()));
        match self {
            Self::Hook(error) => {
                let error = escaped(&error.to_string());
                tracing::error!(%id, party, room, connection, error, "a hook failed");
            }
            Self::Panicked(panic) => {
                let panic = escaped(panic);
                tracing::error!(%id, party, room, connection, panic, "a hook panicked; the room starts anew");
            }
            Self::TimedOut => {
                tracing::error!(%id, party, room, connection, "a hook ran past the turn limit; the room starts anew");
            }
        }
        id
    }

    /// The answer to the request that met the failure.
    pub(crate) fn to_response(&self, party: &str, room: &str) -> Response {
        if let Self::Hook(error) = self
            && error.status() != StatusCode::INTERNAL_SERVER_ERROR
        {
            return answer::text(error.status(), "The request's body can't be used");
        }
        failed(&self.log(party, room, None))
    }

    /// The refusal of the upgrade that met the failure.
    pub(crate) fn to_refusal(&self, party: &str, room: &str) -> Refusal {
        failed_upgrade(&self.log(party, room, None))
    }
}

/// The answer to a request whose handling panicked outside the rooms: in a
/// fallback or another part of the application.
pub(crate) fn outside_rooms(panic: &(dyn Any + Send)) -> Response {
    let id = random_id();
    let panic = escaped(&panic_text(panic));
    tracing::error!(%id, panic, "answering a request outside the rooms panicked");
    failed(&id)
}

/// What a room is told of the end of a socket whose task panicked.
pub(crate) fn in_a_socket(panic: &(dyn Any + Send)) -> Error {
    let panic = escaped(&panic_text(panic));
    tracing::error!(panic, "serving a socket panicked; the socket is closed");
    Error::msg(panic)
}

/// A server panicked when it was dropped, because its room was idle.
pub(crate) fn at_the_end(panic: &(dyn Any + Send), party: &str) {
    let panic = escaped(&panic_text(panic));
    tracing::error!(party, panic, "a room that fell asleep panicked");
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_default()
}

/// An application's text on one line: it may quote what a client sent.
fn escaped(text: &str) -> String {
    text.chars()
        .take(MAX_LOGGED_CHARS)
        .flat_map(char::escape_debug)
        .collect()
}

/// 64 random bits in hexadecimal.
pub(crate) fn random_id() -> String {
    // Ids only have to differ; without randomness a request still gets one.
    format!("{:016x}", getrandom::u64().unwrap_or_default())
}

/// Errors tell more than one value does, but not without end.
const MAX_LOGGED_CHARS: usize = 1024;
