//! The host's side of a connection: its queue, and its life.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use futures_util::task::AtomicWaker;
use partyserver::host::ConnectionPort;
use partyserver::host::backlog::{Capacity, Waiting};
use partyserver::host::closing;
use partyserver::host::life::{Change, Life, Rest};
use partyserver::host::record::ConnectionRecord;
use partyserver::{Close, Connection, Message, PartyOptions, SendError};

use super::connections::Connections;
use super::sending::Sending;
use crate::clock::Clock;
use crate::turn_limit;

/// One connection. The room puts messages into its queue, and the socket's task takes
/// them out. No lock is held longer than it takes to move a message.
pub(crate) struct Conn {
    this: Weak<Self>,
    record: ConnectionRecord,
    connections: Arc<Connections>,
    clock: Arc<dyn Clock>,
    limits: QueueLimits,
    outbound: Mutex<Outbound>,
    waker: AtomicWaker,
}

/// How much may wait in a connection's queue.
#[derive(Clone, Copy)]
pub(crate) struct QueueLimits {
    /// The limit until the first message can be sent: for what `on_connect` replays.
    at_first: Capacity,
    /// The limit from then on, in addition to what is left of the first messages.
    later: Capacity,
}

impl QueueLimits {
    /// The limits of a party.
    pub(crate) fn of(options: &PartyOptions) -> Self {
        Self {
            at_first: Capacity {
                messages: MAX_FIRST_MESSAGES,
                bytes: options.max_replay_bytes,
            },
            later: Capacity {
                messages: MAX_QUEUED_MESSAGES,
                bytes: options.max_queued_bytes,
            },
        }
    }
}

/// The life and the queue are behind one lock, so that the life decides at the same
/// moment whether a message may be queued or sent.
#[derive(Default)]
struct Outbound {
    life: Life,
    messages: VecDeque<Message>,
    /// The messages that are left from the time before any could be sent. They are the
    /// first in the queue.
    first: Waiting,
    later: Waiting,
    is_sending: bool,
    /// Whether the socket's task is running and will look into the queue before it
    /// waits. Then it need not be woken.
    is_attended: bool,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Yes,
    Ended,
    /// The client reads too slowly, so the caller must call [`Conn::close_slow`].
    Full,
}

/// What the socket's task finds when it looks into the queue.
#[derive(Debug)]
pub(crate) struct Filled {
    /// The close frame, when nothing goes before it any more.
    pub(crate) close: Option<Close>,
    /// Whether the connection has ended. Then no further frames follow what is sent
    /// now.
    pub(crate) has_ended: bool,
    /// When the connection ends by itself. A change wakes the task.
    pub(crate) ends_at: Option<SystemTime>,
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

    /// Sets the waker that is called when there is something to write.
    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// The socket's task is about to run a turn, and will call [`Conn::fill`] after it.
    pub(crate) fn attend(&self) {
        self.lock().is_attended = true;
    }

    /// The wall clock that the connection's life uses. Code that does several things at
    /// one moment reads it once.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Whether a frame of this socket may still be handled.
    pub(crate) fn is_open(&self, now: SystemTime) -> bool {
        let mut is_open = false;
        // One step, so that no renewal comes between the check and the answer.
        self.step(|life| {
            let change = life.look(now);
            is_open = life.ending().is_none();
            change
        });
        is_open
    }

    /// Moves queued messages to `sending`, or takes back messages that must not be sent
    /// any more.
    pub(crate) fn fill(&self, sending: &mut Sending, now: SystemTime) -> Filled {
        let mut outbound = self.lock();
        outbound.is_sending = true;
        // A message that is queued from here on wakes the task to look again.
        outbound.is_attended = false;
        let change = outbound.life.look(now);
        outbound.follow(change);
        let filled = outbound.fill(sending);
        drop(outbound);
        if change == Change::Ended {
            self.connections.leave(self);
        }
        filled
    }

    pub(crate) fn queue(&self, message: &Message, now: SystemTime) -> Queued {
        let mut outbound = self.lock();
        if !outbound.life.is_open(now) {
            return Queued::Ended;
        }
        if !outbound.push(message, &self.limits) {
            return Queued::Full;
        }
        let is_attended = outbound.is_attended;
        drop(outbound);
        if !is_attended {
            self.waker.wake();
        }
        Queued::Yes
    }

    /// Ends a connection whose client reads too slowly, or could not read yet.
    pub(crate) fn close_slow(&self) {
        let close = if self.lock().is_sending {
            closing::reads_too_slowly()
        } else {
            closing::too_much_at_first()
        };
        self.close(close, Rest::Dropped);
    }

