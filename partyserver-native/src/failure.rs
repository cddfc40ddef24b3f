//! Failures of hooks: an id for the client, the cause for the log.

use std::any::Any;

use http::StatusCode;
use partyserver::{Error, Response, loggable, text};

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
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panicked(text.unwrap_or_default())
    }

    /// Logs the failure and returns the id that it is logged with.
    pub(crate) fn log(&self, party: &str, room: &str) -> String {
        let id = random_id();
        let room = loggable(room);
        match self {
            Self::Hook(error) => {
                tracing::error!(%id, party, %room, %error, "a hook failed");
            }
            Self::Panicked(panic) => {
                tracing::error!(%id, party, %room, %panic, "a hook panicked; the room starts anew");
            }
            Self::TimedOut => {
                tracing::error!(%id, party, %room, "a hook ran past the turn limit; the room starts anew");
            }
        }
        id
    }

    /// The answer to the request that met the failure.
    pub(crate) fn to_response(&self, party: &str, room: &str) -> Response {
        if let Self::Hook(error) = self
            && error.status() != StatusCode::INTERNAL_SERVER_ERROR
        {
            return text(error.status(), "The request's body can't be used");
        }
        let id = self.log(party, room);
        text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("Internal server error ({id})"),
        )
    }
}

/// 64 random bits in hexadecimal.
pub(crate) fn random_id() -> String {
    // Ids only have to differ; without randomness a request still gets one.
    format!("{:016x}", getrandom::u64().unwrap_or_default())
}
