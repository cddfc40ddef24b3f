//! Limits for what strangers can send, for the server as a whole. The limits of a party
//! are in `partyserver::PartyOptions`.

use std::time::Duration;

use partyserver::host::front::{BODY_TIME, MAX_HEAD};

/// Limits of a server. A setter returns the limits again, so calls can be
/// chained. A time of more than a year counts as a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) max_head: usize,
    pub(crate) head_time: Duration,
    pub(crate) body_time: Duration,
    pub(crate) write_time: Duration,
    pub(crate) max_sockets: usize,
    pub(crate) max_connections: usize,
    max_connections_per_address: Option<usize>,
    pub(crate) max_refused: usize,
    pub(crate) max_refused_per_address: usize,
    pub(crate) ping_interval: Duration,
    pub(crate) pong_time: Duration,
    pub(crate) frame_time: Duration,
    pub(crate) close_time: Duration,
    pub(crate) shutdown_time: Duration,
}

impl Limits {
    /// The defaults, as each setter says.
    pub fn new() -> Self {
        Self {
            max_head: MAX_HEAD,
            head_time: Duration::from_secs(10),
            body_time: BODY_TIME,
            write_time: Duration::from_secs(30),
            max_sockets: 20_000,
            max_connections: 40_000,
            max_connections_per_address: None,
            max_refused: 1024,
            max_refused_per_address: 32,
            ping_interval: Duration::from_secs(25),
            pong_time: Duration::from_secs(60),
            frame_time: Duration::from_secs(60),
            close_time: Duration::from_secs(5),
            shutdown_time: Duration::from_secs(10),
        }
    }

