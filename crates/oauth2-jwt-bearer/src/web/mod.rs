//! The ports on what every web runtime has: signatures by WebCrypto, requests
//! by `fetch`. Made for Cloudflare Workers; nothing here is theirs alone.
//!
//! Key sets and verified tokens outlive the request that brought them, but a
//! request's timers, fetches and tasks do not: see [`Runtime::patience`].
//!
//! The module compiles for every target, and works where there is a JavaScript
//! engine: elsewhere its functions panic.
//!
//! [`Runtime::patience`]: crate::port::Runtime::patience

mod fetch;
mod runtime;
mod signature;

use std::sync::Arc;

use crate::port::{BoxFuture, Ports};

/// Runs a task beside the present request, which may end before the task does:
/// `waitUntil` on Workers. `false` when there is no request, or nothing else to
/// run it on; then the task is dropped.
pub type Spawn = fn(BoxFuture<'static, ()>) -> bool;

/// The ports of a web runtime.
///
/// - Signatures: RS, PS and ES 256 to 512, and Ed25519, as far as the runtime
///   has them. A key that it does not import is no key.
/// - Requests: `https`, or `http` on loopback. A redirect is not followed. In a
///   browser a request to the page's own origin carries its cookies, and a
///   redirect is [`FetchError::Connection`]: there its status can't be seen.
/// - Time: `Date.now` and `setTimeout`. Patience: 1 s.
///
/// [`FetchError::Connection`]: crate::port::FetchError::Connection
pub fn ports(spawn: Spawn) -> Ports {
    Ports {
        signatures: Arc::new(signature::WebCrypto),
        fetch: Arc::new(fetch::GlobalFetch),
        runtime: Arc::new(runtime::Web { spawn }),
    }
}
