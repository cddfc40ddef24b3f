//! The ports on tokio: signatures by aws-lc-rs, requests by hyper.

mod fetch;
mod runtime;
mod signature;

use std::sync::{Arc, LazyLock};

use crate::port::Ports;

/// The native ports. All callers share one HTTP client.
pub fn ports() -> Ports {
    static PORTS: LazyLock<Ports> = LazyLock::new(|| Ports {
        signatures: Arc::new(signature::AwsLc),
        fetch: Arc::new(fetch::Hyper::new()),
        runtime: Arc::new(runtime::Tokio),
    });
    PORTS.clone()
}
