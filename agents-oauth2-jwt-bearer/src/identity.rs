//! Who a request or connection is: bound to the socket, never to an id.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oauth2_jwt_bearer::{AccessToken, Claims, IdToken, VerifiedToken};
use partyserver::{Attachment, Lifetime};
use serde::{Deserialize, Serialize};

/// A verified identity and the time until which it is valid.
///
/// It is made from a [`VerifiedToken`] alone, or read back by the host from
/// what the host itself stored with the socket. The raw token is not in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

    /// The token's end, leeway included. Nothing is done in its name from then
    /// on.
    pub fn valid_until(&self) -> SystemTime {
        UNIX_EPOCH + self.valid_until
    }

    /// Whether it is valid at a time.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        now < self.valid_until()
    }
}

impl Attachment for Identity {
    const NAME: &'static str = "oauth2.identity";
    const LIFETIME: Lifetime = Lifetime::Connection;
}

/// The raw tokens of a request or connection: secrets. They stay in memory and
/// are wiped when the last handle to them is dropped. After a hibernation that
/// unloads the process they are gone.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    #[serde(with = "secret")]
    pub(crate) access_token: AccessToken,
    #[serde(with = "optional_secret")]
    pub(crate) id_token: Option<AccessToken>,
    #[serde(with = "optional_secret")]
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

    /// The ID token of `x-id-token`, where one was sent and verified.
    pub fn id_token(&self) -> Option<&AccessToken> {
        self.id_token.as_ref()
    }

    /// The refresh token of `x-refresh-token`, where the options accept one.
    pub fn refresh_token(&self) -> Option<&AccessToken> {
        self.refresh_token.as_ref()
    }
}

impl Attachment for Credentials {
    const NAME: &'static str = "oauth2.credentials";
    const LIFETIME: Lifetime = Lifetime::Memory;
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// Writes a secret for the hand-over from the router to the room, which may be
/// another process of the platform's.
mod secret {
    use oauth2_jwt_bearer::AccessToken;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(token: &AccessToken, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(token.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<AccessToken, D::Error> {
        AccessToken::new(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod optional_secret {
    use oauth2_jwt_bearer::AccessToken;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        token: &Option<AccessToken>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        token.as_ref().map(AccessToken::expose).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<AccessToken>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(AccessToken::new)
            .transpose()
            .map_err(D::Error::custom)
    }
}
