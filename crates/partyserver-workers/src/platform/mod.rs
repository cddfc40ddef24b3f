//! The platform: its bindings, its clock, its requests and responses, and the tasks
//! that its events become. Nothing here knows rooms or gates.

pub(crate) mod http;
pub(crate) mod js;
pub(crate) mod log;
pub(crate) mod task;
pub(crate) mod time;
