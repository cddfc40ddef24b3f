//! Where an application says what it serves, whatever the host.

use http::request::Parts;

use crate::http_types::{Request, Response};
use crate::maybe_send::{MaybeSend, MaybeSync};
use crate::options::PartyOptions;
use crate::wrap::IntoServer;

/// The parties of an application on some host. Every host's `Parties` is one, so
/// a function can register the same parties with each of them.
///
/// # Example
/// ```
/// use partyserver::*;
///
/// struct Chat;
/// impl Server for Chat {}
///
/// pub fn parties<R: PartyRegistry>(registry: R) -> R {
///     registry.party("chat", || Chat)
/// }
/// ```
pub trait PartyRegistry: Sized {
    /// Registers a party with the default options: see [`party_with`](Self::party_with).
    #[must_use]
    fn party<S: IntoServer>(
        self,
        name: &str,
        factory: impl Fn() -> S + MaybeSend + MaybeSync + 'static,
    ) -> Self {
        self.party_with(name, PartyOptions::new(), factory)
    }

    /// Registers a party. `factory` makes the server of a room; it is called once
    /// more for the party's gate.
    #[must_use]
    fn party_with<S: IntoServer>(
        self,
        name: &str,
        options: PartyOptions,
        factory: impl Fn() -> S + MaybeSend + MaybeSync + 'static,
    ) -> Self;

    /// The application's own answers, for every path that does not lead to a room.
    /// Default: 404.
    #[must_use]
    fn fallback<F, R>(self, answer: F) -> Self
    where
        F: Fn(Request) -> R + MaybeSend + MaybeSync + 'static,
        R: Future<Output = Response> + MaybeSend + 'static;

    /// Changes the head of each request before it is routed. Use it for rooms at paths
    /// of your own (PartySocket's `basePath`), by changing the URI. The URI is absolute
    /// here, and internal headers are gone. If you set a path alone, the scheme and the
    /// authority are kept.
    #[must_use]
    fn rewrite(self, rewrite: impl Fn(&mut Parts) + MaybeSend + MaybeSync + 'static) -> Self;
}
