//! The driver: it verifies tokens of one issuer by one policy.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::algorithm::Algorithm;
use crate::error::{ConfigError, Error};
use crate::id_token::{IdToken, UnverifiedIdToken};
use crate::policy::{Policy, is_secure_url};
use crate::token::AccessToken;
use crate::verifier::port::Ports;
use crate::verifier::provider::{Provider, ProviderConfig, Readiness};
use crate::verifier::user_info::{self, UserInfo, UserInfoError};
use crate::verifier::verified_cache::{TokenHash, VerifiedCache, token_hash};
use crate::verify::{UnverifiedToken, VerifiedToken};

/// Verifies access tokens. Clones are cheap and share their caches. All verifiers of
/// one issuer in a process, or in an isolate of a web runtime, share its metadata and
/// keys.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    policy: Policy,
    provider: Arc<Provider>,
    verified: VerifiedCache,
}

/// Makes a [`Verifier`].
#[derive(Clone, Debug)]
pub struct VerifierBuilder {
    policy: Policy,
    jwks_uri: Option<String>,
    /// `None` means the default of the ports.
    cached_tokens: Option<usize>,
}

impl Verifier {
    /// A verifier of this policy, with the options' defaults.
    pub fn builder(policy: Policy) -> VerifierBuilder {
        VerifierBuilder {
            policy,
            jwks_uri: None,
            cached_tokens: None,
        }
    }

    /// Verifies a token. If the token was verified before, this costs a hash and a
    /// look-up.
    ///
    /// It waits only when a key must be fetched, and for at most 3 s. Dropping the
    /// future is safe: the fetch goes on for others.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Expired`], or [`Error::Unavailable`] when
    /// the provider can't be reached.
    pub async fn verify(&self, token: &AccessToken) -> Result<VerifiedToken, Error> {
        let Inner {
            provider, verified, ..
        } = &*self.0;
        let hash = token_hash(token);
        let holds = |key: &_| provider.holds(key);
        if let Some(token) = verified.get(&hash, self.now(), provider.generation(), holds) {
            provider.refresh();
            return Ok(token);
        }
        // Boxed, because most tokens were seen before and need no space for this.
        Box::pin(self.verify_new(token, hash)).await
    }

    async fn verify_new(
        &self,
        token: &AccessToken,
        hash: TokenHash,
    ) -> Result<VerifiedToken, Error> {
        let unverified = UnverifiedToken::parse(token, &self.0.policy)?;
        let (proof, witness) = self
            .0
            .provider
            .check(
                unverified.header(),
                unverified.signing_input(),
                unverified.signature(),
            )
            .await?;
        // The token must be valid at the time after the wait.
        let token = unverified.verified(proof, self.now())?;
        self.0.verified.insert(hash, token.clone(), witness);
        Ok(token)
    }

    /// Verifies an ID token that came with an access token: signature, issuer, `exp`,
    /// the same `sub`, an audience that is `client_id` (else the client that the access
    /// token names), and `at_hash` if there is one.
    ///
    /// Only the held keys are tried, because the access token was just verified with
    /// one of them, and a request should wait for the provider only once.
    ///
    /// # Errors
    /// The errors of [`Verifier::verify`].
    pub async fn verify_id_token(
        &self,
        id_token: &AccessToken,
        access_token: &AccessToken,
        beside: &VerifiedToken,
        client_id: Option<&str>,
    ) -> Result<IdToken, Error> {
        let unverified = UnverifiedIdToken::parse(id_token, beside, client_id, &self.0.policy)?;
        let proof = self
            .0
            .provider
            .check_held(
                unverified.header(),
                unverified.signing_input(),
                unverified.signature(),
            )
            .await?;
        let digest = unverified
            .access_token_hash()
            .map(|_| digest(unverified.header().algorithm(), access_token.expose()));
        unverified.verified(proof, digest.as_deref(), self.now())
    }

