//! The task of one admitted socket.
//!
//! It polls everything that concerns the socket side by side: the turn that
//! its last frame started, the frames that are queued to it, the deadline of
//! its identity, and pings. So expiry and revocation never wait for a hook.
//! The next frame is read only when the turn has ended: that is the
//! back-pressure on a client that sends faster than its room works.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use futures_util::{FutureExt, Sink, Stream};
use hyper::upgrade::OnUpgrade;
use partyserver::{BoxFuture, Close, CloseEvent, Error, loggable};
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_websockets::proto::ProtocolError;
use tokio_websockets::{
    Error as WsError, Limits as FrameLimits, Message as WsMessage, ServerBuilder, WebSocketStream,
};

use crate::connection::Conn;
use crate::failure;
use crate::frames::{close_event, close_message, from_wire};
use crate::io::Io;
use crate::limits::Limits;
use crate::party::AnyRoom;

/// A socket on its way: its handshake is about to be answered.
pub(crate) struct Arrival {
    pub(crate) upgrade: OnUpgrade,
    pub(crate) limits: Arc<Limits>,
    /// Its place among the server's sockets.
    pub(crate) place: OwnedSemaphorePermit,
}

/// Runs a connection that has joined its room to its end.
pub(crate) async fn run(arrival: Arrival, conn: Arc<Conn>, room: Arc<dyn AnyRoom>) {
    let Arrival {
        upgrade,
        limits,
        place,
    } = arrival;
    // Whoever stops the server has seen the connection, or it sees the stop.
    if room.port().host().is_stopping() {
        conn.handle().close(Close::GOING_AWAY, STOPS);
    }
    let record = conn.as_record();
    tracing::debug!(
        party = &*record.party,
        room = loggable(&record.room),
        connection = loggable(&record.id),
        "a socket joined"
    );
    // Whatever happens in there, the connection leaves its room.
    let served = AssertUnwindSafe(serve(upgrade, &conn, &room, limits)).catch_unwind();
    let ended = served.await.unwrap_or_else(|panic| Ended {
        event: CloseEvent::abnormal(),
        error: Some(failure::in_a_socket(&*panic)),
    });
    conn.gone();
    tracing::debug!(
        party = &*record.party,
        room = loggable(&record.room),
        connection = loggable(&record.id),
        code = ended.event.code,
        clean = ended.event.clean,
        error = ended.error.as_ref().map(ToString::to_string),
        "a socket ended"
    );
    room.closed(conn.handle(), ended.event, ended.error).await;
    drop(place);
}

async fn serve(
    upgrade: OnUpgrade,
    conn: &Arc<Conn>,
    room: &Arc<dyn AnyRoom>,
    limits: Arc<Limits>,
) -> Ended {
    let Ok(Ok(upgraded)) = tokio::time::timeout(limits.head_time, upgrade).await else {
        // The client has gone, or the answer never reached it.
        return Ended {
            event: CloseEvent::abnormal(),
            error: None,
        };
    };
    let stream = ServerBuilder::new()
        .limits(FrameLimits::default().max_payload_len(Some(room.max_message())))
        .serve(Io::new(upgraded));
    let mut socket = Socket::new(stream, Arc::clone(conn), Arc::clone(room), limits);
    let outcome = poll_fn(|cx| socket.poll(cx)).await;
    // Boxed, because an open socket's task would hold the place for it.
    Box::pin(socket.finish(outcome)).await
}

/// How a socket ended.
struct Ended {
    event: CloseEvent,
    error: Option<Error>,
}

struct Socket {
    stream: WebSocketStream<Io>,
    conn: Arc<Conn>,
    room: Arc<dyn AnyRoom>,
    limits: Arc<Limits>,
    turn: Option<BoxFuture<'static, ()>>,
    phase: Phase,
    /// Whether all that was given to the stream has been written.
    is_flushed: bool,
    /// Answers to pings that the client has not taken yet.
    unsent_pongs: u32,
    /// When reading began, or began again after a turn.
    reading_since: Instant,
    /// When the last whole frame had been read.
    last_frame: Instant,
    /// When the first bytes of a frame came that is not whole yet.
    frame_since: Option<Instant>,
    next_ping: Instant,
    /// When a client that takes nothing is given up: set when the connection
    /// was closed with messages still queued.
    give_up: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// The deadline of the timer, once it wakes the task.
    fires_at: Instant,
}

enum Phase {
    Open,
    /// Our close frame was given to the stream; the client's is awaited until
    /// the instant.
    Closing {
        event: CloseEvent,
        until: Instant,
    },
}

/// What a poll of the socket ended with.
enum Outcome {
    /// The client's close frame came; its reason is still to be answered.
    ClosedByClient(CloseEvent),
    /// The client broke the protocol or a limit; the close frame that says so
    /// is still to be written.
    Broke(CloseEvent),
    Ended(Ended),
}

