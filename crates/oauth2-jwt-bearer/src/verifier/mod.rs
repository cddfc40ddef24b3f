//! The driver over the checks at the crate's root: it fetches and keeps keys over two
//! ports, and takes a request to its identity.

pub(crate) mod bearer_auth;
pub(crate) mod bearer_auth_builder;
pub mod discovery;
pub(crate) mod driver;
mod maybe_send;
pub mod port;
pub(crate) mod provider;
pub(crate) mod user_info;
mod verified_cache;
