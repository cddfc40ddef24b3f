//! JWK Sets (RFC 7517): keys, their selection, and their cache.

#[cfg(feature = "verifier")]
pub mod cache;
pub mod key;
mod roca;
pub mod select;
