//! A random id for the time that a room is in memory.

/// A random id, made when a room wakes.
pub(crate) fn instance_id() -> String {
    getrandom::u64().map_or_else(|_| "no-randomness".to_owned(), |id| format!("{id:016x}"))
}
