//! How identities are established.

use std::sync::Arc;
use std::time::Duration;

use oauth2_jwt_bearer::{
    Algorithm, Anonymous, Audience, BearerAuth, ConfigError, Policy, Profile, QueryToken,
    TokenMark, Verifier,
};

use crate::loop_guard::LoopGuard;
use crate::user_info::UserInfoCache;

/// Options of [`WithAuth`](crate::WithAuth), checked and ready for use. Cheap
/// to clone; clones share their caches.
#[derive(Clone, Debug)]
pub struct AuthOptions(pub(crate) Arc<Settings>);

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) bearer: BearerAuth,
    pub(crate) refusal: RefusalForm,
    pub(crate) refresh_token: RefreshToken,
    pub(crate) client_id: Option<String>,
    pub(crate) loop_guard: LoopGuard,
    pub(crate) user_info: UserInfoCache,
}

/// How an upgrade is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusalForm {
    /// By a handshake and a close frame that says why: what browsers' clients
    /// understand.
    #[default]
    Close,
    /// Always by an HTTP answer instead of the handshake.
    Handshake,
}

/// What happens to `x-refresh-token`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshToken {
    /// It is ignored: a refresh token is never meant for a resource server
    /// (RFC 6749 section 1.5).
    #[default]
    Ignored,
    /// It is passed on with the credentials, unverified.
    Accepted,
}

/// Makes [`AuthOptions`].
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthOptionsBuilder {
    issuer: Option<String>,
    audience: Option<Audience>,
    jwks_uri: Option<String>,
    profile: Profile,
    algorithms: Option<Vec<Algorithm>>,
    leeway: Option<Duration>,
    token_mark: TokenMark,
    anonymous: Anonymous,
    query_token: QueryToken,
    refusal: RefusalForm,
    realm: String,
    required_scopes: Vec<String>,
    refresh_token: RefreshToken,
    client_id: Option<String>,
}

impl AuthOptions {
    /// Options from the process's environment: `OIDC_ISSUER_URL`,
    /// `OIDC_AUDIENCE`, and `OIDC_JWKS_URI` where discovery is not to be used.
    ///
    /// # Errors
    /// When a variable is missing or malformed; the error names it.
    #[cfg(feature = "native")]
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder()
            .variables(|name| std::env::var(name).ok())
            .build()
    }

    /// Options to be set one by one.
    pub fn builder() -> AuthOptionsBuilder {
        AuthOptionsBuilder {
            issuer: None,
            audience: None,
            jwks_uri: None,
            profile: Profile::default(),
            algorithms: None,
            leeway: None,
            token_mark: TokenMark::default(),
            anonymous: Anonymous::default(),
            query_token: QueryToken::default(),
            refusal: RefusalForm::default(),
            realm: "rooms".into(),
            required_scopes: Vec::new(),
            refresh_token: RefreshToken::default(),
            client_id: None,
        }
    }

    /// How requests are authenticated, for routes beside the rooms: with feature
    /// `tower` of `oauth2-jwt-bearer` it is a layer that refuses by the same
    /// challenges, with the same keys and the same verified tokens.
    pub fn bearer_auth(&self) -> &BearerAuth {
        &self.0.bearer
    }
}

impl AuthOptionsBuilder {
    /// Takes what was not set in code from variables: `OIDC_ISSUER_URL`,
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

    /// The issuer, exactly as it stands in `iss`.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Whom tokens must be for. A string is one audience; [`Audience::Client`] is for
    /// providers whose access tokens have none.
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Fetches keys from here, without discovery. There is no user info then.
    pub fn jwks_uri(mut self, uri: impl Into<String>) -> Self {
        self.jwks_uri = Some(uri.into());
        self
    }

    /// Which tokens count as access tokens. Default: [`Profile::Interoperable`], what
    /// providers issue.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Which algorithms are accepted. Default: all asymmetric ones.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// How long past `exp`, and before `nbf`, a token is valid. Default: 5 s; at most
    /// 60 s, which [`build`](Self::build_with) checks.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// Whether a token must be marked as an access token. Default: required.
    pub fn token_mark(mut self, token_mark: TokenMark) -> Self {
        self.token_mark = token_mark;
        self
    }

