//! What an application serves, in the form that is the same on every host: the names of
//! its parties, and its own answers.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;

use crate::answer;
use crate::http_types::{Request, Response};
use crate::maybe_send::{BoxFuture, MaybeSend, MaybeSync};
use crate::router::{Route, Router};

/// Routes of an application: from a head to a party, or to the application itself.
pub struct Routes {
    router: Router,
    names: Vec<Arc<str>>,
    fallback: Box<dyn Fallback>,
    rewrite: Option<Box<dyn Rewrite>>,
}

trait Fallback: MaybeSend + MaybeSync {
    fn answer(&self, request: Request) -> BoxFuture<'static, Response>;
}

impl<F, R> Fallback for F
where
    F: Fn(Request) -> R + MaybeSend + MaybeSync,
    R: Future<Output = Response> + MaybeSend + 'static,
{
    fn answer(&self, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(self(request))
    }
}

trait Rewrite: Fn(&mut Parts) + MaybeSend + MaybeSync {}
impl<F: Fn(&mut Parts) + MaybeSend + MaybeSync> Rewrite for F {}

impl Routes {
    /// No parties, under the prefix `parties`; 404 for all else.
    pub fn new() -> Self {
        let not_found = || answer::text(StatusCode::NOT_FOUND, "Not found");
        Self {
            router: Router::new("parties"),
            names: Vec::new(),
            fallback: Box::new(move |_| std::future::ready(not_found())),
            rewrite: None,
        }
    }

    /// Registers a party and returns its name in kebab-case. The first party has index
    /// 0, the next 1, and so on.
    pub fn register(&mut self, name: &str) -> Arc<str> {
        let (_, name) = self.router.register(name);
        self.names.push(Arc::clone(&name));
        name
    }

    /// The application's own answers.
    pub fn set_fallback<F, R>(&mut self, answer: F)
    where
        F: Fn(Request) -> R + MaybeSend + MaybeSync + 'static,
        R: Future<Output = Response> + MaybeSend + 'static,
    {
        self.fallback = Box::new(answer);
    }

    /// What changes each head before it is routed.
    pub fn set_rewrite(&mut self, rewrite: impl Fn(&mut Parts) + MaybeSend + MaybeSync + 'static) {
        self.rewrite = Some(Box::new(rewrite));
    }

    /// The index of a party.
    pub fn party(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| **own == *name)
    }

    /// A name that two parties share, if there is one. The second of them would never
    /// be reached.
    pub fn duplicate(&self) -> Option<&str> {
        let (name, _) = self
            .names
            .iter()
            .enumerate()
            .map(|(index, name)| (&**name, self.names[..index].contains(name)))
            .find(|(_, is_known)| *is_known)?;
        Some(name)
    }

    pub(super) fn rewrite(&self, head: &mut Parts) {
        let Some(rewrite) = &self.rewrite else {
            return;
        };
        let before = head.uri.clone();
        rewrite(head);
        if head.uri.authority().is_none() {
            absolute(&mut head.uri, before);
        }
    }

    pub(super) fn route<'p>(&self, path: &'p str) -> Route<'p> {
        self.router.route(path)
    }

    pub(super) fn fall_back(&self, request: Request) -> BoxFuture<'static, Response> {
        self.fallback.answer(request)
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}

/// Gives a path that the application chose the scheme and the authority that the URL
/// had before.
fn absolute(uri: &mut http::Uri, before: http::Uri) {
    let path = std::mem::take(uri).into_parts().path_and_query;
    let mut parts = before.into_parts();
    if path.is_some() {
        parts.path_and_query = path;
    }
    // A path taken from a URI fits behind an authority taken from a URI, unless the
    // path is `*`.
    *uri = http::Uri::from_parts(parts).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(to: &'static str) -> String {
        let mut routes = Routes::new();
        routes.set_rewrite(move |head| {
            assert_eq!(head.uri, "https://a.example:8443/old?x=1");
            head.uri = to.parse().unwrap();
        });
        let request = http::Request::get("https://a.example:8443/old?x=1");
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        routes.rewrite(&mut head);
        head.uri.to_string()
    }

    #[test]
    fn a_rewritten_url_is_absolute() {
        for (to, url) in [
            ("/new", "https://a.example:8443/new"),
            ("/new?y=2", "https://a.example:8443/new?y=2"),
            ("http://b.example/new", "http://b.example/new"),
        ] {
            assert_eq!(rewritten(to), url);
        }
    }

    #[test]
    fn a_name_is_given_once() {
        let mut routes = Routes::new();
        assert_eq!(&*routes.register("Chat"), "chat");
        routes.register("PrivateChat");
        assert_eq!((routes.duplicate(), routes.party("chat")), (None, Some(0)));
        routes.register("CHAT");
        assert_eq!(routes.duplicate(), Some("chat"));
    }
}
