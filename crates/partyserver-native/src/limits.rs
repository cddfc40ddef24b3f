//! Limits for what a stranger can send, for the server as a whole. Those of a
//! party are in `partyserver::PartyOptions`.

use std::time::Duration;

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
            max_head: 64 * 1024,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
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

    /// The largest request line with headers, in bytes, at least 8 KiB. Larger
    /// ones are answered by 431, or 414 where the URL alone is too long and its
    /// end could be found. More than 100 headers are answered by 431 too.
    /// Default: 64 KiB.
    #[must_use]
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes.max(8192);
        self
    }

    /// How long a client may take to send a request's headers, a handshake's
    /// among them, and how long a connection may be idle between requests; then
    /// it is closed. Default: 10 s.
    #[must_use]
    pub fn head_time(mut self, time: Duration) -> Self {
        self.head_time = bounded(time);
        self
    }

    /// How long a client may take to send a request's body; then it is answered
    /// by 408. Default: 30 s.
    #[must_use]
    pub fn body_time(mut self, time: Duration) -> Self {
        self.body_time = bounded(time);
        self
    }

    /// How long a client may take nothing of an answer that is being sent; then
    /// its connection is closed. Default: 30 s.
    #[must_use]
    pub fn write_time(mut self, time: Duration) -> Self {
        self.write_time = bounded(time);
        self
    }

    /// How many WebSockets the server holds, at most three quarters of the TCP
    /// connections: the rest is for requests and refusals. A further one is
    /// refused with 1013, or 503. Default: 20,000.
    #[must_use]
    pub fn max_sockets(mut self, count: usize) -> Self {
        self.max_sockets = count;
        self
    }

    /// How many TCP connections are open at once, with and without a WebSocket.
    /// Further ones wait to be accepted. Default: 40,000.
    ///
    /// At its start a server raises the process's limit of open files to what it
    /// may be. Where that is too low there are fewer connections, and the log
    /// says so: 512 files, or half of a limit below 1,024, are kept for the store
    /// and for what else the program opens.
    #[must_use]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count;
        self
    }

    /// How many of them one address has; with IPv6, one network of 64 bits. A
    /// further one is answered by 503. Loopback and the trusted proxies, whose
    /// connections are other clients', have no such limit; a proxy elsewhere
    /// that is not among the trusted ones has it. Default: a quarter of the
    /// connections.
    #[must_use]
    pub fn max_connections_per_address(mut self, count: usize) -> Self {
        self.max_connections_per_address = Some(count);
        self
    }

    /// How many refused sockets are told why by a close frame at once, in all
    /// and for one address. Past it the HTTP form is sent. Default: 1,024 and 32.
    #[must_use]
    pub fn max_refused(mut self, in_all: usize, per_address: usize) -> Self {
        self.max_refused = in_all;
        self.max_refused_per_address = per_address;
        self
    }

    /// How often a socket is pinged, and after how long without a byte from its
    /// client it is dropped. The time in which a room works on the client's
    /// last message, and nothing is read, does not count. Default: 25 s and 60 s.
    #[must_use]
    pub fn ping(mut self, interval: Duration, limit: Duration) -> Self {
        self.ping_interval = bounded(interval);
        self.pong_time = bounded(limit);
        self
    }

    /// How long a client may take to send one WebSocket frame, from its first
    /// byte to its last; then it is dropped, to within the ping interval. Pings
    /// do not notice such a client, because bytes come. Default: 60 s.
    #[must_use]
    pub fn frame_time(mut self, time: Duration) -> Self {
        self.frame_time = bounded(time);
        self
    }

    /// How long a client may take to receive the last frame or answer and to
    /// end the connection too; then it is dropped. Default: 5 s.
    #[must_use]
    pub fn close_time(mut self, time: Duration) -> Self {
        self.close_time = bounded(time);
        self
    }

    /// How long requests, turns and closing sockets may take in all when the
    /// server stops. Default: 10 s.
    #[must_use]
    pub fn shutdown_time(mut self, time: Duration) -> Self {
        self.shutdown_time = bounded(time);
        self
    }

    pub(crate) fn connections_per_address(&self) -> usize {
        let quarter = (self.max_connections / 4).max(1);
        self.max_connections_per_address.unwrap_or(quarter)
    }

    /// These limits, where that is more than so many connections can be had
    /// lowered to that.
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

/// Times are added to instants, which end some day.
fn bounded(time: Duration) -> Duration {
    time.min(Duration::from_secs(365 * 24 * 60 * 60))
}

/// Semaphores hold a part of 32 bits.
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
