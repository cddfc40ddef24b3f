//! What happens when a hook fails: the line in the log, and what the client is told.
//!
//! A client is told an id and nothing of the cause. The log has both.

use http::StatusCode;

use super::answer::own;
use super::closing::{failure_text, hook_failed};
use crate::answer::text;
use crate::error::{Error, Result};
use crate::http_types::{Refusal, Response};
use crate::loggable::{escaped, loggable};
use crate::room::connection::Connection;

/// Why an event has no result.
#[derive(Debug)]
pub enum Failure {
    /// A hook returned an error.
    Hook(Error),
    /// A hook panicked, with this text; the room starts anew.
    Panicked(String),
    /// A hook ran past the turn limit; the room starts anew.
    TimedOut,
}

/// Where the hook failed.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// The party; empty where no party is known.
    pub party: &'p str,
    /// The raw name of the room.
    pub room: &'p str,
}

impl Failure {
    /// A turn has two results, the hook's own inside the host's. This makes one of
    /// them.
    ///
    /// # Errors
    /// The failure of either.
    pub fn of<T>(outcome: Result<Result<T>, Self>) -> Result<T, Self> {
        outcome?.map_err(Self::Hook)
    }

    /// Logs the failure under an id.
    pub fn log(&self, id: &str, place: Place<'_>, connection: Option<&Connection>) {
        let (party, room) = (place.party, loggable(place.room));
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
    }

    /// Logs the failure and closes the connection whose event failed.
    pub fn close(&self, id: &str, place: Place<'_>, connection: &Connection) {
        self.log(id, place, Some(connection));
        connection.end(hook_failed(id));
    }

    /// The answer to the request that failed. The failure is logged, unless the client
    /// is at fault because its body broke a limit.
    pub fn to_response(&self, id: &str, place: Place<'_>) -> Response {
        if let Self::Hook(error) = self
            && error.status() != StatusCode::INTERNAL_SERVER_ERROR
        {
            return text(error.status(), "The request's body can't be used");
        }
        self.log(id, place, None);
        failed(id)
    }

    /// The refusal of the upgrade that failed. The failure is logged.
    pub fn to_refusal(&self, id: &str, place: Place<'_>) -> Refusal {
        self.log(id, place, None);
        Refusal::closing(failed(id), hook_failed(id))
    }
}

/// The answer to a request whose handling failed.
pub fn failed(id: &str) -> Response {
    own(StatusCode::INTERNAL_SERVER_ERROR, failure_text(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::BodyError;
    use crate::close::Close;

    const PLACE: Place<'static> = Place {
        party: "chat",
        room: "a",
    };

    async fn told(answer: Response) -> (u16, String) {
        let status = answer.status().as_u16();
        let body = answer.into_body().bytes().await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_client_is_told_the_id_and_nothing_of_the_cause() {
        let secret = "the password is 1234";
        for failure in [
            Failure::Hook(Error::msg(secret)),
            Failure::Panicked(secret.into()),
            Failure::TimedOut,
        ] {
            let (status, text) = told(failure.to_response("0a1b", PLACE)).await;
            assert_eq!((status, &*text), (500, "Internal server error (0a1b)"));
            let refusal = failure.to_refusal("0a1b", PLACE);
            let close = refusal.close().unwrap().clone();
            assert_eq!(close.code(), Close::INTERNAL_ERROR);
            assert_eq!(close.reason(), "Internal server error (0a1b)");
            assert_eq!(refusal.into_response().status(), 500);
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_a_limit_is_the_clients_fault() {
        for (error, status) in [(BodyError::TooLarge, 413), (BodyError::Ended, 500)] {
            let failure = Failure::Hook(error.into());
            assert_eq!(told(failure.to_response("0a1b", PLACE)).await.0, status);
        }
    }

    #[test]
    fn the_two_results_of_a_turn_are_one() {
        assert_eq!(Failure::of(Ok(Ok(1))).ok(), Some(1));
        let hook = Failure::of::<()>(Ok(Err(Error::msg("no"))));
        assert!(matches!(hook, Err(Failure::Hook(_))));
        let late = Failure::of::<()>(Err(Failure::TimedOut));
        assert!(matches!(late, Err(Failure::TimedOut)));
    }
}
