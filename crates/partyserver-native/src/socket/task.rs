//! The task of one admitted socket.
//!
//! It polls everything that concerns the socket at the same time: the turn that its
//! last frame started, the frames that are queued to it, the deadline of its identity,
//! and pings. So expiry and revocation never wait for a hook. The next frame is read
//! only when the turn has ended. That slows down a client that sends faster than its
//! room works.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use hyper::upgrade::OnUpgrade;
use partyserver::{BoxFuture, CloseEvent};
use tokio::time::{Instant, Sleep};
use tokio_websockets::{Limits as FrameLimits, ServerBuilder, WebSocketStream};

use super::Inbox;
use super::connection::Conn;
use super::ending::{Ended, Outcome};
use super::io::Io;
use crate::limits::Limits;

/// Waits for the upgrade, then serves the socket until it ends.
pub(super) async fn serve(
    upgrade: OnUpgrade,
    conn: &Arc<Conn>,
    room: &Arc<dyn Inbox>,
    limits: Arc<Limits>,
) -> Ended {
    let Ok(Ok(upgraded)) = tokio::time::timeout(limits.head_time, upgrade).await else {
        // The client has gone, or the answer did not reach it.
        return Ended::abnormal(None);
    };
    let stream = ServerBuilder::new()
        .limits(FrameLimits::default().max_payload_len(Some(room.max_message())))
        .serve(Io::new(upgraded));
    let mut socket = Socket::new(stream, Arc::clone(conn), Arc::clone(room), limits);
    let outcome = poll_fn(|cx| socket.poll(cx)).await;
    // Boxed, because otherwise the task of an open socket would reserve space for it.
    Box::pin(socket.finish(outcome)).await
}

/// One socket at work. `reading`, `writing` and `time` contain what it reads, writes
/// and waits for; `ending` contains how it ends.
pub(super) struct Socket {
    pub(super) stream: WebSocketStream<Io>,
    pub(super) conn: Arc<Conn>,
    pub(super) room: Arc<dyn Inbox>,
    pub(super) limits: Arc<Limits>,
    pub(super) turn: Option<BoxFuture<'static, ()>>,
    pub(super) phase: Phase,
    /// Whether everything that was given to the stream has been written.
    pub(super) is_flushed: bool,
    /// Pongs that the client has not read yet.
    pub(super) unsent_pongs: u32,
    /// When reading began, or began again after a turn.
    pub(super) reading_since: Instant,
    /// When the last complete frame was read.
    pub(super) last_frame: Instant,
    /// When the first bytes of a frame came that is not complete yet.
    pub(super) frame_since: Option<Instant>,
    pub(super) next_ping: Instant,
    /// When the connection ends by itself.
    pub(super) ends_at: Option<SystemTime>,
    /// When to drop a client that reads nothing. Set when the connection was closed
    /// while messages were queued.
    pub(super) give_up: Option<Instant>,
    pub(super) timer: Pin<Box<Sleep>>,
    /// The time at which the timer wakes the task.
    pub(super) fires_at: Instant,
}

pub(super) enum Phase {
    Open,
    /// Our close frame was given to the stream. The client's is awaited until this
    /// instant.
    Closing {
        event: CloseEvent,
        until: Instant,
    },
}

impl Socket {
    fn new(
        stream: WebSocketStream<Io>,
        conn: Arc<Conn>,
        room: Arc<dyn Inbox>,
        limits: Arc<Limits>,
    ) -> Self {
        let now = Instant::now();
        let last_frame = stream.get_ref().last_read();
        Self {
            stream,
            conn,
            room,
            turn: None,
            phase: Phase::Open,
            is_flushed: true,
            unsent_pongs: 0,
            reading_since: now,
            last_frame,
            frame_since: None,
            next_ping: now + limits.ping_interval,
            ends_at: None,
            give_up: None,
            timer: Box::pin(tokio::time::sleep_until(now + limits.ping_interval)),
            limits,
            fires_at: now,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.conn.register(cx.waker());
        loop {
            if let Some(turn) = &mut self.turn {
                // What the turn sends to its own socket is written further below.
                self.conn.attend();
                if turn.as_mut().poll(cx).is_ready() {
                    self.turn = None;
                    self.reading_since = Instant::now();
                }
            }
            // Read after the turn, because the turn may have taken long.
            let wall = self.conn.now();
            if let Err(error) = self.poll_write(cx, wall) {
                return Poll::Ready(Outcome::Ended(Ended::broken(error)));
            }
            if let Some(ended) = self.poll_time(cx, wall) {
                return Poll::Ready(Outcome::Ended(ended));
            }
            if self.turn.is_some() && self.is_open() {
                return Poll::Pending;
            }
            match ready!(self.poll_read(cx, wall)) {
                Some(outcome) => return Poll::Ready(outcome),
                None => continue,
            }
        }
    }
}
