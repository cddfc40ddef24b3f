//! [`Authenticated`]: an `axum` handler that can't run without a verified token.
//!
//! The layer ([`tower`](crate::tower)) verifies the token. The extractor gives it to
//! the handler, and requires the scopes that the handler needs. Both refuse with the
//! same challenges.
//!
//! # Example
//! ```
//! # #[cfg(feature = "native")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, body::Body, routing::get};
//! use http::{Request, StatusCode};
//! use local_issuer::LocalIssuer;
//! use oauth2_jwt_bearer::axum::{Authenticated, RequiredScopes};
//! use oauth2_jwt_bearer::{BearerAuth, Claims, Policy, Verifier};
//! use tower::ServiceExt;
//!
//! async fn me(user: Authenticated) -> String {
//!     user.claims().subject().to_owned()
//! }
//!
//! struct ReadReports;
//! impl RequiredScopes for ReadReports {
//!     const SCOPES: &'static [&'static str] = &["reports:read"];
//! }
//! async fn reports(_: Authenticated<Claims, ReadReports>) -> &'static str {
//!     "all is well"
//! }
//!
//! let issuer = LocalIssuer::builder().start().await?;
//! let verifier = Verifier::builder(Policy::new(issuer.url(), "api")?).build()?;
//! let app = Router::new()
//!     .route("/me", get(me))
//!     .route("/reports", get(reports))
//!     .route_layer(BearerAuth::new(verifier));
//!
//! let authorization = format!("Bearer {}", issuer.token().scope("chat").sign());
//! let ask = |path: &str| {
//!     let request = Request::get(path).header("authorization", &authorization);
//!     app.clone().oneshot(request.body(Body::empty()).expect("a request"))
//! };
//! assert_eq!(ask("/me").await?.status(), StatusCode::OK);
//! assert_eq!(ask("/reports").await?.status(), StatusCode::FORBIDDEN);
//! # Ok(()) }
//! # #[cfg(not(feature = "native"))] fn main() {}
//! ```

use std::fmt;
use std::marker::PhantomData;

use axum::body::Body;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, StatusCode};
use serde::de::DeserializeOwned;

use crate::challenge::Challenge;
use crate::claims::Claims;
use crate::error::{Error, Invalid};
use crate::tower::Passed;
use crate::verifier::bearer_auth::BearerAuth;
use crate::verify::VerifiedToken;

/// The caller of a request: a token that the layer around the route has verified, that
/// is valid now, and that has the scopes `R`.
///
/// `C` is the type of the claims: [`Claims`], or a type of your own that deserializes
/// from them. There is no other way to make a value, so a handler that takes one can't
/// be called without a token.
///
/// `Option<Authenticated<…>>` is `None` for an anonymous request, if the layer allows
/// those ([`Anonymous::Allowed`](crate::Anonymous)). A token that is bad or lacks a
/// scope is still refused.
///
/// # Rejections
/// [`AuthenticatedRejection`]. Without the layer, the route answers 500 to everyone.
pub struct Authenticated<C = Claims, R = ()> {
    token: VerifiedToken,
    claims: C,
    required: PhantomData<fn() -> R>,
}

/// The scopes that an [`Authenticated`] must have, in addition to those that the layer
/// requires. `()` requires none.
pub trait RequiredScopes {
    /// All of them are required.
    const SCOPES: &'static [&'static str];
}

/// Why there is no [`Authenticated`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticatedRejection {
    /// The token is at fault, and the challenge tells the client why:
    /// [`Error::Missing`], [`Error::Expired`] after a long wait,
    /// [`Error::InsufficientScope`], or [`Invalid::Claim`] for claims that do not fit
    /// the handler's type.
    #[error("{error}")]
    Refused {
        /// What is wrong.
        error: Error,
        /// Its wire form.
        challenge: Challenge,
    },
    /// No [`BearerAuth`] layer is around the route: 500. The program is at fault.
    #[error("no `BearerAuth` layer is around this route")]
    NoLayer,
}

impl<C, R> Authenticated<C, R> {
    /// The claims.
    pub fn claims(&self) -> &C {
        &self.claims
    }

    /// Takes the claims out, to keep them.
    pub fn into_claims(self) -> C {
        self.claims
    }

    /// The token, with all of its claims and its end.
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }
}

impl<C: DeserializeOwned, R: RequiredScopes> Authenticated<C, R> {
    /// Finds what the layer attached. `None` if the layer admitted an anonymous
    /// request.
    fn find(auth: &BearerAuth, extensions: &Extensions) -> Result<Option<Self>, Error> {
        let Some(token) = extensions.get::<VerifiedToken>() else {
            return Ok(None);
        };
        // The request may have waited for a long time behind the layer.
        if !token.is_valid_at(auth.verifier().now()) {
            return Err(Error::Expired);
        }
        if !token.claims().has_scopes(R::SCOPES) {
            return Err(Error::InsufficientScope);
        }
        let claims = token.claims().claims_as().map_err(|_| {
            // The cause is not named: its text can contain a value, which is personal.
            let claims = std::any::type_name::<C>();
            tracing::warn!(claims, "the claims of a valid token do not fit this type");
            Invalid::Claim
        })?;
        Ok(Some(Self {
            token: token.clone(),
            claims,
            required: PhantomData,
        }))
    }
}

impl<C, R, S> FromRequestParts<S> for Authenticated<C, R>
where
    C: DeserializeOwned,
    R: RequiredScopes,
    S: Sync,
{
    type Rejection = AuthenticatedRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let auth = layer_of(&parts.extensions)?;
        Self::find(auth, &parts.extensions)
            .and_then(|found| found.ok_or(Error::Missing))
            .map_err(|error| refused::<R>(auth, error))
    }
}

impl<C, R, S> OptionalFromRequestParts<S> for Authenticated<C, R>
where
    C: DeserializeOwned,
    R: RequiredScopes,
    S: Sync,
{
    type Rejection = AuthenticatedRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        let auth = layer_of(&parts.extensions)?;
        Self::find(auth, &parts.extensions).map_err(|error| refused::<R>(auth, error))
    }
}

impl RequiredScopes for () {
    const SCOPES: &'static [&'static str] = &[];
}

impl IntoResponse for AuthenticatedRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Refused { challenge, .. } => challenge.to_response::<Body>(),
            Self::NoLayer => {
                (StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").into_response()
            }
        }
    }
}

/// Shows nothing, because claims are personal, and handlers' arguments end up in logs.
impl<C, R> fmt::Debug for Authenticated<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticated")
    }
}

fn layer_of(extensions: &Extensions) -> Result<&BearerAuth, AuthenticatedRejection> {
    let passed = extensions.get().map(|Passed(auth)| auth);
    passed.ok_or_else(|| {
        let rejection = AuthenticatedRejection::NoLayer;
        tracing::error!("{rejection}");
        rejection
    })
}

/// The challenge names all scopes that a token needs to reach the handler.
fn refused<R: RequiredScopes>(auth: &BearerAuth, error: Error) -> AuthenticatedRejection {
    tracing::info!(code = error.code(), "refused");
    let mut scopes: Vec<&str> = auth.required_scopes.iter().map(String::as_str).collect();
    scopes.extend(R::SCOPES);
    let challenge = Challenge::new(&error, &auth.realm, &scopes);
    AuthenticatedRejection::Refused { error, challenge }
}
