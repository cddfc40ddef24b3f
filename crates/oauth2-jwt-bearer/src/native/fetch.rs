//! Fetches with hyper, with TLS from rustls and the system's root certificates.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::policy::is_secure_url;
use crate::verifier::port::{BoxFuture, Fetch, FetchError, FetchRequest, FetchResponse};

/// A hyper client.
pub(super) struct Hyper(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

impl Hyper {
    pub(super) fn new() -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .unwrap_or_else(|error| {
                // Without roots every https connection fails, and readiness and the log
                // then say so. http on loopback still works.
                tracing::warn!(%error, "no root certificates were found");
                let no_roots = RootCertStore::empty();
                let config = ClientConfig::builder().with_root_certificates(no_roots);
                HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth())
            })
            .https_or_http()
            .enable_http1()
            .build();
        // Each fetch opens a new connection, because fetches are minutes apart, and a
        // pooled connection may belong to a runtime that has ended.
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Self(client)
    }

    async fn get(&self, request: FetchRequest<'_>) -> Result<FetchResponse, FetchError> {
        let mut get = Request::get(request.url)
            .header(ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|_| FetchError::Insecure)?;
        if let Some(token) = request.bearer {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| FetchError::Connection("the token can't stand in a header".into()))?;
            value.set_sensitive(true);
            get.headers_mut().insert(AUTHORIZATION, value);
        }
        let response = self
            .0
            .request(get)
            .await
            .map_err(|error| FetchError::Connection(causes(&error)))?;
        let status = response.status().as_u16();
        let cache_control = response.headers().get(CACHE_CONTROL);
        let cache_control = cache_control
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = Limited::new(response.into_body(), request.max_bytes)
            .collect()
            .await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => FetchError::TooLarge,
            None => FetchError::Connection(causes(&*error)),
        })?;
        Ok(FetchResponse {
            status,
            cache_control,
            body: body.to_bytes().into(),
        })
    }
}

impl Fetch for Hyper {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<FetchResponse, FetchError>> {
        Box::pin(async move {
            if !is_secure_url(request.url) {
                return Err(FetchError::Insecure);
            }
            let limit: Duration = request.timeout;
            tokio::time::timeout(limit, self.get(request))
                .await
                .map_err(|_| FetchError::TimedOut)?
        })
    }
}

/// An error with its causes, because hyper's own text alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
