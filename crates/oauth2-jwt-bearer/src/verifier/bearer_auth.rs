//! From a request to an identity, in the order of steps that every server keeps.

use std::sync::Arc;

use http::Request;
use http::header::AUTHORIZATION;

use crate::challenge::Challenge;
use crate::error::Error;
use crate::policy::Anonymous;
use crate::token::{
    AccessToken, QueryToken, RequestKind, extract, has_query_token, without_query_token,
};
use crate::verifier::bearer_auth_builder::BearerAuthBuilder;
use crate::verifier::driver::Verifier;
use crate::verify::VerifiedToken;

/// How the requests of a server are authenticated: a [`Verifier`], and what a request
/// needs in addition to a good token. Clones are cheap. Each option is a field and has
/// a setter of the same name.
///
/// [`take`](Self::take) a request's token, [`verify`](Self::verify) it, and answer an
/// error with its [`challenge`](Self::challenge). With feature `tower` it is a layer
/// that does this.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BearerAuth {
    verifier: Verifier,
    /// What happens to a request without a token.
    pub anonymous: Anonymous,
    /// Where a token may be in the query.
    pub query_token: QueryToken,
    /// The realm of challenges.
    pub realm: Arc<str>,
    /// The scopes that every token must have.
    pub required_scopes: Arc<[String]>,
}

impl BearerAuth {
    /// Makes a verifier from options by name, or from variables.
    pub fn builder() -> BearerAuthBuilder {
        BearerAuthBuilder::default()
    }

    /// The defaults: anonymous requests are refused, a token may be in the query
    /// ([`QueryToken::default`]), the realm is [`DEFAULT_REALM`], and no scope is
    /// required.
    pub fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            anonymous: Anonymous::default(),
            query_token: QueryToken::default(),
            realm: DEFAULT_REALM.into(),
            required_scopes: [].into(),
        }
    }

    /// What happens to a request without a token. Default: it is refused.
    #[must_use]
    pub fn anonymous(mut self, anonymous: Anonymous) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Where a token may be in the query. Default: everywhere. URLs end up in histories
    /// and in the logs of proxies, so servers without WebSockets should choose
    /// [`QueryToken::Off`].
    #[must_use]
    pub fn query_token(mut self, query_token: QueryToken) -> Self {
        self.query_token = query_token;
        self
    }

    /// The realm of challenges. Default: [`DEFAULT_REALM`].
    #[must_use]
    pub fn realm(mut self, realm: impl Into<Arc<str>>) -> Self {
        self.realm = realm.into();
        self
    }

    /// The scopes that every token must have. Default: none.
    #[must_use]
    pub fn required_scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.required_scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Takes the token out of a request. Whatever the result, the request has no
    /// `Authorization` header and no `access_token` parameter afterwards, so that
    /// nothing behind this can log, store or pass on the token. With feature `axum`
    /// this includes axum's `OriginalUri`. If the request has an [`AccessToken`] among
    /// its extensions, an outer layer took it before, and it is the token.
    ///
    /// `None` means an anonymous request, if those are allowed. If the URL had a token
    /// (call [`has_query_token`] before this), the answer needs
    /// [`protect_query_token`](crate::protect_query_token).
    ///
    /// # Errors
    /// The errors of [`extract`], and [`Error::Missing`].
    pub fn take<B>(
        &self,
        request: &mut Request<B>,
        kind: RequestKind,
    ) -> Result<Option<AccessToken>, Error> {
        let found = match request.extensions_mut().remove() {
            Some(token) => Ok(Some(token)),
            None => extract(request.headers(), request.uri(), kind, self.query_token),
        };
        request.headers_mut().remove(AUTHORIZATION);
        if has_query_token(request.uri()) {
            *request.uri_mut() = without_query_token(request.uri());
        }
        #[cfg(feature = "axum")]
        redact_original_uri(request.extensions_mut());
        match found? {
            None if self.anonymous == Anonymous::Refused => Err(Error::Missing),
            token => Ok(token),
        }
    }

    /// Verifies a token, its scopes included. See [`Verifier::verify`].
    ///
    /// # Errors
    /// The errors of [`Verifier::verify`], and [`Error::InsufficientScope`].
    pub async fn verify(&self, token: &AccessToken) -> Result<VerifiedToken, Error> {
        let verified = self.verifier.verify(token).await?;
        self.check_scopes(&verified)?;
        Ok(verified)
    }

    /// Whether a verified token has the scopes that every token must have. This is the
    /// last step of [`verify`](Self::verify). A caller that does it separately still
    /// has the verified token when a scope is missing, so it can tell whose token that
    /// is.
    ///
    /// # Errors
    /// [`Error::InsufficientScope`].
    pub fn check_scopes(&self, token: &VerifiedToken) -> Result<(), Error> {
        if token.claims().has_scopes(&self.required_scopes) {
            Ok(())
        } else {
            Err(Error::InsufficientScope)
        }
    }

    /// The wire form of an error.
    pub fn challenge(&self, error: &Error) -> Challenge {
        Challenge::new(error, &self.realm, &self.required_scopes)
    }

    /// The verifier.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// The realm of challenges if no other is set.
pub const DEFAULT_REALM: &str = "rooms";

/// Takes a query token out of the copy of the URL that axum keeps.
#[cfg(feature = "axum")]
fn redact_original_uri(extensions: &mut http::Extensions) {
    if let Some(axum::extract::OriginalUri(uri)) = extensions.get_mut() {
        *uri = without_query_token(uri);
    }
}
