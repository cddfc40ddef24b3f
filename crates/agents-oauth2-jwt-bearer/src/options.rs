//! How identities are established.

use std::sync::Arc;

use oauth2_jwt_bearer::BearerAuth;

use crate::loop_guard::LoopGuard;
use crate::user_info::UserInfoCache;

/// Options of [`WithAuth`](crate::WithAuth): a [`BearerAuth`], and what rooms add to
/// it. Clones are cheap and share their caches, so make the options once and clone them
/// for each room.
#[derive(Clone, Debug)]
pub struct AuthOptions(pub(crate) Arc<Settings>);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) bearer: BearerAuth,
    pub(crate) refusal: RefusalForm,
    pub(crate) refresh_token: RefreshToken,
    pub(crate) client_id: Option<String>,
    pub(crate) loop_guard: Arc<LoopGuard>,
    pub(crate) user_info: Arc<UserInfoCache>,
}

/// How an upgrade is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefusalForm {
    /// By a handshake that succeeds and a close frame that says why. Clients in
    /// browsers can understand that.
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

impl AuthOptions {
    /// The options of rooms that authenticate their callers with this `BearerAuth`.
    pub fn new(bearer: BearerAuth) -> Self {
        Self(Arc::new(Settings {
            bearer,
            refusal: RefusalForm::default(),
            refresh_token: RefreshToken::default(),
            client_id: None,
            loop_guard: Arc::new(LoopGuard::new()),
            user_info: Arc::new(UserInfoCache::new()),
        }))
    }

    /// Options from the process's environment: `OIDC_ISSUER_URL`, `OIDC_AUDIENCE`, and
    /// `OIDC_JWKS_URI` if discovery is not wanted.
    ///
    /// # Errors
    /// When a variable is missing or malformed; the error names it.
    #[cfg(feature = "native")]
    pub fn from_env() -> Result<Self, oauth2_jwt_bearer::ConfigError> {
        let bearer = BearerAuth::builder().variables(|name| std::env::var(name).ok());
        bearer.build().map(Self::new)
    }

    /// How upgrades are refused. Default: by a close frame.
    #[must_use]
    pub fn refusal(self, refusal: RefusalForm) -> Self {
        self.with(|settings| settings.refusal = refusal)
    }

    /// What happens to `x-refresh-token`. Default: it is ignored.
    #[must_use]
    pub fn refresh_token(self, refresh_token: RefreshToken) -> Self {
        self.with(|settings| settings.refresh_token = refresh_token)
    }

    /// The client that ID tokens must be issued for. Default: the client that the
    /// access token names.
    #[must_use]
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        self.with(|settings| settings.client_id = Some(client_id.into()))
    }

    /// How requests are authenticated, for routes beside the rooms. With the feature
    /// `tower` it is a layer that refuses with the same challenges and shares the keys
    /// and the verified tokens.
    pub fn bearer_auth(&self) -> &BearerAuth {
        &self.0.bearer
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl From<BearerAuth> for AuthOptions {
    fn from(bearer: BearerAuth) -> Self {
        Self::new(bearer)
    }
}
