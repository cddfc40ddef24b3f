//! A client that does exactly what it is told, on plain TCP: nothing is
//! corrected, retried or hidden.

pub(crate) mod http;
pub(crate) mod ws;