    /// Asks the provider who the user of a token is (OpenID Connect Core
    /// section 5.3), within 3 s and 64 KiB.
    ///
    /// # Errors
    /// [`UserInfoError`], for example when the answer is about another subject.
    pub async fn user_info(
        &self,
        token: &AccessToken,
        subject: &str,
    ) -> Result<UserInfo, UserInfoError> {
        let metadata = self.0.provider.metadata().await?;
        let endpoint = metadata
            .as_ref()
            .and_then(|metadata| metadata.userinfo_endpoint.as_deref())
            .ok_or(UserInfoError::NoEndpoint)?;
        user_info::fetch(self.0.provider.ports(), endpoint, token, subject).await
    }

    /// Begins to fetch metadata and keys in the background, and keeps them fresh.
    /// Without this call the first token begins the fetch. It never waits and never
    /// fails: [`Verifier::readiness`] and the log show the state.
    ///
    /// On a web runtime nothing runs between requests. There this call begins one
    /// fetch, if one is due, and so does each token. Call it in a request.
    pub fn start(&self) {
        self.0.provider.start();
    }

    /// Whether tokens can be verified now.
    pub fn readiness(&self) -> Readiness {
        self.0.provider.readiness()
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The wall clock that decides whether a token is valid.
    pub fn now(&self) -> SystemTime {
        self.0.provider.ports().runtime.now()
    }
}

impl VerifierBuilder {
    /// Fetches keys from this URL, without discovery.
    #[must_use]
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.jwks_uri = Some(uri.into());
        self
    }

    /// How many verified tokens are remembered, so that each signature is checked once.
    /// Default: 10,000, or 1,000 on Workers, where an isolate has 128 MB for all its
    /// rooms. 0 remembers none. A token takes about as many bytes as its claims have,
    /// at most about 16 KiB.
    #[must_use]
    pub fn cached_tokens(mut self, count: usize) -> Self {
        self.cached_tokens = Some(count);
        self
    }

    /// The same, unless [`VerifierBuilder::cached_tokens`] was called.
    #[cfg(feature = "web")]
    pub(crate) fn cached_tokens_by_default(mut self, count: usize) -> Self {
        self.cached_tokens.get_or_insert(count);
        self
    }

    /// The verifier on ports of your own. It does not share its provider.
    ///
    /// # Errors
    /// When `jwks_uri` is not https (http is allowed on loopback).
    pub fn build_with(self, ports: Ports) -> Result<Verifier, ConfigError> {
        self.finish(|config| Provider::new(config, ports))
    }

    /// The verifier. `provider` makes or finds its provider.
    pub(crate) fn finish(
        self,
        provider: impl FnOnce(ProviderConfig) -> Arc<Provider>,
    ) -> Result<Verifier, ConfigError> {
        if self
            .jwks_uri
            .as_deref()
            .is_some_and(|uri| !is_secure_url(uri))
        {
            let problem = "is not an https URL (http is allowed on loopback alone)";
            return Err(ConfigError::new("jwks_uri", problem));
        }
        let config = ProviderConfig {
            issuer: self.policy.issuer().to_owned(),
            jwks_uri: self.jwks_uri,
        };
        Ok(Verifier(Arc::new(Inner {
            provider: provider(config),
            policy: self.policy,
            verified: VerifiedCache::new(self.cached_tokens.unwrap_or(10_000)),
        })))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

/// The hash for `at_hash` (OpenID Connect Core section 3.1.3.6). For Ed25519 it is the
/// hash that Ed25519 uses inside.
fn digest(algorithm: Algorithm, text: &str) -> Vec<u8> {
    use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    match algorithm {
        Rs256 | Ps256 | Es256 => Sha256::digest(text).to_vec(),
        Rs384 | Ps384 | Es384 => Sha384::digest(text).to_vec(),
        Rs512 | Ps512 | Es512 | EdDsa => Sha512::digest(text).to_vec(),
    }
}
