//! [`BearerAuth`] as a `tower` layer: nothing happens before authentication.
//!
//! A request that is admitted goes on with two extensions: its
//! [`VerifiedToken`](crate::VerifiedToken), and the secret
//! [`AccessToken`](crate::AccessToken) for code that calls the provider or another
//! server on the user's behalf. An anonymous request has neither. Any other request is
//! answered by its [`Challenge`](crate::Challenge), and the inner service never sees
//! it. Refusals are logged with the error's code.
//!
//! * Put layers that log URLs or headers inside this one, so that they never see a
//!   token.
//! * Put layers that answer CORS preflights outside, because preflights carry no token.
//!   Such a layer must allow `Authorization` by name, and expose `WWW-Authenticate` and
//!   `Retry-After` to scripts.
//! * A layer inside another one verifies the token that the outer one took, so that a
//!   few routes can require further scopes.
//! * A WebSocket handshake is refused by an HTTP answer. Rooms refuse by a close code,
//!   which browsers show, and authenticate by themselves: put them beside the layer.
//! * An answer that is still being streamed when the token expires goes on, unless the
//!   handler ends it. The handler knows
//!   [`valid_until`](crate::VerifiedToken::valid_until).
//! * On wasm32 its futures are not `Send`, which axum's router requires.
//!
//! # Example
//! ```
//! # #[cfg(feature = "native")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use http::{Request, Response, StatusCode};
//! use local_issuer::LocalIssuer;
//! use oauth2_jwt_bearer::{BearerAuth, Policy, VerifiedToken, Verifier};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let issuer = LocalIssuer::builder().start().await?;
//! let verifier = Verifier::builder(Policy::new(issuer.url(), "api")?).build()?;
//!
//! let hello = ServiceBuilder::new()
//!     .layer(BearerAuth::new(verifier))
//!     .service(service_fn(async |request: Request<()>| {
//!         let token = request.extensions().get::<VerifiedToken>().ok_or("anonymous")?;
//!         Ok::<_, &str>(Response::new(format!("hello {}", token.subject())))
//!     }));
//!
//! let authorization = format!("Bearer {}", issuer.token().subject("bob").sign());
//! let request = Request::get("/").header("authorization", authorization).body(())?;
//! assert_eq!(hello.clone().oneshot(request).await?.body(), "hello bob");
//!
//! let answer = hello.oneshot(Request::get("/").body(())?).await?;
//! assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(answer.headers()["www-authenticate"], r#"Bearer realm="rooms""#);
//! # Ok(()) }
//! # #[cfg(not(feature = "native"))] fn main() {}
//! ```

use std::mem;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Error;
use crate::token::{RequestKind, has_query_token, protect_query_token};
use crate::verifier::bearer_auth::BearerAuth;
use crate::verifier::port::BoxFuture;

/// A service behind a [`BearerAuth`] layer.
///
/// The body of its answers is the inner service's body. That type must be able to hold
/// the text of a refusal.
#[derive(Clone, Debug)]
pub struct BearerAuthService<S> {
    inner: S,
    auth: BearerAuth,
}

/// Marks a request that has passed a layer.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "axum"),
    expect(dead_code, reason = "the extractor reads it")
)]
pub(crate) struct Passed(pub(crate) BearerAuth);

impl<S> Layer<S> for BearerAuth {
    type Service = BearerAuthService<S>;

    fn layer(&self, inner: S) -> BearerAuthService<S> {
        BearerAuthService {
            inner,
            auth: self.clone(),
        }
    }
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for BearerAuthService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send,
    RequestBody: Send + 'static,
    ResponseBody: From<&'static str> + From<String>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        // The service that was ready must be the one that is called.
        let fresh = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, fresh);
        let auth = self.auth.clone();
        Box::pin(async move {
            let is_in_query = has_query_token(request.uri());
            let mut response = match admit(auth.clone(), &mut request).await {
                Ok(()) => inner.call(request).await?,
                Err(error) => {
                    tracing::info!(code = error.code(), "refused");
                    auth.challenge(&error).to_response()
                }
            };
            if is_in_query {
                protect_query_token(response.headers_mut());
            }
            Ok(response)
        })
    }
}

async fn admit<B>(auth: BearerAuth, request: &mut Request<B>) -> Result<(), Error> {
    let kind = RequestKind::of(request);
    if let Some(token) = auth.take(request, kind)? {
        let verified = auth.verify(&token).await?;
        request.extensions_mut().insert(verified);
        request.extensions_mut().insert(token);
    }
    request.extensions_mut().insert(Passed(auth));
    Ok(())
}
