//! What an operator accepts.

use std::time::Duration;

use http::Uri;

use crate::algorithm::Algorithm;
use crate::error::ConfigError;

/// Which tokens are accepted. Only setters whose names say so make it less strict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(crate) issuer: String,
    pub(crate) audience: Audience,
    pub(crate) profile: Profile,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) leeway: Duration,
    pub(crate) token_mark: TokenMark,
}

/// Who a token must be issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// `aud` contains one of these.
    AnyOf(Vec<String>),
    /// For providers whose access tokens have no audience (Cognito, Clerk): `aud` must
    /// be absent, and `client_id`, or else `azp`, must be one of these.
    Client(Vec<String>),
}

impl From<&str> for Audience {
    fn from(audience: &str) -> Self {
        Self::AnyOf(vec![audience.to_owned()])
    }
}

impl From<String> for Audience {
    fn from(audience: String) -> Self {
        Self::AnyOf(vec![audience])
    }
}

/// Which tokens count as access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// What providers really issue: `typ` is `at+jwt`, `JWT` or absent. ID tokens are
    /// still refused (RFC 8725 section 3.12).
    #[default]
    Interoperable,
    /// RFC 9068 alone: `typ` is `at+jwt`.
    Rfc9068,
}

/// Whether a token without `at+jwt` needs a claim that marks it as an access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenMark {
    /// It needs one of `scope`, `scp`, `permissions`, `client_id`, `cid`, `appid`,
    /// `azpacr`, `gty`, `token_use` = `access` or payload `typ` = `Bearer`.
    #[default]
    Required,
    /// No mark is needed, for providers that set none (Supabase, Clerk sessions). Then
    /// anyone who can get an ID token without a nonce for this audience gets in with
    /// it.
    NotRequired,
}

/// What happens to a request without a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// It is refused with 401.
    #[default]
    Refused,
    /// It is admitted without an identity. A bad token is still refused.
    Allowed,
}

impl Policy {
    /// A policy with the defaults: the interoperable profile, every
    /// [`Algorithm`], a leeway of 5 s.
    ///
    /// # Errors
    /// When the issuer is not a usable URL, or the audience is empty.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<Audience>,
    ) -> Result<Self, ConfigError> {
        let policy = Self {
            issuer: issuer.into(),
            audience: audience.into(),
            profile: Profile::default(),
            algorithms: Algorithm::ALL.to_vec(),
            leeway: Duration::from_secs(5),
            token_mark: TokenMark::default(),
        };
        check_issuer(&policy.issuer)?;
        let (Audience::AnyOf(names) | Audience::Client(names)) = &policy.audience;
        if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
            return Err(ConfigError::new(
                "audience",
                "must name at least one, and none may be empty",
            ));
        }
        Ok(policy)
    }

    /// Which tokens count as access tokens. Default: [`Profile::Interoperable`].
    ///
    /// # Errors
    /// [`Profile::Rfc9068`] can't be combined with [`Audience::Client`], because RFC
    /// 9068 section 4 requires `aud`.
    pub fn profile(mut self, profile: Profile) -> Result<Self, ConfigError> {
        if profile == Profile::Rfc9068 && matches!(self.audience, Audience::Client(_)) {
            return Err(ConfigError::new(
                "profile",
                "RFC 9068 requires an audience in the token",
            ));
        }
        self.profile = profile;
        Ok(self)
    }

    /// Which algorithms are accepted. Default: all of [`Algorithm`].
    ///
    /// # Errors
    /// When the list is empty.
    pub fn algorithms(
        mut self,
        algorithms: impl IntoIterator<Item = Algorithm>,
    ) -> Result<Self, ConfigError> {
        self.algorithms = algorithms.into_iter().collect();
        if self.algorithms.is_empty() {
            return Err(ConfigError::new("algorithms", "must name at least one"));
        }
        Ok(self)
    }

    /// How long a token is valid after `exp` and before `nbf`, because clocks differ.
    /// Default: 5 s.
    ///
    /// # Errors
    /// Over 60 s.
    pub fn leeway(mut self, leeway: Duration) -> Result<Self, ConfigError> {
        if leeway > Duration::from_secs(60) {
            return Err(ConfigError::new("leeway", "must be at most 60 s"));
        }
        self.leeway = leeway;
        Ok(self)
    }

    /// Whether a token must be marked as an access token. Default: required.
    #[must_use]
    pub fn token_mark(mut self, token_mark: TokenMark) -> Self {
        self.token_mark = token_mark;
        self
    }

    /// The issuer, exactly as it is in `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// Whether a URL may be fetched from: https, or http on loopback.
pub(crate) fn is_secure_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let Some(host) = uri.host() else { return false };
    let is_without_user = !uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    is_without_user
        && match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback(host),
            _ => false,
        }
}

fn is_loopback(host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback())
}

fn check_issuer(issuer: &str) -> Result<(), ConfigError> {
    let problem = if issuer.is_empty() {
        "is empty"
    } else if issuer.contains(['{', '}']) {
        "has a placeholder in braces: put your tenant there"
    } else if issuer.contains(['?', '#']) {
        "has a query or a fragment"
    } else if !is_secure_url(issuer) {
        "is not an https URL (http is allowed on loopback alone)"
    } else {
        return Ok(());
    };
    Err(ConfigError::new("issuer", problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers() {
        for (issuer, is_accepted) in [
            ("https://id.example", true),
            ("https://id.example/tenant/", true),
            ("http://127.0.0.1:8080/a", true),
            ("http://[::1]:8080", true),
            ("http://localhost:3000", true),
            ("http://id.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://localhost.evil.example", false),
            ("https://user@id.example", false),
            ("https://login.example/{tenantid}/v2.0", false),
            ("https://id.example?x", false),
            ("https://id.example#x", false),
            ("id.example", false),
            ("ftp://id.example", false),
            ("", false),
        ] {
            assert_eq!(Policy::new(issuer, "api").is_ok(), is_accepted, "{issuer}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let client = Audience::Client(vec!["app".into()]);
        let policy = Policy::new("https://id.example", client).unwrap();
        assert!(policy.profile(Profile::Rfc9068).is_err());
        assert!(Policy::new("https://id.example", "").is_err());
        assert!(Policy::new("https://id.example", Audience::AnyOf(vec![])).is_err());
        let policy = Policy::new("https://id.example", "api").unwrap();
        assert!(policy.clone().leeway(Duration::from_secs(61)).is_err());
        assert!(policy.algorithms([]).is_err());
    }
}
