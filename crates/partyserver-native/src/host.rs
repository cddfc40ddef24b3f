//! The machine under the rooms: what all rooms of a server share.

use std::sync::Arc;

use crate::clock::Clock;
use crate::stop::Stop;
use crate::store::Store;

/// What all rooms of a server share.
pub(crate) struct Host {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) stop: Stop,
}
