//! What the provider says about a user (OpenID Connect Core section 5.3).

use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::token::AccessToken;
use crate::verifier::port::{FetchError, FetchRequest, Ports};

/// What the provider says of the user: every member, known or not.
pub type UserInfo = Map<String, Value>;

/// Why there is no user info.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserInfoError {
    /// The provider names no such endpoint, its endpoint is not https, or discovery is
    /// not used. The operator or the provider is at fault.
    #[error("the identity provider has no userinfo endpoint")]
    NoEndpoint,
    /// The provider can't be reached, was too slow, or asks to be called later.
    #[error("the identity provider did not answer: {0}")]
    Unavailable(String),
    /// The provider refused the token with this status. The user has signed out, or the
    /// token was not granted `openid`.
    #[error("the identity provider refused with status {0}")]
    Refused(u16),
    /// The answer is not a JSON object, or is about another subject (OpenID Connect
    /// Core section 5.3.2). It is not used.
    #[error("the answer of the identity provider is not of this user")]
    Unusable,
}

impl UserInfoError {
    /// A stable code for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoEndpoint => "userinfo_no_endpoint",
            Self::Unavailable(_) => "userinfo_unavailable",
            Self::Refused(_) => "userinfo_refused",
            Self::Unusable => "userinfo_unusable",
        }
    }
}

impl From<Error> for UserInfoError {
    fn from(error: Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<FetchError> for UserInfoError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::TooLarge => Self::Unusable,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

pub(crate) async fn fetch(
    ports: &Ports,
    endpoint: &str,
    token: &AccessToken,
    subject: &str,
) -> Result<UserInfo, UserInfoError> {
    let request = FetchRequest {
        url: endpoint,
        bearer: Some(token),
        max_bytes: 64 * 1024,
        timeout: FETCH_LIMIT,
    };
    // This limit holds even if the port ignores its own.
    let limit = ports.runtime.sleep(FETCH_LIMIT);
    let response = match select(ports.fetch.fetch(request), limit).await {
        Either::Left((response, _)) => response?,
        Either::Right(_) => return Err(FetchError::TimedOut.into()),
    };
    match response.status {
        200 => {}
        status @ 400..500 if status != TOO_MANY_REQUESTS => {
            return Err(UserInfoError::Refused(status));
        }
        status => return Err(UserInfoError::Unavailable(format!("status {status}"))),
    }
    let info: UserInfo =
        serde_json::from_slice(&response.body).map_err(|_| UserInfoError::Unusable)?;
    // An empty subject matches nothing: an answer without a subject belongs to nobody.
    let is_of_user = !subject.is_empty() && info.get("sub").is_some_and(|sub| sub == subject);
    if is_of_user {
        Ok(info)
    } else {
        Err(UserInfoError::Unusable)
    }
}

const FETCH_LIMIT: Duration = Duration::from_secs(3);
const TOO_MANY_REQUESTS: u16 = 429;
