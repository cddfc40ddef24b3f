//! The verifier as hosts use it, with a provider that is just a text.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use oauth2_jwt_bearer::native::ports;
use oauth2_jwt_bearer::port::{BoxFuture, Fetch, FetchError, FetchRequest, FetchResponse, Ports};
use oauth2_jwt_bearer::{AccessToken, Error, Invalid, Policy, Profile, Verifier};
use serde_json::Value;

use crate::ACCEPTED;

/// One verifier for each profile.
pub(crate) struct Verifiers {
    interoperable: Verifier,
    rfc9068: Verifier,
}

impl Verifiers {
    pub(crate) fn new(configuration: &Value) -> Result<Self, Box<dyn StdError>> {
        let text = |name: &str| configuration[name].as_str().ok_or(name.to_owned());
        let leeway = configuration["leeway"].as_u64().ok_or("leeway")?;
        let policy =
            Policy::new(text("issuer")?, text("audience")?)?.leeway(Duration::from_secs(leeway))?;
        let verifier = |policy| {
            Verifier::builder(policy)
                .jwks_uri("https://keys.example")
                .build_with(Ports {
                    fetch: Arc::new(Keys(configuration["keys"].to_string())),
                    ..ports()
                })
        };
        Ok(Self {
            interoperable: verifier(policy.clone())?,
            rfc9068: verifier(policy.profile(Profile::Rfc9068)?)?,
        })
    }

    /// The verdicts of both verifiers on a token.
    pub(crate) async fn judge(&self, token: &str) -> (&'static str, &'static str) {
        let interoperable = judge(&self.interoperable, token).await;
        (interoperable, judge(&self.rfc9068, token).await)
    }
}

async fn judge(verifier: &Verifier, token: &str) -> &'static str {
    let token = match AccessToken::new(token) {
        Ok(token) => token,
        Err(error) => return error.code(),
    };
    let verdict = |outcome| match outcome {
        Ok(_) => ACCEPTED,
        // Unknown keys are fetched only at a limited rate.
        Err(Error::Unavailable { .. }) => Invalid::UnknownKey.code(),
        Err(error) => error.code(),
    };
    let first = verdict(verifier.verify(&token).await);
    // The second time the verifier has seen the token before, so this checks its cache.
    assert_eq!(verdict(verifier.verify(&token).await), first);
    first
}

/// A provider that publishes these keys.
struct Keys(String);

impl Fetch for Keys {
    fn fetch<'a>(
        &'a self,
        _: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<FetchResponse, FetchError>> {
        Box::pin(std::future::ready(Ok(FetchResponse {
            status: 200,
            cache_control: None,
            body: self.0.clone().into_bytes(),
        })))
    }
}
