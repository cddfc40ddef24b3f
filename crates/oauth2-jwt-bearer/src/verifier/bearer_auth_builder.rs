//! Makes a `BearerAuth` from options by name, or from variables.

use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::error::ConfigError;
use crate::policy::{Audience, Policy, Profile, TokenMark};
use crate::verifier::bearer_auth::BearerAuth;
use crate::verifier::driver::{Verifier, VerifierBuilder};

/// Makes a [`BearerAuth`]. What a request needs in addition to a good token is set on
/// the `BearerAuth` itself.
///
/// # Example
/// ```
/// # #[cfg(feature = "native")]
/// # fn main() -> Result<(), oauth2_jwt_bearer::ConfigError> {
/// use oauth2_jwt_bearer::BearerAuth;
///
/// let auth = BearerAuth::builder().issuer("https://id.example").audience("api").build()?;
/// let writers = auth.required_scopes(["write"]);
///
/// let unfinished = BearerAuth::builder().issuer("https://id.example").build();
/// assert_eq!(unfinished.unwrap_err().to_string(), "OIDC_AUDIENCE: is not set");
/// # let _ = writers;
/// # Ok(()) }
/// # #[cfg(not(feature = "native"))] fn main() {}
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct BearerAuthBuilder {
    issuer: Option<String>,
    audience: Option<Audience>,
    jwks_uri: Option<String>,
    profile: Profile,
    /// `None` means the policy's default. The same holds for the leeway.
    algorithms: Option<Vec<Algorithm>>,
    leeway: Option<Duration>,
    token_mark: TokenMark,
}

impl BearerAuthBuilder {
    /// Reads options that were not set in code from variables: `OIDC_ISSUER_URL`,
    /// `OIDC_AUDIENCE`, `OIDC_JWKS_URI`. An empty value counts as absent.
    pub fn variables(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        self.issuer = self.issuer.or_else(|| variable(ISSUER));
        self.audience = self
            .audience
            .or_else(|| variable(AUDIENCE).map(Audience::from));
        self.jwks_uri = self.jwks_uri.or_else(|| variable(JWKS_URI));
        self
    }

    /// The issuer, exactly as it is in `iss`.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Who tokens must be issued for. A string is one audience. [`Audience::Client`] is
    /// for providers whose access tokens have no audience.
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Fetches keys from this URL, without discovery. Then there is no user info.
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.jwks_uri = Some(uri.into());
        self
    }

    /// Which tokens count as access tokens. Default: [`Profile::Interoperable`], which
    /// accepts what providers issue.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Which algorithms are accepted. Default: all asymmetric ones.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// How long a token is valid after `exp` and before `nbf`. Default: 5 s. At most 60
    /// s; [`build_with`](Self::build_with) checks that.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// Whether a token must be marked as an access token. Default: required.
    pub fn token_mark(mut self, token_mark: TokenMark) -> Self {
        self.token_mark = token_mark;
        self
    }

    /// Checks the options, and makes the verifier with `build`.
    ///
    /// # Errors
    /// When an option is missing or invalid, and the errors of `build`.
    pub fn build_with(
        self,
        build: impl FnOnce(VerifierBuilder) -> Result<Verifier, ConfigError>,
    ) -> Result<BearerAuth, ConfigError> {
        let missing = |name| ConfigError::new(name, "is not set");
        let issuer = self.issuer.ok_or_else(|| missing(ISSUER))?;
        let audience = self.audience.ok_or_else(|| missing(AUDIENCE))?;
        let policy = Policy::new(issuer, audience).map_err(named)?;
        let mut policy = policy.profile(self.profile)?.token_mark(self.token_mark);
        if let Some(algorithms) = self.algorithms {
            policy = policy.algorithms(algorithms)?;
        }
        if let Some(leeway) = self.leeway {
            policy = policy.leeway(leeway)?;
        }
        let mut verifier = Verifier::builder(policy);
        if let Some(uri) = self.jwks_uri {
            verifier = verifier.jwks_uri(uri);
        }
        Ok(BearerAuth::new(build(verifier).map_err(named)?))
    }
}

/// An error with the name by which operators know its option.
fn named(error: ConfigError) -> ConfigError {
    match error.setting() {
        "issuer" => error.named(ISSUER),
        "audience" => error.named(AUDIENCE),
        "jwks_uri" => error.named(JWKS_URI),
        _ => error,
    }
}

const ISSUER: &str = "OIDC_ISSUER_URL";
const AUDIENCE: &str = "OIDC_AUDIENCE";
const JWKS_URI: &str = "OIDC_JWKS_URI";

#[cfg(all(test, feature = "native"))]
mod tests {
    use super::*;

    fn problem(variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| (*value).to_owned())
        };
        BearerAuth::builder()
            .variables(variable)
            .build()
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn an_error_names_the_variable() {
        let issuer = ("OIDC_ISSUER_URL", "https://id.example");
        let audience = ("OIDC_AUDIENCE", "api");
        assert_eq!(problem(&[issuer, audience]), None);
        for (variables, start) in [
            (vec![], "OIDC_ISSUER_URL: is not set"),
            (vec![audience], "OIDC_ISSUER_URL: is not set"),
            (vec![issuer], "OIDC_AUDIENCE: is not set"),
            (
                vec![issuer, ("OIDC_AUDIENCE", "")],
                "OIDC_AUDIENCE: is not set",
            ),
            (vec![issuer, ("OIDC_AUDIENCE", " ")], "OIDC_AUDIENCE: "),
            (
                vec![("OIDC_ISSUER_URL", "id.example"), audience],
                "OIDC_ISSUER_URL: ",
            ),
            (
                vec![("OIDC_ISSUER_URL", "https://a/{tenantid}"), audience],
                "OIDC_ISSUER_URL: ",
            ),
            (
                vec![issuer, audience, ("OIDC_JWKS_URI", "ftp://x")],
                "OIDC_JWKS_URI: ",
            ),
        ] {
            let problem = problem(&variables).unwrap();
            assert!(problem.starts_with(start), "{problem}");
        }
    }

    #[test]
    fn code_goes_before_variables() {
        let options = BearerAuth::builder()
            .issuer("https://code.example")
            .variables(|name| (name != "OIDC_JWKS_URI").then(|| "https://env.example".into()))
            .build()
            .unwrap();
        let policy = options.verifier().policy();
        assert_eq!(policy.issuer(), "https://code.example");
    }
}
