//! Who a request or connection is. The identity is bound to the socket, never to an id.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oauth2_jwt_bearer::{AccessToken, Claims, IdToken, VerifiedToken};
use partyserver::{Attachment, Decoder, Encoded, Encoder, Lifetime};
use serde::de::Error;
use serde::{Deserialize, Serialize};
use serde_json::Result;

/// A verified identity and the time until which it is valid.
///
/// It is made from a [`VerifiedToken`] alone, or the host reads it back from what the
/// host itself stored with the socket. It does not contain the raw token.
///
/// Claims prove nothing and can be read from anywhere. An identity can't:
///
/// ```
/// # fn read(json: &str) -> serde_json::Result<()> {
/// let claims: oauth2_jwt_bearer::Claims = serde_json::from_str(json)?;
/// # Ok(()) }
/// ```
/// ```compile_fail
/// # fn read(json: &str) -> serde_json::Result<()> {
/// let identity: agents_oauth2_jwt_bearer::Identity = serde_json::from_str(json)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Identity {
    claims: Claims,
    /// Seconds and nanoseconds since 1970.
    valid_until: Duration,
}

impl Identity {
    pub(crate) fn new(token: &VerifiedToken) -> Self {
        let valid_until = token
            .valid_until()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            claims: token.claims().clone(),
            valid_until,
        }
    }

    /// The claims of the access token.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The token's end, leeway included. From then on nothing is done on behalf of this
    /// identity.
    pub fn valid_until(&self) -> SystemTime {
        UNIX_EPOCH + self.valid_until
    }

    /// Whether it is valid at a time.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        now < self.valid_until()
    }
}

/// What the host keeps of an identity.
#[derive(Serialize, Deserialize)]
struct KeptIdentity {
    claims: Claims,
    valid_until: Duration,
}

impl Attachment for Identity {
    const NAME: &'static str = "oauth2.identity";
    const LIFETIME: Lifetime = Lifetime::Connection;

    fn encode(&self, encoder: Encoder) -> Result<Encoded> {
        encoder.write(&KeptIdentity {
            claims: self.claims.clone(),
            valid_until: self.valid_until,
        })
    }

    fn decode(decoder: Decoder<'_>) -> Result<Self> {
        let kept: KeptIdentity = decoder.read()?;
        Ok(Self {
            claims: kept.claims,
            valid_until: kept.valid_until,
        })
    }
}

/// The raw tokens of a request or connection, which are secrets. They stay in memory
/// and are wiped when the last handle to them is dropped. After a hibernation that
/// unloads the process they are gone.
///
/// A token is taken out by its name. It can't be written by accident as part of
/// something else:
///
/// ```
/// # use agents_oauth2_jwt_bearer::Credentials;
/// # fn pass_on(credentials: &Credentials) -> serde_json::Result<String> {
/// serde_json::to_string(credentials.access_token().expose())
/// # }
/// ```
/// ```compile_fail
/// # use agents_oauth2_jwt_bearer::Credentials;
/// # fn pass_on(credentials: &Credentials) -> serde_json::Result<String> {
/// serde_json::to_string(credentials)
/// # }
/// ```
#[derive(Clone)]
pub struct Credentials {
    pub(crate) access_token: AccessToken,
    pub(crate) id_token: Option<AccessToken>,
    pub(crate) refresh_token: Option<AccessToken>,
}

impl Credentials {
    pub(crate) fn new(
        access_token: AccessToken,
        id_token: Option<&IdToken>,
        refresh_token: Option<AccessToken>,
    ) -> Self {
        let id_token = id_token.map(|token| token.raw().clone());
        Self {
            access_token,
            id_token,
            refresh_token,
        }
    }

    /// The access token.
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// The ID token of `x-id-token`, if one was sent and verified.
    pub fn id_token(&self) -> Option<&AccessToken> {
        self.id_token.as_ref()
    }

    /// The refresh token of `x-refresh-token`, if the options accept one.
    pub fn refresh_token(&self) -> Option<&AccessToken> {
        self.refresh_token.as_ref()
    }
}

/// What passes from the router to the room, which may be in another process of the
/// platform: access token, ID token, refresh token.
type PassedOn<T> = (T, Option<T>, Option<T>);

impl Attachment for Credentials {
    const NAME: &'static str = "oauth2.credentials";
    const LIFETIME: Lifetime = Lifetime::Memory;

    fn encode(&self, encoder: Encoder) -> Result<Encoded> {
        let tokens: PassedOn<&str> = (
            self.access_token.expose(),
            self.id_token.as_ref().map(AccessToken::expose),
            self.refresh_token.as_ref().map(AccessToken::expose),
        );
        encoder.write(&tokens)
    }

    fn decode(decoder: Decoder<'_>) -> Result<Self> {
        let (access_token, id_token, refresh_token): PassedOn<String> = decoder.read()?;
        let token = |text: String| AccessToken::new(text).map_err(Error::custom);
        Ok(Self {
            access_token: token(access_token)?,
            id_token: id_token.map(token).transpose()?,
            refresh_token: refresh_token.map(token).transpose()?,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use partyserver::Attachments;

    #[test]
    fn all_tokens_reach_the_room_and_none_is_kept() {
        let token = |text: &str| AccessToken::new(text).unwrap();
        let attachments = Attachments::default();
        attachments.insert(Credentials {
            access_token: token("access"),
            id_token: None,
            refresh_token: Some(token("refresh")),
        });
        let passed_on = attachments.encode(Lifetime::Memory).unwrap();
        let arrived = Attachments::decode(&passed_on).unwrap();
        let arrived = arrived.get::<Credentials>().unwrap();
        assert_eq!(arrived.access_token().expose(), "access");
        assert!(arrived.id_token().is_none());
        assert_eq!(arrived.refresh_token().unwrap().expose(), "refresh");
        assert_eq!(attachments.encode(Lifetime::Connection).unwrap(), "{}");
    }
}
