//! The last changes to every answer, whoever made it.

use std::sync::Arc;

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};

use crate::cors::Cors;
use crate::http_types::Response;

/// What is put on every answer to one request. The 101 of an upgrade does not count as
/// an answer here.
#[derive(Clone, Debug)]
pub struct Finish {
    cors: Option<Arc<Cors>>,
    origin: Option<HeaderValue>,
    /// The party's, for the request's URL.
    headers: HeaderMap,
}

impl Finish {
    /// For a request with these headers: the party's CORS headers, and `headers`, which
    /// are the party's own.
    pub fn new(cors: Option<Arc<Cors>>, request: &HeaderMap, headers: HeaderMap) -> Self {
        let origin = cors.as_ref().and_then(|_| request.get(ORIGIN).cloned());
        Self {
            cors,
            origin,
            headers,
        }
    }

    /// The party's own headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether the party sends CORS headers.
    pub fn has_cors(&self) -> bool {
        self.cors.is_some()
    }

    /// Puts them on an answer.
    #[must_use]
    pub fn apply(&self, mut answer: Response) -> Response {
        if !self.headers.is_empty() {
            answer.headers_mut().extend(self.headers.clone());
        }
        if let Some(cors) = &self.cors {
            cors.apply(self.origin.as_ref(), answer.headers_mut());
        }
        answer
    }
}
