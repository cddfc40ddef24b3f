//! The faults of a provider, on demand.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// A part of the issuer's HTTP interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Both metadata documents.
    Discovery,
    /// The key set.
    Jwks,
    /// The token endpoint.
    Token,
    /// The userinfo endpoint.
    UserInfo,
    /// All of them.
    All,
}

/// What is wrong with an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The connection is closed without an answer.
    Down,
    /// The answer takes this long.
    Slow(Duration),
    /// The answer has this status and no body.
    Status(u16),
    /// The answer is 200 with a body that is not JSON.
    Malformed,
    /// The answer is 200 with this many bytes of white space.
    Huge(usize),
    /// The metadata names this issuer.
    WrongIssuer(String),
    /// The answer is a redirect to this URL.
    Redirect(String),
}

/// Holds requests to an endpoint until it is dropped.
#[derive(Debug)]
pub struct Hold(Arc<HoldState>);

#[derive(Debug)]
pub(crate) struct HoldState {
    arrived: Notify,
    released: watch::Sender<bool>,
}

impl Hold {
    pub(crate) fn new(state: Arc<HoldState>) -> Self {
        Self(state)
    }

    /// Waits until a request has arrived and is held.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Lets the held requests go on, and later ones pass.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.released.send_replace(true);
    }
}

impl HoldState {
    pub(crate) fn new() -> Self {
        Self {
            arrived: Notify::new(),
            released: watch::Sender::new(false),
        }
    }

    pub(crate) async fn pass(&self) {
        let mut released = self.released.subscribe();
        self.arrived.notify_one();
        // The sender is behind `self`, so it can't be gone.
        let _ = released.wait_for(|released| *released).await;
    }
}