    /// Ends the connection without a close frame, because its stream has ended.
    pub(crate) fn gone(&self) {
        self.step(Life::gone);
    }

    /// Whether the caller must tell the room of the end.
    pub(crate) fn tell(&self) -> bool {
        self.lock().life.tell()
    }

    /// A step that may end the connection, and its consequences.
    fn step(&self, step: impl FnOnce(&mut Life) -> Change) {
        let change = {
            let mut outbound = self.lock();
            let change = step(&mut outbound.life);
            outbound.follow(change);
            change
        };
        // Called without the lock, because a broadcast takes this lock while it holds
        // the table's.
        if change == Change::Ended {
            self.connections.leave(self);
        }
        if change != Change::None {
            self.waker.wake();
        }
    }

    /// A step that may move the end of the connection.
    fn reschedule<T>(&self, step: impl FnOnce(&mut Life) -> T) -> T {
        let mut outbound = self.lock();
        let before = outbound.life.ends_at();
        let outcome = step(&mut outbound.life);
        let is_unseen = outbound.life.ends_at() != before && !outbound.is_attended;
        drop(outbound);
        if is_unseen {
            self.waker.wake();
        }
        outcome
    }

    /// Each change behind the lock is a single step, so a poisoned lock is harmless.
    fn lock(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbound {
    /// Adds a message, if there is room for it.
    fn push(&mut self, message: &Message, limits: &QueueLimits) -> bool {
        let (waiting, capacity) = if self.is_sending {
            (&mut self.later, limits.later)
        } else {
            (&mut self.first, limits.at_first)
        };
        let Some(more) = waiting.with(message.as_bytes().len(), capacity) else {
            return false;
        };
        *waiting = more;
        self.messages.push_back(message.clone());
        true
    }

    /// Throws away what a step requires to be thrown away.
    fn follow(&mut self, change: Change) {
        let is_cut = |life: &Life| {
            let ending = life.ending();
            ending.is_some_and(|ending| ending.rest == Rest::Dropped)
        };
        if change != Change::None && is_cut(&self.life) {
            self.messages = VecDeque::new();
            self.first = Waiting::default();
            self.later = Waiting::default();
        }
    }

    fn fill(&mut self, sending: &mut Sending) -> Filled {
        let ending = self.life.ending();
        let is_cut = ending.is_some_and(|ending| ending.rest == Rest::Dropped);
        if is_cut {
            sending.cut();
        }
        while !sending.is_full()
            && let Some(message) = self.messages.pop_front()
        {
            let of = if self.first.is_empty() {
                &mut self.later
            } else {
                &mut self.first
            };
            of.remove(message.as_bytes().len());
            sending.push(message);
        }
        if self.messages.is_empty() && self.messages.capacity() > KEPT_PLACES {
            self.messages = VecDeque::new();
        }
        // The rest of a frame that was begun is sent before the close frame.
        let is_last = is_cut || (self.messages.is_empty() && sending.is_empty());
        Filled {
            close: ending
                .filter(|_| is_last)
                .map(|ending| ending.close.clone()),
            has_ended: ending.is_some(),
            ends_at: self.life.ends_at(),
        }
    }
}

impl ConnectionPort for Conn {
    fn record(&self) -> &ConnectionRecord {
        &self.record
    }

    fn is_open(&self) -> bool {
        self.is_open(self.now())
    }

    fn send(&self, message: &Message) -> Result<(), SendError> {
        match self.queue(message, self.now()) {
            Queued::Yes => return Ok(()),
            Queued::Ended => {}
            Queued::Full => self.close_slow(),
        }
        // A hook that sends without end is ended here, unless its client keeps up.
        turn_limit::check();
        Err(SendError)
    }

    fn close(&self, close: Close, rest: Rest) {
        self.step(|life| life.close(close, rest));
    }

    fn close_at(&self, deadline: SystemTime, close: Close) {
        self.reschedule(|life| life.close_at(deadline, close));
    }

    fn renew(&self, until: SystemTime, close: Close) -> bool {
        let now = self.now();
        self.reschedule(|life| life.renew(until, close, now))
    }
}

/// How many places an empty queue keeps, so that idle connections do not hold a large
/// queue.
pub(super) const KEPT_PLACES: usize = 4;
/// Many small messages cost more than their bytes.
const MAX_QUEUED_MESSAGES: usize = 16 * 1024;
const MAX_FIRST_MESSAGES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::time::{Duration, UNIX_EPOCH};

    use partyserver::Attachments;

    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> SystemTime {
            at(0)
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    /// Counts how often the socket's task is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A connection in a room of its own, and its task, which waits.
    fn joined() -> (Arc<Conn>, Arc<Task>) {
        let record = ConnectionRecord::new(
            0,
            "me".into(),
            vec!["me".into()],
            http::Uri::from_static("http://test/"),
            ("chat".into(), "a".into()),
            Attachments::default(),
        );
        let limits = QueueLimits::of(&PartyOptions::new());
        let conn = Conn::new(record, Arc::default(), Arc::new(Still), limits);
        conn.connections.join(Arc::clone(&conn));
        let task = Arc::new(Task::default());
        conn.register(&Waker::from(Arc::clone(&task)));
        (conn, task)
    }

    fn look(conn: &Conn, now: SystemTime) -> (Option<u16>, Option<SystemTime>) {
        let filled = conn.fill(&mut Sending::default(), now);
        (filled.close.map(|close| close.code()), filled.ends_at)
    }

    fn expired() -> Close {
        Close::new(3000, "token expired")
    }

    /// Each row: an action, and how often it wakes the task. First the task is waiting,
    /// then it is about to look anyway.
    #[test]
    fn the_task_learns_of_each_change() {
        type Step = fn(&Conn);
        let steps: [(Step, usize); 5] = [
            (|conn| assert!(conn.renew(at(60), expired())), 0),
            (|conn| conn.close_at(at(60), expired()), 0),
            (|conn| conn.send(&"hello".into()).unwrap(), 0),
            // An end wakes the task in any case.
            (|conn| conn.close(expired(), Rest::Sent), 1),
            (|conn| conn.close(expired(), Rest::Dropped), 1),
        ];
        for (step, when_attended) in steps {
            let (conn, task) = joined();
            step(&conn);
            assert_eq!(task.0.load(Ordering::SeqCst), 1);
            let (conn, task) = joined();
            conn.attend();
            step(&conn);
            assert_eq!(task.0.load(Ordering::SeqCst), when_attended);
        }
    }

    #[test]
    fn the_task_sees_the_end_where_it_is_now() {
        let (conn, _) = joined();
        assert_eq!(look(&conn, at(0)), (None, None));
        assert!(conn.renew(at(60), expired()));
        assert!(conn.renew(at(90), expired()));
        assert_eq!(look(&conn, at(60)), (None, Some(at(90))));
        assert!(conn.renew(at(70), expired()));
        assert_eq!(look(&conn, at(69)), (None, Some(at(70))));
        assert_eq!(conn.connections.len(), 1);
        assert_eq!(look(&conn, at(70)), (Some(3000), Some(at(70))));
        assert_eq!(conn.connections.len(), 0);
        assert!(!conn.renew(at(90), expired()), "a renewal revives nothing");
        assert!(conn.tell() && !conn.tell());
    }

    #[test]
    fn nothing_is_queued_from_the_end_on_and_what_waited_is_dropped_at_the_deadline() {
        let (conn, _) = joined();
        assert!(conn.renew(at(60), expired()));
        let message = Message::from("hello");
        assert_eq!(conn.queue(&message, at(59)), Queued::Yes);
        assert_eq!(conn.queue(&message, at(60)), Queued::Ended);
        conn.close(Close::new(4000, "the end"), Rest::Sent);
        assert_eq!(conn.queue(&message, at(59)), Queued::Ended);
        let mut sending = Sending::default();
        let filled = conn.fill(&mut sending, at(60));
        // The room closed first, so its close is the one that is told.
        assert_eq!(filled.close.map(|close| close.code()), Some(4000));
        assert!(sending.is_empty());
    }

    /// Whatever comes first, the connection leaves its room once, and one close frame
    /// counts.
    #[test]
    fn a_close_a_renewal_and_the_deadline_at_one_time() {
        for _ in 0..200 {
            let (conn, _) = joined();
            assert!(conn.renew(at(60), expired()));
            std::thread::scope(|scope| {
                scope.spawn(|| conn.close(Close::new(4000, ""), Rest::Sent));
                scope.spawn(|| conn.renew(at(90), expired()));
                scope.spawn(|| conn.is_open(at(60)));
                scope.spawn(|| look(&conn, at(60)));
                scope.spawn(|| conn.queue(&"hello".into(), at(59)));
            });
            let (first, _) = look(&conn, at(90));
            assert!(matches!(first, Some(3000 | 4000)), "{first:?}");
            assert_eq!(look(&conn, at(90)).0, first);
            assert_eq!(conn.connections.len(), 0);
            assert!(!conn.is_open(at(0)));
        }
    }
}
