//! The last hand on an answer, whoever made it.

use http::{HeaderMap, HeaderValue};
use partyserver::{Cors, Response};

/// What is put on every answer to one request. The 101 of an upgrade is none.
#[derive(Clone)]
pub(crate) struct Finish {
    cors: Option<Cors>,
    origin: Option<HeaderValue>,
    /// The party's, for the request's URL.
    headers: HeaderMap,
}

impl Finish {
    pub(crate) fn new(cors: Option<&Cors>, request: &HeaderMap, headers: HeaderMap) -> Self {
        Self {
            cors: cors.cloned(),
            origin: request.get(http::header::ORIGIN).cloned(),
            headers,
        }
    }

    pub(crate) fn apply(&self, mut answer: Response) -> Response {
        answer.headers_mut().extend(self.headers.clone());
        if let Some(cors) = &self.cors {
            cors.apply(self.origin.as_ref(), answer.headers_mut());
        }
        answer
    }
}
