//! How hooks reach the identity.

use std::sync::Arc;

use oauth2_jwt_bearer::{Claims, UserInfo, UserInfoError};
use partyserver::{Attachments, Connection, Context, MaybeSend};
use serde::de::DeserializeOwned;

use crate::identity::{Credentials, Identity};
use crate::options::Settings;
use crate::user_info::{Refresh, user_info};

/// The identity behind the current event.
pub trait AuthContext {
    /// The verified claims of the caller whose event this is. They are valid now.
    ///
    /// # Errors
    /// [`NotAuthenticated`] for an anonymous caller, for an event of the room itself,
    /// and when the identity's time is up.
    fn claims(&self) -> Result<Claims, NotAuthenticated>;

    /// The claims as a type of your own.
    ///
    /// # Errors
    /// The errors of [`AuthContext::claims`], and an error when the claims do not fit
    /// the type.
    fn claims_as<T: DeserializeOwned>(&self) -> partyserver::Result<T>;

    /// The raw tokens, which are secrets. `None` for an anonymous caller, and after a
    /// hibernation that unloaded the process.
    fn credentials(&self) -> Option<Arc<Credentials>>;

    /// What the provider says about the user: every member, known or not.
    ///
    /// # Errors
    /// [`NotAuthenticated`], or [`UserInfoError`].
    fn user_info(
        &self,
        refresh: Refresh,
    ) -> impl Future<Output = partyserver::Result<Arc<UserInfo>>> + MaybeSend;
}

/// The identity of a connection.
pub trait AuthConnection {
    /// The claims that the connection was admitted with. They stay after their time is
    /// up, so that `on_close` can still say who left. `None` for an anonymous connection.
    fn claims(&self) -> Option<Claims>;

    /// The raw tokens, which are secrets. `None` for an anonymous connection, and after
    /// a hibernation that unloaded the process.
    fn credentials(&self) -> Option<Arc<Credentials>>;
}

/// The identity of a request.
pub trait AuthRequest {
    /// The verified claims. `None` for an anonymous request.
    fn claims(&self) -> Option<Claims>;
}

/// There is no valid identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAuthenticated {
    /// The caller is anonymous, or the event comes from the room itself.
    #[error("the caller is anonymous")]
    Anonymous,
    /// The identity's time is up, or it can't be read any more.
    #[error("the caller's identity has expired")]
    Expired,
}

impl AuthContext for Context {
    fn claims(&self) -> Result<Claims, NotAuthenticated> {
        Ok(valid_identity(self)?.claims().clone())
    }

    fn claims_as<T: DeserializeOwned>(&self) -> partyserver::Result<T> {
        Ok(valid_identity(self)?.claims().claims_as()?)
    }

    fn credentials(&self) -> Option<Arc<Credentials>> {
        self.attachments()?.get()
    }

    async fn user_info(&self, refresh: Refresh) -> partyserver::Result<Arc<UserInfo>> {
        let identity = valid_identity(self)?;
        let gone = || UserInfoError::Unavailable("the access token is no longer in memory".into());
        let credentials = self.credentials().ok_or_else(gone)?;
        let settings = self.room().locals().get::<Settings>();
        let settings = settings.ok_or(NotAuthenticated::Anonymous)?;
        let (verifier, answers) = (settings.bearer.verifier(), &settings.user_info);
        let token = credentials.access_token();
        Ok(user_info(verifier, answers, token, &identity, refresh).await?)
    }
}

impl AuthConnection for Connection {
    fn claims(&self) -> Option<Claims> {
        Some(self.attachments().get::<Identity>()?.claims().clone())
    }

    fn credentials(&self) -> Option<Arc<Credentials>> {
        self.attachments().get()
    }
}

impl<B> AuthRequest for http::Request<B> {
    fn claims(&self) -> Option<Claims> {
        let attachments = self.extensions().get::<Attachments>()?;
        Some(attachments.get::<Identity>()?.claims().clone())
    }
}

/// Whether there is an identity that can't be read: somebody, so never an anonymous caller.
pub(crate) fn unreadable(attachments: &Attachments) -> bool {
    attachments.holds::<Identity>() && attachments.get::<Identity>().is_none()
}

/// The identity of whose event this is, valid now.
pub(crate) fn valid_identity(cx: &Context) -> Result<Arc<Identity>, NotAuthenticated> {
    let attachments = cx.attachments().ok_or(NotAuthenticated::Anonymous)?;
    let Some(identity) = attachments.get::<Identity>() else {
        return Err(if attachments.holds::<Identity>() {
            NotAuthenticated::Expired
        } else {
            NotAuthenticated::Anonymous
        });
    };
    if identity.is_valid_at(cx.now()) {
        Ok(identity)
    } else {
        Err(NotAuthenticated::Expired)
    }
}
