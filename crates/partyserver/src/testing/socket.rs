//! The two ends of a socket in memory: the client's, and the room's line to it.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};
use std::time::SystemTime;

use super::cell::AnyRoom;
use super::kit::{Kit, lock};
use super::work::Kind;
use crate::close::{Close, CloseEvent};
use crate::host::life::{Change, Life, Rest};
use crate::host::record::{ConnectionRecord, Sleeping};
use crate::message::Message;
use crate::room::connection::{Connection, SendError};
use crate::room::port::ConnectionPort;

/// The client's end of a socket: admitted, or refused with a close frame.
#[derive(Clone)]
pub struct TestSocket {
    end: Arc<End>,
    line: Option<Arc<Line>>,
    subprotocol: Option<String>,
}

/// What the client has received.
#[derive(Default)]
struct End(Mutex<Received>);

#[derive(Default)]
struct Received {
    messages: Vec<Message>,
    closed: Option<Close>,
    waker: Option<Waker>,
}

impl End {
    fn change(&self, change: impl FnOnce(&mut Received)) {
        let waker = {
            let mut received = lock(&self.0);
            change(&mut received);
            received.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The first close frame counts.
    fn close(&self, close: Close) {
        self.change(|received| {
            received.closed.get_or_insert(close);
        });
    }
}

impl TestSocket {
    pub(super) fn admitted(line: Arc<Line>, subprotocol: Option<String>) -> Self {
        Self {
            end: Arc::clone(&line.end),
            line: Some(line),
            subprotocol,
        }
    }

    pub(super) fn refused(close: Close, subprotocol: Option<String>) -> Self {
        let end = Arc::<End>::default();
        end.close(close);
        Self {
            end,
            line: None,
            subprotocol,
        }
    }

    pub(super) fn line(&self) -> Option<&Arc<Line>> {
        self.line.as_ref()
    }

    /// The room's handle to the connection, as the room has it now. After a hibernation
    /// it holds what survived. `None` for a refused socket.
    pub fn connection(&self) -> Option<Connection> {
        self.line.as_ref().map(Line::connection)
    }

    /// Takes what the client has received so far.
    pub fn received(&self) -> Vec<Message> {
        std::mem::take(&mut lock(&self.end.0).messages)
    }

    /// The close frame that the client has received or sent.
    pub fn closed(&self) -> Option<Close> {
        lock(&self.end.0).closed.clone()
    }

    /// The subprotocol that was selected. Refused sockets have one too.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Waits until the client has received a message or a close frame. It is for
    /// adapters: in a test, everything has arrived when an operation of the kit ends.
    pub async fn changed(&self) {
        poll_fn(|cx| {
            let mut received = lock(&self.end.0);
            if !received.messages.is_empty() || received.closed.is_some() {
                return Poll::Ready(());
            }
            received.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The room's line to a client. It lasts as long as the client is connected.
pub(super) struct Line {
    key: u64,
    room: Weak<dyn AnyRoom>,
    kit: Arc<Kit>,
    end: Arc<End>,
    /// Made again when the room wakes.
    record: Mutex<Arc<ConnectionRecord>>,
    life: Mutex<Life>,
}

impl Line {
    pub(super) fn new(record: ConnectionRecord, room: Weak<dyn AnyRoom>, kit: Arc<Kit>) -> Self {
        Self {
            key: record.key,
            room,
            kit,
            end: Arc::default(),
            record: Mutex::new(Arc::new(record)),
            life: Mutex::default(),
        }
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }

    pub(super) fn room(&self) -> Option<Arc<dyn AnyRoom>> {
        self.room.upgrade()
    }

    pub(super) fn connection(self: &Arc<Self>) -> Connection {
        Connection::from_port(Arc::new(Handle {
            record: Arc::clone(&lock(&self.record)),
            line: Arc::clone(self),
        }))
    }

    pub(super) fn has_id(&self, id: &str) -> bool {
        lock(&self.record).id == id
    }

    pub(super) fn ends_at(&self) -> Option<SystemTime> {
        lock(&self.life).ends_at()
    }

    /// Ends the line if its time is up.
    pub(super) fn look(self: &Arc<Self>) {
        let change = lock(&self.life).look(self.kit.now());
        self.carry_out(change);
    }

    pub(super) fn is_open(self: &Arc<Self>) -> bool {
        self.look();
        lock(&self.life).is_open(self.kit.now())
    }

    /// The client's side has ended the line. `told` is the close frame that the two
    /// sides exchanged, if there was one.
    pub(super) fn ended(self: &Arc<Self>, event: CloseEvent, told: Option<Close>) {
        let change = lock(&self.life).gone();
        if change == Change::Ended {
            if let Some(close) = told {
                self.end.close(close);
            }
            self.leave(event);
        }
    }

    /// Whether the caller must tell the room of the end.
    pub(super) fn tell(&self) -> bool {
        lock(&self.life).tell()
    }

    /// Writes the connection down and reads it again, as a host does whose rooms lose
    /// their memory. A connection that can't be written or read is closed.
    pub(super) fn sleep(self: &Arc<Self>) {
        let record = Arc::clone(&lock(&self.record));
        let life = lock(&self.life).clone();
        let text = Sleeping::of(&record, &life).and_then(|sleeping| sleeping.text());
        let names = (Arc::clone(&record.party), Arc::clone(&record.room));
        let woken = text
            .ok()
            .and_then(|text| Sleeping::read(&text)?.wake(names));
        match woken {
            Some((record, life)) => {
                *lock(&self.record) = Arc::new(record);
                *lock(&self.life) = life;
            }
            None => {
                let close = Close::new(Close::INTERNAL_ERROR, "");
                let change = lock(&self.life).close(close, Rest::Dropped);
                self.carry_out(change);
            }
        }
    }

    fn carry_out(self: &Arc<Self>, change: Change) {
        // Messages arrive when they are sent, so no message is waiting that could be
        // thrown away.
        if change != Change::Ended {
            return;
        }
        let ending = lock(&self.life).ending().cloned();
        let Some(ending) = ending else {
            unreachable!("it has just ended")
        };
        let close = ending.close;
        // The client answers at once, with the same code and reason.
        let event = CloseEvent::clean(close.code(), close.reason());
        self.end.close(close);
        self.leave(event);
    }

    /// The line leaves the room's list, and the room is told in its turn.
    fn leave(self: &Arc<Self>, event: CloseEvent) {
        let Some(room) = self.room() else { return };
        room.state().leave(self.key);
        let told = room.closed(Arc::clone(self), event);
        self.kit.work.add(Kind::Hook, told);
    }
}

/// The room's handle to a line. A handle from before a sleep keeps the record of that
/// time.
struct Handle {
    record: Arc<ConnectionRecord>,
    line: Arc<Line>,
}

impl ConnectionPort for Handle {
    fn record(&self) -> &ConnectionRecord {
        &self.record
    }

    fn is_open(&self) -> bool {
        self.line.is_open()
    }

    fn send(&self, message: &Message) -> Result<(), SendError> {
        if !self.line.is_open() {
            return Err(SendError);
        }
        let message = message.clone();
        self.line
            .end
            .change(|received| received.messages.push(message));
        Ok(())
    }

    fn close(&self, close: Close, rest: Rest) {
        self.line.look();
        let change = lock(&self.line.life).close(close, rest);
        self.line.carry_out(change);
    }

    fn close_at(&self, deadline: SystemTime, close: Close) {
        self.line.look();
        // The code that moves the clock looks at each life, so no timer is needed.
        let _ = lock(&self.line.life).close_at(deadline, close);
        self.line.look();
    }

    fn renew(&self, until: SystemTime, close: Close) -> bool {
        let is_renewed = lock(&self.line.life).renew(until, close, self.line.kit.now());
        self.line.look();
        is_renewed
    }
}
