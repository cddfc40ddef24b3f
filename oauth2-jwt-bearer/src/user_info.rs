//! The provider's word on who a user is (OpenID Connect Core section 5.3).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::port::{FetchError, FetchRequest, Ports};
use crate::token::AccessToken;

/// What the provider says of the user: every member, known or not.
pub type UserInfo = Map<String, Value>;

/// Why there is no user info.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserInfoError {
    /// The provider names no such endpoint, or discovery is not used.
    #[error("the identity provider has no userinfo endpoint")]
    NoEndpoint,
    /// The provider is out of reach, or was too slow.
    #[error("the identity provider did not answer: {0}")]
    Unavailable(String),
    /// The provider refused the token, with this status.
    #[error("the identity provider refused with status {0}")]
    Refused(u16),
    /// The answer is no JSON object, or speaks of another subject (OpenID
    /// Connect Core section 5.3.2). It is not used.
    #[error("the answer of the identity provider is not of this user")]
    Unusable,
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
        timeout: Duration::from_secs(3),
    };
    let response = ports.fetch.fetch(request).await?;
    match response.status {
        200 => {}
        status @ 500.. => return Err(UserInfoError::Unavailable(format!("status {status}"))),
        status => return Err(UserInfoError::Refused(status)),
    }
    let info: UserInfo =
        serde_json::from_slice(&response.body).map_err(|_| UserInfoError::Unusable)?;
    // Nothing equals nothing: an answer without a subject is nobody's.
    let is_of_user = !subject.is_empty() && info.get("sub").is_some_and(|sub| sub == subject);
    if is_of_user {
        Ok(info)
    } else {
        Err(UserInfoError::Unusable)
    }
}
