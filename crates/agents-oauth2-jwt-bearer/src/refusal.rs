//! From an error to what the client is told: one table for both forms.

use oauth2_jwt_bearer::Error;
use partyserver::{Close, Refusal, Response};

use crate::options::{RefusalForm, Settings};

/// The close code of a token that has expired. Clients with a `query` function
/// reconnect with a fresh token.
pub const TOKEN_EXPIRED: u16 = 3000;

/// The close frame of an identity whose time is up.
pub(crate) fn expired() -> Close {
    Close::new(TOKEN_EXPIRED, "token expired")
}

/// The HTTP answer of an error.
pub(crate) fn response(settings: &Settings, error: &Error) -> Response {
    settings.bearer.challenge(error).to_response()
}

/// The refusal of an upgrade.
pub(crate) fn refusal(settings: &Settings, error: &Error, is_loop: bool) -> Refusal {
    let close = match error {
        Error::Expired if !is_loop => expired(),
        Error::MultipleMethods => Close::new(
            Close::POLICY,
            "More than one method used for authentication",
        ),
        Error::InsufficientScope => Close::new(Close::POLICY, "insufficient scope"),
        Error::Unavailable { .. } => Close::new(Close::TRY_AGAIN_LATER, "try again later"),
        _ => Close::new(Close::POLICY, "Unauthorized"),
    };
    in_form(settings.refusal, response(settings, error), close)
}

/// A refusal in the form that the options ask for.
pub(crate) fn in_form(form: RefusalForm, response: Response, close: Close) -> Refusal {
    match form {
        RefusalForm::Close => Refusal::closing(response, close),
        RefusalForm::Handshake => Refusal::http(response),
    }
}
