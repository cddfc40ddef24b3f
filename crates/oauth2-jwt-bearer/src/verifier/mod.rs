//! The driver on top of the checks at the crate's root. It fetches and keeps keys over
//! its ports, and takes a request to its identity.

pub(crate) mod bearer_auth;
pub(crate) mod bearer_auth_builder;
pub mod discovery;
pub(crate) mod driver;
mod maybe_send;
pub mod port;
pub(crate) mod provider;
pub(crate) mod user_info;
mod verified_cache;
