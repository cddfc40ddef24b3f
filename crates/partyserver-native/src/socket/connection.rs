//! The host's side of a connection: its queue, its deadline, its end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::task::AtomicWaker;
use partyserver::host::{ConnectionPort, ConnectionRecord};
use partyserver::{Close, Connection, Message, SendError};

use crate::clock::Clock;
use crate::connections::Connections;
use crate::sending::Sending;
use crate::turn_limit;

/// One connection. Its socket's task takes from the queue what the room puts
/// in; no lock is held longer than it takes to move a message.
pub(crate) struct Conn {
    this: Weak<Self>,
    record: ConnectionRecord,
    connections: Arc<Connections>,
    clock: Arc<dyn Clock>,
    limits: QueueLimits,
    outbound: Mutex<Outbound>,
    /// The deadline in milliseconds since 1970; `u64::MAX` for none.
    deadline: AtomicU64,
    waker: AtomicWaker,
}

/// How many bytes may wait in a connection's queue.
#[derive(Clone, Copy)]
pub(crate) struct QueueLimits {
    /// Until the first can be sent: what `on_connect` replays.
    pub(crate) at_first: usize,
    /// From then on, beside what is left of those.
    pub(crate) later: usize,
}

#[derive(Default)]
struct Outbound {
    messages: VecDeque<Message>,
    /// What is left of the messages that were queued before any could be sent.
    /// They are the first in the queue.
    first: Waiting,
    later: Waiting,
    is_sending: bool,
    ending: Option<Close>,
    /// Whether nothing more is sent but the close frame.
    is_cut: bool,
    /// The close frame of the deadline.
    at_deadline: Option<Close>,
    /// Whether the socket's task is at work and will look into the queue before
    /// it waits: then it need not be woken.
    is_attended: bool,
}

/// How much of the queue.
#[derive(Clone, Copy, Default)]
struct Waiting {
    messages: usize,
    bytes: usize,
}

impl Waiting {
    /// With one more, as far as that is within the limits. A single message
    /// always is: they are for what waits.
    fn with(self, bytes: usize, max_messages: usize, max_bytes: usize) -> Option<Self> {
        let next = Self {
            messages: self.messages + 1,
            bytes: self.bytes + bytes,
        };
        let fits = next.messages == 1 || next.bytes <= max_bytes;
        (fits && next.messages <= max_messages).then_some(next)
    }

