//! What a socket waits for: its deadline, pings, and the limits of a client.

use std::pin::Pin;
use std::task::Context;
use std::time::{Duration, SystemTime};

use futures_util::Sink;
use partyserver::Error;
use tokio::time::Instant;
use tokio_websockets::Message as WsMessage;

use super::ending::Ended;
use super::task::{Phase, Socket};

impl Socket {
    /// Checks the deadlines, and sets the timer for the next one.
    pub(super) fn poll_time(&mut self, cx: &mut Context<'_>, wall: SystemTime) -> Option<Ended> {
        loop {
            let now = Instant::now();
            let wake = match &self.phase {
                Phase::Closing { event, until } if now >= *until => {
                    return Some(Ended::with(event.clone()));
                }
                Phase::Closing { until, .. } => *until,
                Phase::Open => {
                    if let Some(ended) = self.past_a_limit(now) {
                        return Some(ended);
                    }
                    if now >= self.next_ping {
                        self.ping(now);
                        cx.waker().wake_by_ref();
                    }
                    self.next_look(now, wall)
                }
            };
            // A timer that fires too early is set again. So the timer is moved only if
            // it would fire too late, and most frames do not touch it.
            if now < self.fires_at && self.fires_at <= wake + A_MOMENT {
                return None;
            }
            if wake + A_MOMENT < self.timer.deadline() || self.timer.is_elapsed() {
                self.timer.as_mut().reset(wake);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                self.fires_at = self.timer.deadline();
                return None;
            }
            // The deadline may have passed. Then `fill` has its close frame.
            if self.is_open() && !self.conn.is_open(self.conn.now()) {
                cx.waker().wake_by_ref();
                return None;
            }
        }
    }

    /// The end of a client that broke one of its time limits.
    fn past_a_limit(&self, now: Instant) -> Option<Ended> {
        let is_reading = self.turn.is_none();
        if is_reading && now >= self.silence() {
            let error = Error::msg("the client has been silent for too long");
            return Some(Ended::abnormal(Some(error)));
        }
        let is_slow = self
            .frame_since
            .is_some_and(|since| now >= since.max(self.reading_since) + self.limits.frame_time);
        if is_reading && is_slow {
            let error = Error::msg("the client has taken too long for a frame");
            return Some(Ended::abnormal(Some(error)));
        }
        let is_given_up = self.give_up.is_some_and(|limit| now >= limit);
        is_given_up.then(|| Ended::abnormal(None))
    }

    /// When a client that sends nothing has been silent for too long.
    fn silence(&self) -> Instant {
        let last_read = self.stream.get_ref().last_read();
        last_read.max(self.reading_since) + self.limits.pong_time
    }

    fn ping(&mut self, now: Instant) {
        self.next_ping = now + self.limits.ping_interval;
        // If the stream can't take the ping, its next write fails.
        let _ = Pin::new(&mut self.stream).start_send(WsMessage::ping(""));
        self.is_flushed = false;
    }

    /// When to look again.
    fn next_look(&self, now: Instant, wall: SystemTime) -> Instant {
        let mut next = self.next_ping;
        if self.turn.is_none() {
            next = next.min(self.silence());
        }
        if let Some(limit) = self.give_up {
            next = next.min(limit);
        }
        if let Some(at) = self.ends_at {
            let left = at.duration_since(wall).unwrap_or_default();
            next = next.min(now + left.min(A_DAY) + A_MOMENT);
        }
        next
    }
}

/// The longest timer that is set. A deadline may be in the year 9999.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Timers count whole milliseconds, so one more is added: then the deadline has passed.
const A_MOMENT: Duration = Duration::from_millis(1);
