//! A client on plain TCP that does exactly what it is told. It corrects, repeats and
//! hides nothing.

pub(crate) mod http;
pub(crate) mod ws;
