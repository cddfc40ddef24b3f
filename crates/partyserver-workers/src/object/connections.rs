//! The connections of a room.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::connection::Conn;
use crate::platform::js::Socket;
use crate::platform::time;

/// The connections whose end the room was not told yet, by key. In this order the
/// oldest is first.
#[derive(Default)]
pub(super) struct Connections(RefCell<Vec<Arc<Conn>>>);

impl Connections {
    /// The connection of a socket, if it has been restored. `key` is the socket's key,
    /// if it is known.
    pub(super) fn find(&self, key: Option<u64>, socket: &Socket) -> Option<Arc<Conn>> {
        self.held(key.or_else(|| Some(socket.key()? as u64))?)
    }

    /// The connection that has this key.
    pub(super) fn held(&self, key: u64) -> Option<Arc<Conn>> {
        let connections = self.0.borrow();
        let place = connections.binary_search_by_key(&key, |conn| conn.key());
        connections.get(place.ok()?).cloned()
    }

    /// A key for a connection that joins. It is greater than all others, including
    /// those from before the object slept, even if the clock is set back.
    pub(super) fn next_key(&self) -> u64 {
        thread_local! {
            static LAST: Cell<u64> = const { Cell::new(0) };
        }
        let newest = self.0.borrow().last().map_or(0, |conn| conn.key());
        let now = time::now_millis() * KEYS_PER_MILLI;
        let key = now.max(newest.max(LAST.get()) + 1);
        LAST.set(key);
        key
    }

    /// Adds a connection, whose key is the newest.
    pub(super) fn join(&self, conn: Arc<Conn>) {
        self.0.borrow_mut().push(conn);
    }

    /// Takes back the connections from before the object slept.
    pub(super) fn take_back(&self, woken: Vec<Arc<Conn>>) {
        let mut connections = self.0.borrow_mut();
        connections.extend(woken);
        connections.sort_by_key(|conn| conn.key());
    }

    /// Forgets a connection.
    pub(super) fn leave(&self, conn: &Conn) {
        self.0.borrow_mut().retain(|held| held.key() != conn.key());
    }

    /// The open connections, oldest first. This call ends those that are past their
    /// deadlines.
    pub(super) fn open(&self) -> Vec<Arc<Conn>> {
        // Asking a connection may end it, so the list is not borrowed meanwhile.
        let mut open = self.0.borrow().clone();
        let now = time::now();
        open.retain(|conn| conn.is_open_at(now));
        open
    }
}

/// Keys stay below 2^53, because JavaScript counts exactly only up to there.
const KEYS_PER_MILLI: u64 = 1024;
