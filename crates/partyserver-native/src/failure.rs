//! Turns panics into failures for the core and the log, and makes the ids of failures.

use std::any::Any;

use partyserver::host::escaped;
use partyserver::host::failure::Failure;

use crate::turn_limit::PastLimit;

/// The failure behind a panic of a hook. If the panic ended a turn past its limit, the
/// hook itself did not panic.
pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Failure {
    if panic.is::<PastLimit>() {
        return Failure::TimedOut;
    }
    Failure::Panicked(text(panic))
}

/// The text of a panic, on one line, because it may quote what a client sent.
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
    // Ids only have to differ. Without randomness a request still gets one.
    format!("{:016x}", getrandom::u64().unwrap_or_default())
}