    /// What a request without a token is. Default: refused.
    pub fn anonymous(mut self, anonymous: Anonymous) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Where a token may stand in the query. Default: everywhere.
    pub fn query_token(mut self, query_token: QueryToken) -> Self {
        self.query_token = query_token;
        self
    }

    /// How upgrades are refused. Default: by a close frame.
    pub fn refusal(mut self, refusal: RefusalForm) -> Self {
        self.refusal = refusal;
        self
    }

    /// The realm of challenges. Default: `rooms`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Scopes that every token must have. Default: none.
    pub fn required_scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.required_scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// What happens to `x-refresh-token`. Default: it is ignored.
    pub fn refresh_token(mut self, refresh_token: RefreshToken) -> Self {
        self.refresh_token = refresh_token;
        self
    }

    /// The client that ID tokens must be for. Default: the client that the
    /// access token names.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// When one is missing or can't work. The error names the variable.
    #[cfg(feature = "native")]
    pub fn build(self) -> Result<AuthOptions, ConfigError> {
        self.build_with(oauth2_jwt_bearer::VerifierBuilder::build)
    }

    /// Checks the options, and makes the verifier on a web runtime. `spawn` runs a
    /// task beside the present request: `partyserver_workers::spawn` on Workers.
    /// Options of one issuer share its keys.
    ///
    /// # Errors
    /// When one is missing or can't work; the error names it.
    #[cfg(feature = "web")]
    pub fn build_on_web(
        self,
        spawn: oauth2_jwt_bearer::web::Spawn,
    ) -> Result<AuthOptions, ConfigError> {
        self.build_with(|verifier| verifier.build_on_web(spawn))
    }

    /// Checks the options, and makes the verifier by `build`.
    ///
    /// # Errors
    /// When one is missing or can't work, and those of `build`.
    pub fn build_with(
        self,
        build: impl FnOnce(oauth2_jwt_bearer::VerifierBuilder) -> Result<Verifier, ConfigError>,
    ) -> Result<AuthOptions, ConfigError> {
        let missing = |name| ConfigError::new(name, "is not set");
        let issuer = self.issuer.ok_or_else(|| missing(ISSUER))?;
        let audience = self.audience.ok_or_else(|| missing(AUDIENCE))?;
        let mut policy = Policy::new(issuer, audience)
            .map_err(|error| {
                let name = if error.setting() == "issuer" {
                    ISSUER
                } else {
                    AUDIENCE
                };
                error.named(name)
            })?
            .with_profile(self.profile)?
            .with_token_mark(self.token_mark);
        if let Some(algorithms) = self.algorithms {
            policy = policy.with_algorithms(algorithms)?;
        }
        if let Some(leeway) = self.leeway {
            policy = policy.with_leeway(leeway)?;
        }
        let mut verifier = Verifier::builder(policy);
        if let Some(uri) = self.jwks_uri {
            verifier = verifier.jwks_uri(uri);
        }
        let verifier = build(verifier).map_err(|error| match error.setting() {
            "jwks_uri" => error.named(JWKS_URI),
            _ => error,
        })?;
        let bearer = BearerAuth::new(verifier)
            .with_anonymous(self.anonymous)
            .with_query_token(self.query_token)
            .with_realm(self.realm)
            .with_required_scopes(self.required_scopes);
        Ok(AuthOptions(Arc::new(Settings {
            bearer,
            refusal: self.refusal,
            refresh_token: self.refresh_token,
            client_id: self.client_id,
            loop_guard: LoopGuard::new(),
            user_info: UserInfoCache::new(),
        })))
    }
}

const ISSUER: &str = "OIDC_ISSUER_URL";
const AUDIENCE: &str = "OIDC_AUDIENCE";
const JWKS_URI: &str = "OIDC_JWKS_URI";

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| (*value).to_owned())
        };
        AuthOptions::builder()
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
        let options = AuthOptions::builder()
            .issuer("https://code.example")
            .variables(|name| (name != "OIDC_JWKS_URI").then(|| "https://env.example".into()))
            .build()
            .unwrap();
        let policy = options.bearer_auth().verifier().policy();
        assert_eq!(policy.issuer(), "https://code.example");
    }
}
