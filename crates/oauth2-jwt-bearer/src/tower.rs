//! [`BearerAuth`] as a `tower` layer: nothing before authentication.
//!
//! A request that is admitted goes on with its
//! [`VerifiedToken`](crate::VerifiedToken) among its extensions, and with its
//! [`AccessToken`](crate::AccessToken), the secret, for whoever calls the provider
//! or another server in the user's name; an anonymous one has neither. Any other
//! is answered by its [`Challenge`](crate::Challenge), and the inner service never
//! sees it. Refusals are logged with the error's code.
//!
//! * What logs URLs or headers belongs inside: it then sees neither token.
//! * What answers CORS preflights belongs outside, for they carry no token. It
//!   must allow `Authorization` by name, and expose `WWW-Authenticate` and
//!   `Retry-After` to scripts.
//! * A layer inside another one verifies the token that the outer one took: a few
//!   routes can so require further scopes.
//! * A WebSocket handshake is refused by an HTTP answer. Rooms, which are refused
//!   by a close code that browsers show, authenticate by themselves: they belong
//!   beside the layer.
//! * An answer that is still being streamed when the token's time is up goes on,
//!   unless the handler ends it: it knows
//!   [`valid_until`](crate::VerifiedToken::valid_until).
//! * On wasm32 its futures are not `Send`, which axum's router asks for.
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
/// Its answers' body is the inner service's, which a refusal's text must be able
/// to become.
#[derive(Clone, Debug)]
pub struct BearerAuthService<S> {
    inner: S,
    auth: BearerAuth,
}

/// The mark of a request that has passed a layer.
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
        // The service that said it is ready is the one to call.
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
