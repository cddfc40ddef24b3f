//! Panics, as the core and the log are told of them, and the ids of failures.

use std::any::Any;

use partyserver::host::escaped;
use partyserver::host::failure::Failure;

use crate::turn_limit::PastLimit;

/// What a panic of a hook is: one that ended a turn past its limit is no fault of the
/// hook's own words.
pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Failure {
    if panic.is::<PastLimit>() {
        return Failure::TimedOut;
    }
    Failure::Panicked(text(panic))
}

/// What a panic says, on one line: it may quote what a client sent.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    escaped(&text(panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_default()
}

/// 64 random bits in hexadecimal.
pub(crate) fn random_id() -> String {
    // Ids only have to differ; without randomness a request still gets one.
    format!("{:016x}", getrandom::u64().unwrap_or_default())
}
