//! How a party is served.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::cors::Cors;

/// Options of one party, the same for each of its rooms. A setter has the name of
/// the option and returns the options again, so calls can be chained.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartyOptions {
    /// Whether rooms leave memory while their sockets stay open.
    pub hibernation: Hibernation,
    /// Which CORS headers are sent.
    pub cors: CorsOption,
    /// Which subprotocol is selected.
    pub subprotocols: Subprotocols,
    /// What every room of the party finds in `cx.props()`.
    pub props: Option<Value>,
    /// How long the hooks of one event may run.
    pub turn_limit: Duration,
    /// The largest WebSocket message in bytes.
    pub max_message: usize,
    /// The largest request body in bytes.
    pub max_body: usize,
    /// How many sockets a room holds.
    pub max_connections_per_room: usize,
    /// How many bytes may wait for a client that reads slowly.
    pub max_queued_bytes: usize,
    /// How many bytes may be sent to a new client before its handshake is
    /// answered.
    pub max_replay_bytes: usize,
    /// How long a room without connections and events stays in memory.
    pub idle_time: Duration,
    /// How many rooms may be in memory.
    pub max_rooms: usize,
}

/// Whether a room may leave memory while its sockets stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hibernation {
    /// The room stays in memory while it has connections, and for
    /// [`PartyOptions::idle_time`] after.
    Off,
    /// The room leaves memory after this long without events. The next event
    /// makes it anew and runs `on_start`. On Workers the platform chooses the
    /// time.
    After(Duration),
}

/// Which CORS headers a party sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOption {
    /// None; a preflight goes to the room like any request.
    Off,
    /// The headers that the party's server asks for (`Server::cors`).
    Default,
    /// These.
    Custom(Cors),
}

/// Which of the subprotocols that a client offers is selected (RFC 6455 section 4.2.2).
/// The same rule holds for sockets that are refused: a browser fails a handshake that
/// selects none of its offers, so the page would never see why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subprotocols {
    /// The first that the client offers.
    FirstOffered,
    /// The first in this list that the client offers. If it offers none of them, none
    /// is selected.
    FirstOf(Vec<String>),
}

impl Subprotocols {
    /// Selects one of those that are offered.
    pub fn select<'o>(&self, offered: impl Iterator<Item = &'o str> + Clone) -> Option<&'o str> {
        match self {
            Self::FirstOffered => offered.into_iter().next(),
            Self::FirstOf(ours) => ours
                .iter()
                .find_map(|ours| offered.clone().find(|offered| offered == ours)),
        }
    }
}

impl PartyOptions {
    /// The defaults: no hibernation, no CORS, no props, and the limits as each
    /// setter says.
    pub fn new() -> Self {
        Self {
            hibernation: Hibernation::Off,
            cors: CorsOption::Off,
            subprotocols: Subprotocols::FirstOffered,
            props: None,
            turn_limit: Duration::from_secs(60),
            max_message: 1024 * 1024,
            max_body: 1024 * 1024,
            max_connections_per_room: 32_768,
            max_queued_bytes: 4 * 1024 * 1024,
            max_replay_bytes: 16 * 1024 * 1024,
            idle_time: Duration::from_secs(60),
            max_rooms: 100_000,
        }
    }

    /// Whether rooms leave memory while their sockets stay open. Default: off.
    #[must_use]
    pub fn hibernation(mut self, hibernation: Hibernation) -> Self {
        self.hibernation = hibernation;
        self
    }

    /// Which CORS headers are sent. Default: none.
    #[must_use]
    pub fn cors(mut self, cors: CorsOption) -> Self {
        self.cors = cors;
        self
    }

    /// Which subprotocol is selected. Default: the first that a client offers.
    #[must_use]
    pub fn subprotocols(mut self, subprotocols: Subprotocols) -> Self {
        self.subprotocols = subprotocols;
        self
    }