    fn remove(&mut self, bytes: usize) {
        self.messages -= 1;
        self.bytes -= bytes;
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Yes,
    Ended,
    /// The client reads too slowly: [`Conn::close_slow`] is due.
    Full,
}

impl Conn {
    pub(crate) fn new(
        record: ConnectionRecord,
        connections: Arc<Connections>,
        clock: Arc<dyn Clock>,
        limits: QueueLimits,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            record,
            connections,
            clock,
            limits,
            outbound: Mutex::default(),
            deadline: AtomicU64::new(NO_DEADLINE),
            waker: AtomicWaker::new(),
        })
    }

    pub(crate) fn as_record(&self) -> &ConnectionRecord {
        &self.record
    }

    pub(crate) fn handle(&self) -> Connection {
        match self.this.upgrade() {
            Some(this) => Connection::from_port(this),
            None => unreachable!("a method runs, so the connection is alive"),
        }
    }

    /// The socket's task is woken when there is something to write.
    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// The socket's task is about to run a turn, and calls [`Conn::fill`] after
    /// it.
    pub(crate) fn attend(&self) {
        self.lock().is_attended = true;
    }

    /// The wall clock that the deadline is judged by. What is done at one moment
    /// asks once.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Whether a frame of this socket may still be handled.
    pub(crate) fn is_admitted(&self, now: SystemTime) -> bool {
        self.end_if_past_deadline(now);
        self.lock().ending.is_none()
    }

    /// How long until the deadline.
    pub(crate) fn time_left(&self, now: SystemTime) -> Option<Duration> {
        match self.deadline.load(Ordering::Acquire) {
            NO_DEADLINE => None,
            deadline => Some(Duration::from_millis(deadline.saturating_sub(millis(now)))),
        }
    }

    /// Gives what is queued to be sent, or takes back what must not be sent any
    /// more. Returns the close frame once it is its turn.
    pub(crate) fn fill(&self, sending: &mut Sending, now: SystemTime) -> Option<Close> {
        self.end_if_past_deadline(now);
        let mut outbound = self.lock();
        outbound.is_sending = true;
        // What is queued from here on wakes the task to look again.
        outbound.is_attended = false;
        if outbound.is_cut {
            sending.cut();
            return outbound.ending.clone();
        }
        while !sending.is_full()
            && let Some(message) = outbound.messages.pop_front()
        {
            let of = if outbound.first.messages > 0 {
                &mut outbound.first
            } else {
                &mut outbound.later
            };
            of.remove(message.as_bytes().len());
            sending.push(message);
        }
        if !outbound.messages.is_empty() {
            return None;
        }
        if outbound.messages.capacity() > KEPT_PLACES {
            outbound.messages = VecDeque::new();
        }
        outbound.ending.clone().filter(|_| sending.is_empty())
    }

    pub(crate) fn queue(&self, message: &Message, now: SystemTime) -> Queued {
        if self.is_past_deadline(now) {
            return Queued::Ended;
        }
        let mut outbound = self.lock();
        if outbound.ending.is_some() {
            return Queued::Ended;
        }
        let bytes = message.as_bytes().len();
        let QueueLimits { at_first, later } = self.limits;
        let queued = if outbound.is_sending {
            outbound.later.with(bytes, MAX_QUEUED_MESSAGES, later)
        } else {
            outbound.first.with(bytes, MAX_FIRST_MESSAGES, at_first)
        };
        let Some(queued) = queued else {
            return Queued::Full;
        };
        if outbound.is_sending {
            outbound.later = queued;
        } else {
            outbound.first = queued;
        }
        outbound.messages.push_back(message.clone());
        let is_attended = outbound.is_attended;
        drop(outbound);
        if !is_attended {
            self.waker.wake();
        }
        Queued::Yes
    }

    /// Ends a connection whose client does not keep up, or could not yet.
    pub(crate) fn close_slow(&self) {
        let reason = if self.lock().is_sending {
            "the client reads too slowly"
        } else {
            "too much was sent to a new client"
        };
        self.revoke(Close::new(Close::TRY_AGAIN_LATER, reason));
    }

    /// Ends the connection without a frame, because its stream has ended.
    pub(crate) fn gone(&self) {
        self.end(Close::new(Close::GOING_AWAY, ""), Rest::Dropped);
    }

    fn end(&self, close: Close, rest: Rest) {
        {
            let mut outbound = self.lock();
            if rest == Rest::Dropped {
                outbound.is_cut = true;
                outbound.messages = VecDeque::new();
                outbound.first = Waiting::default();
                outbound.later = Waiting::default();
            }
            if outbound.ending.is_none() {
                outbound.ending = Some(close);
            }
        }
        self.connections.leave(self);
        self.waker.wake();
    }

    fn is_past_deadline(&self, now: SystemTime) -> bool {
        let deadline = self.deadline.load(Ordering::Acquire);
        deadline != NO_DEADLINE && millis(now) >= deadline
    }

    fn end_if_past_deadline(&self, now: SystemTime) {
        if self.is_past_deadline(now) {
            let close = self.lock().at_deadline.clone();
            self.end(
                close.unwrap_or_else(|| Close::new(Close::POLICY, "")),
                Rest::Dropped,
            );
        }
    }

    /// What is behind the lock is changed by single moves.
    fn lock(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of queued messages at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Sent,
    Dropped,
}

impl ConnectionPort for Conn {
    fn record(&self) -> &ConnectionRecord {
        &self.record
    }

    fn record_changed(&self) {
        // The record stays in memory for as long as the socket is open.
    }

    fn is_admitted(&self) -> bool {
        self.is_admitted(self.now())
    }

    fn send(&self, message: &Message) -> Result<(), SendError> {
        match self.queue(message, self.now()) {
            Queued::Yes => return Ok(()),
            Queued::Ended => {}
            Queued::Full => self.close_slow(),
        }
        // A hook that sends on and on ends up here, unless its client keeps up.
        turn_limit::check();
        Err(SendError)
    }

    fn close(&self, close: Close) {
        self.end(close, Rest::Sent);
    }

    fn close_at(&self, deadline: SystemTime, close: Close) {
        let mut outbound = self.lock();
        if millis(deadline) < self.deadline.load(Ordering::Acquire) {
            outbound.at_deadline = Some(close);
            self.deadline.store(millis(deadline), Ordering::Release);
        }
        drop(outbound);
        self.waker.wake();
    }

    fn revoke(&self, close: Close) {
        self.end(close, Rest::Dropped);
    }
}

/// Rounded down: a deadline is never extended.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(NO_DEADLINE - 1)
}

const NO_DEADLINE: u64 = u64::MAX;
/// How many places a queue keeps when it is empty: idle connections hold no
/// large one.
pub(crate) const KEPT_PLACES: usize = 4;
/// Many small messages cost more than their bytes.
const MAX_QUEUED_MESSAGES: usize = 16 * 1024;
const MAX_FIRST_MESSAGES: usize = 64 * 1024;