    /// The largest request line with headers, in bytes, at least 8 KiB. A larger one is
    /// answered by 431, or by 414 if the URL alone is too long and its end was found.
    /// More than 100 headers are answered by 431 too. Default: 64 KiB.
    #[must_use]
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes.max(8192);
        self
    }

    /// How long a client may take to send a request's headers, including those of a
    /// handshake, and how long a connection may be idle between requests. After that
    /// the connection is closed. Default: 10 s.
    #[must_use]
    pub fn head_time(mut self, time: Duration) -> Self {
        self.head_time = bounded(time);
        self
    }

    /// How long a client may take to send a request's body. After that the request is
    /// answered by 408. Default: 30 s.
    #[must_use]
    pub fn body_time(mut self, time: Duration) -> Self {
        self.body_time = bounded(time);
        self
    }

    /// How long a client may read nothing while an answer is being sent. After that its
    /// connection is closed. Default: 30 s.
    #[must_use]
    pub fn write_time(mut self, time: Duration) -> Self {
        self.write_time = bounded(time);
        self
    }

    /// How many WebSockets the server holds. At most three quarters of the TCP
    /// connections can be WebSockets, so that the rest is free for requests and
    /// refusals. A further one is refused with 1013, or 503. Default: 20,000.
    #[must_use]
    pub fn max_sockets(mut self, count: usize) -> Self {
        self.max_sockets = count;
        self
    }

    /// How many TCP connections may be open at once, with and without a WebSocket.
    /// Further ones wait to be accepted. Default: 40,000.
    ///
    /// When it starts, a server raises the process's limit of open files to the highest
    /// value that it may set. If that is too low, there are fewer connections, and the
    /// log says so. 512 files, or half of a limit below 1,024, are reserved for the
    /// store and for other files of the program.
    #[must_use]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count;
        self
    }

    /// How many of these connections one address may have; with IPv6, one network of 64
    /// bits. A further one is answered by 503. Loopback and the trusted proxies have no
    /// such limit, because their connections belong to other clients. A proxy elsewhere
    /// that is not trusted has the limit. Default: a quarter of the connections.
    #[must_use]
    pub fn max_connections_per_address(mut self, count: usize) -> Self {
        self.max_connections_per_address = Some(count);
        self
    }

    /// How many refused sockets may be told the reason by a close frame at the same
    /// time, in all and for one address. Beyond that a refusal is sent as an HTTP
    /// answer. Default: 1,024 and 32.
    #[must_use]
    pub fn max_refused(mut self, in_all: usize, per_address: usize) -> Self {
        self.max_refused = in_all;
        self.max_refused_per_address = per_address;
        self
    }

    /// How often a socket is pinged, and after how long without a byte from its client
    /// it is dropped. While a room works on the client's last message, nothing is read,
    /// so that time does not count. Default: 25 s and 60 s.
    #[must_use]
    pub fn ping(mut self, interval: Duration, limit: Duration) -> Self {
        self.ping_interval = bounded(interval);
        self.pong_time = bounded(limit);
        self
    }

    /// How long a client may take to send one WebSocket frame, from its first byte to
    /// its last. After that it is dropped, within one ping interval. Pings do not
    /// detect such a client, because bytes keep coming. Default: 60 s.
    #[must_use]
    pub fn frame_time(mut self, time: Duration) -> Self {
        self.frame_time = bounded(time);
        self
    }

    /// How long a client may take to receive the last frame or answer and to end the
    /// connection too. After that it is dropped. Default: 5 s.
    #[must_use]
    pub fn close_time(mut self, time: Duration) -> Self {
        self.close_time = bounded(time);
        self
    }

    /// How long requests, turns and closing sockets may take in all when the server
    /// stops. Default: 10 s.
    #[must_use]
    pub fn shutdown_time(mut self, time: Duration) -> Self {
        self.shutdown_time = bounded(time);
        self
    }

    pub(crate) fn connections_per_address(&self) -> usize {
        let quarter = (self.max_connections / 4).max(1);
        self.max_connections_per_address.unwrap_or(quarter)
    }

    /// These limits, lowered if necessary: only this many connections are possible.
    pub(crate) fn lowered_to(mut self, connections: usize) -> Self {
        self.max_connections = self.max_connections.min(connections).max(1);
        let most = self.max_connections - self.max_connections / 4;
        self.max_sockets = self.max_sockets.min(most);
        self
    }

    pub(crate) fn max_sockets_as_permits(&self) -> u32 {
        as_permits(self.max_sockets)
    }

    pub(crate) fn max_connections_as_permits(&self) -> u32 {
        as_permits(self.max_connections)
    }
}

/// Times are added to instants, and the range of instants has an end.
fn bounded(time: Duration) -> Duration {
    time.min(Duration::from_secs(365 * 24 * 60 * 60))
}

/// The number of a semaphore's permits must fit into 32 bits.
fn as_permits(count: usize) -> u32 {
    let most = u32::MAX >> 4;
    u32::try_from(count).map_or(most, |count| count.min(most))
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_that_are_documented() {
        let seconds = Duration::from_secs;
        let documented = Limits {
            max_head: 65_536,
            head_time: seconds(10),
            body_time: seconds(30),
            write_time: seconds(30),
            max_sockets: 20_000,
            max_connections: 40_000,
            max_connections_per_address: None,
            max_refused: 1_024,
            max_refused_per_address: 32,
            ping_interval: seconds(25),
            pong_time: seconds(60),
            frame_time: seconds(60),
            close_time: seconds(5),
            shutdown_time: seconds(10),
        };
        assert_eq!(Limits::default(), documented);
    }

    #[test]
    fn limits_are_lowered_to_what_can_be_had() {
        let default = Limits::new();
        assert_eq!(default.lowered_to(usize::MAX), default);
        assert_eq!(default.connections_per_address(), 10_000);
        let few = default.lowered_to(512);
        assert_eq!((few.max_connections, few.max_sockets), (512, 384));
        assert_eq!(few.connections_per_address(), 128);
        let own = default.max_connections_per_address(3).lowered_to(1);
        assert_eq!((own.max_connections, own.max_sockets), (1, 1));
        assert_eq!(own.connections_per_address(), 3);
    }
}
