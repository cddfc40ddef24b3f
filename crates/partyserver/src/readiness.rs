//! Whether a party can serve.

use std::borrow::Cow;

/// Whether a party can serve now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It can't, for this reason. The reason is shown to whoever asks
    /// `/readyz`, so it holds no secret.
    NotReady(Cow<'static, str>),
}
