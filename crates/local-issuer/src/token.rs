//! Tokens with any claims, right or wrong.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::encoding::{base64url, random_text, unix_now};
use crate::key::Algorithm;
use crate::state::Inner;

/// Makes a token. It is valid by default, and can be made wrong in any way a test
/// needs.
///
/// The defaults make an RFC 9068 access token: `typ` `at+jwt`, the issuer's `iss`,
/// `sub` `alice`, the issuer's default audience, `exp` after the default lifetime,
/// `iat`, `jti`, `client_id`. It is signed with the newest key.
#[must_use]
pub struct TokenBuilder {
    issuer: Arc<Inner>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key_id: Option<String>,
    algorithm: Option<Algorithm>,
}

impl TokenBuilder {
    pub(crate) fn access_token(issuer: Arc<Inner>) -> Self {
        let now = unix_now();
        let Value::Object(claims) = json!({
            "iss": issuer.url(),
            "sub": "alice",
            "aud": issuer.audience,
            "client_id": CLIENT_ID,
            "iat": now,
            "exp": now + issuer.token_lifetime.as_secs(),
            "jti": random_text(),
        }) else {
            unreachable!("an object literal is an object")
        };
        let header = Map::from_iter([("typ".to_owned(), json!("at+jwt"))]);
        Self {
            issuer,
            header,
            claims,
            key_id: None,
            algorithm: None,
        }
    }

    pub(crate) fn id_token(issuer: Arc<Inner>) -> Self {
        Self::access_token(issuer)
            .typ("JWT")
            .without("client_id")
            .without("jti")
            .audience(CLIENT_ID)
            .claim("nonce", random_text())
    }

    /// `sub`.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// `aud`.
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// `iss`.
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// `scope`.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// `exp`, this long from now.
    pub fn expires_in(self, lifetime: Duration) -> Self {
        let exp = unix_now() as f64 + lifetime.as_secs_f64();
        self.claim("exp", exp)
    }

    /// `exp`, this long ago.
    pub fn expired_for(self, age: Duration) -> Self {
        let exp = unix_now() as f64 - age.as_secs_f64();
        self.claim("exp", exp)
    }

    /// Any claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// `typ` of the header.
    pub fn typ(self, typ: &str) -> Self {
        self.header("typ", typ)
    }

    /// Leaves `typ` out of the header.
    pub fn no_typ(mut self) -> Self {
        self.header.remove("typ");
        self
    }

    /// Any member of the header. `alg` and `kid` given here appear in the header, but
    /// do not change which key signs.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Signs with the newest key of this algorithm. If there is none, one is made and
    /// published.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Signs with this key, published or withdrawn.
    pub fn key(mut self, key_id: &str) -> Self {
        self.key_id = Some(key_id.to_owned());
        self
    }

    /// The token.
    pub fn sign(self) -> String {
        let claims = Value::Object(self.claims).to_string();
        self.issuer.sign(
            self.header,
            claims.as_bytes(),
            self.key_id.as_deref(),
            self.algorithm,
        )
    }
}

/// `client_id` of tokens that are made without a client.
pub(crate) const CLIENT_ID: &str = "local-client";

impl Inner {
    pub(crate) fn sign(
        &self,
        mut header: Map<String, Value>,
        payload: &[u8],
        key_id: Option<&str>,
        algorithm: Option<Algorithm>,
    ) -> String {
        let key = self.signing_key(key_id, algorithm);
        let algorithm = algorithm.unwrap_or(key.algorithm);
        header
            .entry("alg")
            .or_insert_with(|| json!(algorithm.name()));
        header.entry("kid").or_insert_with(|| json!(key.id));
        header.retain(|_, value| !value.is_null());
        let input = format!(
            "{}.{}",
            base64url(Value::Object(header).to_string()),
            base64url(payload)
        );
        let signature = base64url(key.sign(algorithm, input.as_bytes()));
        format!("{input}.{signature}")
    }
}
