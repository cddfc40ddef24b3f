//! The claims of a token (RFC 7519 section 4, RFC 9068 section 2.2).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The claims of a token: a JSON object. Cheap to clone.
///
/// Having claims proves nothing, because they can be deserialized from anywhere. The
/// proof is a [`VerifiedToken`](crate::VerifiedToken).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(Arc<Map<String, Value>>);

impl Claims {
    pub(crate) fn new(object: Map<String, Value>) -> Self {
        Self(Arc::new(object))
    }

    /// A claim by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All claims.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The claims as a type of your own. Its `Deserialize` decides whether to keep
    /// unknown claims.
    ///
    /// # Errors
    /// When the claims do not fit the type.
    pub fn claims_as<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        T::deserialize(&*self.0)
    }

    /// `sub`: the user, or the client itself. Never empty in a verified token.
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// `iss`.
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// `aud`, a string or an array of strings.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        strings(self.get("aud"))
    }

    /// `client_id`.
    pub fn client_id(&self) -> Option<&str> {
        self.text("client_id")
    }

    /// `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.text("jti")
    }

    /// `exp`, without leeway.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.time("exp")
    }

    /// `iat`.
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.time("iat")
    }

    /// The subject of `act`: who acts for the user (RFC 8693 section 4.1).
    pub fn actor(&self) -> Option<&str> {
        self.get("act")?.get("sub")?.as_str()
    }

    /// The scopes: the union of `scope` (space-separated, RFC 8693 section 4.2)
    /// and `scp` (a string or an array of strings).
    pub fn scopes(&self) -> BTreeSet<&str> {
        let scope = self.text("scope").unwrap_or_default().split(' ');
        let scp = strings(self.get("scp")).flat_map(|scopes| scopes.split(' '));
        scope.chain(scp).filter(|scope| !scope.is_empty()).collect()
    }

    /// Whether all of these scopes were granted.
    pub fn has_scopes<S: AsRef<str>>(&self, required: &[S]) -> bool {
        if required.is_empty() {
            return true;
        }
        let granted = self.scopes();
        required
            .iter()
            .all(|scope| granted.contains(scope.as_ref()))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(crate) fn time(&self, name: &str) -> Option<SystemTime> {
        self.get(name)?.as_f64().map(time_from_seconds)
    }
}

/// Shows the names alone, because values are personal.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A NumericDate (RFC 7519 section 2) as a time, clamped to the years 1970 to
/// 9999 so that no arithmetic on it can overflow.
pub(crate) fn time_from_seconds(seconds: f64) -> SystemTime {
    let seconds = seconds.clamp(0.0, END_OF_YEAR_9999);
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)
}

const END_OF_YEAR_9999: f64 = 253_402_300_799.0;

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Some(Value::String(one)) => (Some(one.as_str()), None),
        Some(Value::Array(many)) => (None, Some(many)),
        _ => (None, None),
    };
    one.into_iter()
        .chain(many.into_iter().flatten().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn scopes_are_a_union() {
        for (value, expected) in [
            (json!({}), vec![]),
            (json!({"scope": "a  b"}), vec!["a", "b"]),
            (json!({"scp": ["b", "c", 1]}), vec!["b", "c"]),
            (json!({"scp": "b c", "scope": "a"}), vec!["a", "b", "c"]),
            (json!({"scope": ["a"]}), vec![]),
        ] {
            assert_eq!(
                claims(value).scopes().into_iter().collect::<Vec<_>>(),
                expected
            );
        }
    }

    #[test]
    fn times_are_clamped() {
        let huge = claims(json!({"exp": 1e300})).expires_at().unwrap();
        assert_eq!(
            huge,
            SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799)
        );
        assert_eq!(
            claims(json!({"exp": -5})).expires_at(),
            Some(SystemTime::UNIX_EPOCH)
        );
        assert_eq!(claims(json!({"exp": "5"})).expires_at(), None);
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(
            format!("{:?}", claims(json!({"sub": "alice"}))),
            r#"{"sub"}"#
        );
    }
}