    /// A value that every room of the party finds in `cx.props()`, from
    /// `on_start` on.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn props(mut self, props: &impl Serialize) -> serde_json::Result<Self> {
        self.props = Some(serde_json::to_value(props)?);
        Ok(self)
    }

    /// How long the hooks of one event may run in all. `on_start` counts too when the
    /// event wakes the room. Each hook at the gate has the same limit. After it the
    /// event fails (500, or 1011) and the room starts again. Default: 60 s.
    ///
    /// On one machine a hook can be ended only where it waits or broadcasts. A hook
    /// that loops for ever without doing either keeps a thread of the server.
    #[must_use]
    pub fn turn_limit(mut self, limit: Duration) -> Self {
        self.turn_limit = limit;
        self
    }

    /// The largest WebSocket message in bytes. A larger one closes its socket
    /// with 1009. Default: 1 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// The largest request body in bytes. A larger one is answered by 413.
    /// Default: 1 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How many sockets a room may hold. A further one is refused with 1013 (503).
    /// Default: 32,768.
    #[must_use]
    pub fn max_connections_per_room(mut self, count: usize) -> Self {
        self.max_connections_per_room = count;
        self
    }

    /// How many bytes may wait for a client that reads slowly. Beyond that, or beyond
    /// 16,384 messages, the socket is closed with 1013. On Workers the platform's own
    /// limits apply to slow readers. There this option limits how many bytes from a
    /// client may wait to be handled, because the host can't stop reading a socket.
    /// Default: 4 MiB.
    #[must_use]
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = bytes;
        self
    }

    /// How many bytes may be sent to a new client before its handshake is answered. A
    /// room that sends its history in `on_connect` does that: nothing can leave until
    /// the hook has ended. Beyond this limit, or beyond 65,536 messages, the socket is
    /// closed with 1013. Until the client has received these bytes, they count apart
    /// from [`PartyOptions::max_queued_bytes`], so one client has at most the sum of
    /// both in memory. On Workers the platform's own limits apply. Default: 16 MiB.
    #[must_use]
    pub fn max_replay_bytes(mut self, bytes: usize) -> Self {
        self.max_replay_bytes = bytes;
        self
    }

    /// How long a room without hibernation stays in memory after its last
    /// event when it has no connections. Default: 60 s.
    #[must_use]
    pub fn idle_time(mut self, time: Duration) -> Self {
        self.idle_time = time;
        self
    }

    /// How many rooms of the party may be in memory, awake or asleep. While the limit
    /// is reached, a request for a further room is answered by 503 with `Retry-After`,
    /// and a socket is refused with 1013. The reason: in a party that anyone may enter,
    /// strangers choose the names of rooms. An alarm always gets its room. A room takes
    /// about 600 bytes beside its name and its server. On Workers the platform decides.
    /// Default: 100,000.
    #[must_use]
    pub fn max_rooms(mut self, count: usize) -> Self {
        self.max_rooms = count;
        self
    }
}

impl Default for PartyOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_that_are_documented() {
        let options = PartyOptions::default();
        let (mebibyte, minute) = (1_048_576, Duration::from_secs(60));
        assert_eq!(options.hibernation, Hibernation::Off);
        assert_eq!(options.cors, CorsOption::Off);
        assert_eq!(options.subprotocols, Subprotocols::FirstOffered);
        assert_eq!(options.props, None);
        assert_eq!(options.turn_limit, minute);
        assert_eq!(options.max_message, mebibyte);
        assert_eq!(options.max_body, mebibyte);
        assert_eq!(options.max_connections_per_room, 32_768);
        assert_eq!(options.max_queued_bytes, 4 * mebibyte);
        assert_eq!(options.max_replay_bytes, 16 * mebibyte);
        assert_eq!(options.idle_time, minute);
        assert_eq!(options.max_rooms, 100_000);
    }

    #[test]
    fn subprotocols() {
        let ours = Subprotocols::FirstOf(vec!["v2".into(), "v1".into()]);
        let first = Subprotocols::FirstOffered;
        for (offered, expected_first, expected_ours) in [
            (&["v1", "v2"][..], Some("v1"), Some("v2")),
            (&["other", "v1"], Some("other"), Some("v1")),
            (&["other"], Some("other"), None),
            (&[], None, None),
        ] {
            assert_eq!(first.select(offered.iter().copied()), expected_first);
            assert_eq!(ours.select(offered.iter().copied()), expected_ours);
        }
    }
}
