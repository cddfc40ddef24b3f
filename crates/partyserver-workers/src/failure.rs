//! Failures of hooks: an id for the client, the cause for the log.

use http::StatusCode;
use partyserver::host::{failed, failed_upgrade};
use partyserver::{Connection, Error, Refusal, Response, answer, loggable};

use crate::js::random_id;

/// Why a turn has no outcome.
pub(crate) enum Failure<'t> {
    /// A hook returned an error.
    Hook(Error),
    /// A hook panicked; the room starts anew.
    Panicked(&'t str),
    /// A hook ran past the turn limit; the room starts anew.
    TimedOut,
}

impl Failure<'_> {
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

/// An application's text on one line: it may quote what a client sent.
pub(crate) fn escaped(text: &str) -> String {
    text.chars()
        .take(MAX_LOGGED_CHARS)
        .flat_map(char::escape_debug)
        .collect()
}

/// Errors tell more than one value does, but not without end.
const MAX_LOGGED_CHARS: usize = 1024;