impl Socket {
    fn new(
        stream: WebSocketStream<Io>,
        conn: Arc<Conn>,
        room: Arc<dyn AnyRoom>,
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
            give_up: None,
            timer: Box::pin(tokio::time::sleep_until(now + limits.ping_interval)),
            limits,
            fires_at: now,
        }
    }

    async fn finish(mut self, outcome: Outcome) -> Ended {
        // It is no longer in the room, however long the rest takes.
        self.conn.gone();
        let turn = self.turn.take();
        // The turn goes on meanwhile: its room must not wait for this client.
        let (ended, ()) = tokio::join!(self.end(outcome), async {
            if let Some(turn) = turn {
                turn.await;
            }
        });
        ended
    }

    /// Does what is left to do for the client, which is dropped if it does not
    /// let us.
    async fn end(self, outcome: Outcome) -> Ended {
        let limit = self.limits.close_time;
        match outcome {
            Outcome::ClosedByClient(event) => {
                let _ = tokio::time::timeout(limit, self.answer_close(&event)).await;
                Ended { event, error: None }
            }
            Outcome::Broke(event) => {
                let told = async {
                    let mut stream = self.stream;
                    let _ = poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await;
                    stream.into_inner().end(MAX_DISCARDED).await;
                };
                let _ = tokio::time::timeout(limit, told).await;
                Ended { event, error: None }
            }
            Outcome::Ended(ended) => {
                let mut stream = self.stream.into_inner();
                let _ = tokio::time::timeout(limit, stream.shutdown()).await;
                ended
            }
        }
    }

    /// Answers the client's close frame with the same code and reason.
    async fn answer_close(self, event: &CloseEvent) {
        if !self.is_flushed || event.reason.is_empty() {
            // The stream's own answer, which has the code alone, comes after
            // what is still to be written.
            let mut stream = self.stream;
            let _ = poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await;
            return;
        }
        // Nothing else is to be written, so the whole frame can be.
        let mut stream = self.stream.into_inner();
        let mut frame = vec![
            0x88,
            2 + u8::try_from(event.reason.len()).unwrap_or_default(),
        ];
        frame.extend(event.code.to_be_bytes());
        frame.extend(event.reason.as_bytes());
        if stream.write_all(&frame).await.is_ok() {
            let _ = stream.shutdown().await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.conn.register(cx.waker());
        loop {
            if let Some(turn) = &mut self.turn {
                // What the turn sends to its own socket is written below.
                self.conn.attend();
                if turn.as_mut().poll(cx).is_ready() {
                    self.turn = None;
                    self.reading_since = Instant::now();
                }
            }
            // After the turn, which may have taken long.
            let wall = self.conn.now();
            if let Err(error) = self.poll_write(cx, wall) {
                return Poll::Ready(Outcome::Ended(broken(error)));
            }
            if let Some(ended) = self.poll_time(cx, wall) {
                return Poll::Ready(Outcome::Ended(ended));
            }
            if self.turn.is_some() && matches!(self.phase, Phase::Open) {
                return Poll::Pending;
            }
            match ready!(self.poll_read(cx, wall)) {
                Some(outcome) => return Poll::Ready(outcome),
                None => continue,
            }
        }
    }

    /// Writes what is queued, until the client stops taking it.
    fn poll_write(&mut self, cx: &mut Context<'_>, wall: SystemTime) -> Result<(), WsError> {
        while matches!(self.phase, Phase::Open) {
            // Looked at before each write: a deadline must be seen even with a
            // client that reads nothing.
            let io = self.stream.get_mut();
            if let Some(close) = self.conn.fill(&mut io.sending, wall) {
                Pin::new(&mut self.stream).start_send(close_message(&close))?;
                self.close(&close);
                break;
            }
            if io.sending.is_empty() {
                break;
            }
            // Pings and their answers are the stream's own to write. One that was
            // begun must be whole before a message.
            let is_blocked = self.poll_flush(cx)?.is_pending()
                || self.stream.get_mut().poll_send(cx)?.is_pending();
            if is_blocked {
                if !self.conn.is_admitted(wall) {
                    let limit = Instant::now() + self.limits.close_time;
                    self.give_up.get_or_insert(limit);
                }
                return Ok(());
            }
        }
        // What the client does not take now waits.
        let _ = self.poll_flush(cx)?;
        Ok(())
    }

    /// Writes what was given to the stream.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
            self.unsent_pongs = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn close(&mut self, close: &Close) {
        self.is_flushed = false;
        let event = CloseEvent::clean(close.code(), close.reason());
        self.phase = Phase::Closing {
            event,
            until: Instant::now() + self.limits.close_time,
        };
    }

    /// Looks at the deadlines, and sets the timer for the next.
    fn poll_time(&mut self, cx: &mut Context<'_>, wall: SystemTime) -> Option<Ended> {
        loop {
            let now = Instant::now();
            let wake = match &self.phase {
                Phase::Closing { event, until } => {
                    if now >= *until {
                        return Some(Ended {
                            event: event.clone(),
                            error: None,
                        });
                    }
                    *until
                }
                Phase::Open => {
                    let last_read = self.stream.get_ref().last_read();
                    let silence = last_read.max(self.reading_since) + self.limits.pong_time;
                    if self.turn.is_none() && now >= silence {
                        let error = Error::msg("the client has been silent for too long");
                        return Some(Ended {
                            event: CloseEvent::abnormal(),
                            error: Some(error),
                        });
                    }
                    let is_slow = self.frame_since.is_some_and(|since| {
                        now >= since.max(self.reading_since) + self.limits.frame_time
                    });
                    if self.turn.is_none() && is_slow {
                        let error = Error::msg("the client has taken too long for a frame");
                        return Some(Ended {
                            event: CloseEvent::abnormal(),
                            error: Some(error),
                        });
                    }
                    if self.give_up.is_some_and(|limit| now >= limit) {
                        return Some(Ended {
                            event: CloseEvent::abnormal(),
                            error: None,
                        });
                    }
                    if now >= self.next_ping {
                        self.next_ping = now + self.limits.ping_interval;
                        // A stream that takes no ping fails at its next write.
                        let _ = Pin::new(&mut self.stream).start_send(WsMessage::ping(""));
                        self.is_flushed = false;
                        cx.waker().wake_by_ref();
                    }
                    let deadline = self
                        .conn
                        .time_left(wall)
                        .map(|left| now + left.min(A_DAY) + A_MOMENT);
                    let silence = if self.turn.is_none() {
                        silence
                    } else {
                        self.next_ping
                    };
                    let limit = self.give_up.unwrap_or(silence);
                    deadline
                        .unwrap_or(silence)
                        .min(silence)
                        .min(self.next_ping)
                        .min(limit)
                }
            };
            // A timer that fires early is set again; so it is moved only when it
            // would fire too late, and not touched at all for most frames.
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
            // The deadline may be due: `fill` then has its close frame.
            if matches!(self.phase, Phase::Open) && !self.conn.is_admitted(self.conn.now()) {
                cx.waker().wake_by_ref();
                return None;
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, wall: SystemTime) -> Poll<Option<Outcome>> {
        let polled = Pin::new(&mut self.stream).poll_next(cx);
        let last_read = self.stream.get_ref().last_read();
        if polled.is_ready() {
            (self.last_frame, self.frame_since) = (last_read, None);
        } else if last_read > self.last_frame {
            self.frame_since.get_or_insert(last_read);
        }
        let message = match ready!(polled) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(Some(self.failed(error))),
            None => {
                let event = match &self.phase {
                    Phase::Closing { event, .. } => event.clone(),
                    Phase::Open => CloseEvent::abnormal(),
                };
                return Poll::Ready(Some(Outcome::Ended(Ended { event, error: None })));
            }
        };
        if message.is_close() {
            let outcome = match &self.phase {
                Phase::Closing { event, .. } => Outcome::Ended(Ended {
                    event: event.clone(),
                    error: None,
                }),
                Phase::Open => Outcome::ClosedByClient(close_event(&message)),
            };
            return Poll::Ready(Some(outcome));
        }
        if message.is_ping() {
            // The stream has queued the pong. It would queue any number of them
            // for a client that sends pings and reads nothing.
            self.is_flushed = false;
            self.unsent_pongs += 1;
            if self.unsent_pongs > MAX_UNSENT_PONGS {
                self.conn.close_slow();
            }
        }
        if matches!(self.phase, Phase::Open)
            && let Some(message) = from_wire(message)
            && self.conn.is_admitted(wall)
        {
            self.turn = Some(Arc::clone(&self.room).message(Arc::clone(&self.conn), message));
        }
        Poll::Ready(None)
    }

    /// The client broke the protocol or a limit. The stream has queued the
    /// close frame that says so.
    fn failed(&mut self, error: WsError) -> Outcome {
        if let Phase::Closing { event, .. } = &self.phase {
            // The connection had ended before; that is what the room is told.
            return Outcome::Ended(Ended {
                event: event.clone(),
                error: None,
            });
        }
        let code = match &error {
            WsError::PayloadTooLong { .. } => Close::TOO_LARGE,
            WsError::Protocol(ProtocolError::InvalidUtf8) => 1007,
            WsError::Protocol(_) => 1002,
            _ => return Outcome::Ended(broken(error)),
        };
        // The stream has said so itself, except for fragments whose sum is too
        // large; then this is the frame, and otherwise it is refused.
        let close = close_message(&Close::new(code, ""));
        let _ = Pin::new(&mut self.stream).start_send(close);
        self.is_flushed = false;
        Outcome::Broke(CloseEvent::clean(code, ""))
    }
}

fn broken(error: WsError) -> Ended {
    Ended {
        event: CloseEvent::abnormal(),
        error: Some(error.into()),
    }
}

/// Why sockets are closed when the server stops.
pub(crate) const STOPS: &str = "the server stops";
const MAX_UNSENT_PONGS: u32 = 128;
/// What is read of a message that was too large, so that its client gets to
/// read why it was closed.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;
/// Timers are not set further ahead: a deadline may be in the year 9999.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Timers count whole milliseconds; one more, so that the deadline has passed.
const A_MOMENT: Duration = Duration::from_millis(1);
