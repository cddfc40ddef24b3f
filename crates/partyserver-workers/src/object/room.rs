//! The host's side of a room: what its code reaches through `Room`.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use partyserver::host::{RoomPort, SqlPort, StoragePort};
use partyserver::{BoxFuture, Close, CloseEvent, Connection, Locals, Message, StorageError};
use serde_json::Value;
use wasm_bindgen::JsCast;
use worker_sys::types::DurableObjectState;

use crate::alarm::Alarm;
use crate::attachment::{self, Restored};
use crate::js::Socket;
use crate::room_cell::AnyRoom;
use crate::socket::{Conn, encode};
use crate::sql::ObjectSql;
use crate::storage::ObjectStorage;
use crate::turns::Turns;
use crate::{task, time};

/// A room in a Durable Object.
pub(crate) struct ObjectRoom {
    party: Arc<str>,
    name: Arc<str>,
    props: Option<Value>,
    state: DurableObjectState,
    storage: Arc<ObjectStorage>,
    sql: Arc<dyn SqlPort>,
    /// By their keys, which is oldest first.
    connections: RefCell<Vec<Arc<Conn>>>,
    pub(crate) alarm: Alarm,
    /// The turns of the room's server.
    pub(crate) turns: Rc<Turns>,
    /// Whether the sockets of before the object woke are among the connections.
    is_restored: Cell<bool>,
    restoring: Rc<Turns>,
    /// Where events are handled.
    cell: OnceCell<Weak<dyn AnyRoom>>,
    pub(crate) posted: Backlog<Value>,
    /// Connections that were closed by this side, and until when each client may
    /// answer.
    closing: Backlog<(u64, Arc<Conn>)>,
    locals: Locals,
}

impl ObjectRoom {
    pub(crate) fn new(
        party: Arc<str>,
        name: Arc<str>,
        props: Option<Value>,
        state: DurableObjectState,
    ) -> Arc<Self> {
        let storage = state.storage().unwrap_or_else(|_| {
            // The platform gives every object a storage.
            wasm_bindgen::throw_str("a Durable Object has no storage")
        });
        Arc::new(Self {
            party,
            name,
            props,
            sql: Arc::new(ObjectSql(storage.clone().unchecked_into())),
            storage: ObjectStorage::new(storage),
            state,
            connections: RefCell::default(),
            alarm: Alarm::default(),
            turns: Rc::default(),
            is_restored: Cell::new(false),
            restoring: Rc::default(),
            cell: OnceCell::new(),
            posted: Backlog::default(),
            closing: Backlog::default(),
            locals: Locals::default(),
        })
    }

    /// Says where the room's events are handled. Once.
    pub(crate) fn bind(&self, cell: Weak<dyn AnyRoom>) {
        // A room is bound where it is made, so it is never bound already.
        let _ = self.cell.set(cell);
    }

    pub(crate) fn party_name(&self) -> Arc<str> {
        Arc::clone(&self.party)
    }

    pub(crate) fn room_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) fn state(&self) -> &DurableObjectState {
        &self.state
    }

    pub(crate) fn storage(&self) -> &Arc<ObjectStorage> {
        &self.storage
    }

    /// Takes back the connections that were there before the object woke. What
    /// can't be understood of them is closed: it has no identity.
    pub(crate) async fn restore(self: &Arc<Self>) {
        if self.is_restored.get() {
            return;
        }
        let turn = self.restoring.turn();
        turn.begin().await;
        if !self.is_restored.get() {
            let mut restored = Vec::new();
            for socket in self.state.get_websockets().unwrap_or_default() {
                let socket: Socket = socket.unchecked_into();
                // One that joined since has its key already.
                if socket.key().is_some() {
                    continue;
                }
                match attachment::restore(socket.clone(), self).await {
                    Restored::Connection(conn) => restored.push(conn),
                    Restored::Told => {}
                    Restored::Unknown => {
                        tracing::error!(
                            party = %self.party,
                            "a socket's attachment can't be understood"
                        );
                        let _ = socket.close(Close::INTERNAL_ERROR, "");
                    }
                }
            }
            let mut connections = self.connections.borrow_mut();
            connections.extend(restored);
            connections.sort_by_key(|conn| conn.key());
            self.is_restored.set(true);
            // Whether the platform's alarm is what it should be is not known.
            self.alarm.is_moved.set(true);
            let room = Arc::clone(self);
            task::spawn(async move { attachment::discard_strays(&room).await });
        }
    }

    /// The connection of a socket, once restored. `key` is the socket's where it
    /// is known.
    pub(crate) fn find(&self, key: Option<u64>, socket: &Socket) -> Option<Arc<Conn>> {
        self.held(key.or_else(|| Some(socket.key()? as u64))?)
    }

    /// The connection of a key.
    pub(crate) fn held(&self, key: u64) -> Option<Arc<Conn>> {
        let connections = self.connections.borrow();
        let place = connections.binary_search_by_key(&key, |conn| conn.key());
        connections.get(place.ok()?).cloned()
    }

    /// A key for a connection that joins: greater than those of all others, also
    /// of those from before the object slept, whatever the clock does.
    pub(crate) fn next_key(&self) -> u64 {
        thread_local! {
            static LAST: Cell<u64> = const { Cell::new(0) };
        }
        let connections = self.connections.borrow();
        let newest = connections.last().map_or(0, |conn| conn.key());
        let now = time::now_millis() * KEYS_PER_MILLI;
        let key = now.max(newest.max(LAST.get()) + 1);
        LAST.set(key);
        key
    }

    pub(crate) fn is_restored(&self) -> bool {
        self.is_restored.get()
    }

    pub(crate) fn join(&self, conn: Arc<Conn>) {
        self.connections.borrow_mut().push(conn);
    }

    /// Forgets a connection that has ended.
    pub(crate) fn leave(&self, conn: &Conn) {
        self.connections
            .borrow_mut()
            .retain(|held| held.key() != conn.key());
        attachment::discard(conn, self);
    }

    /// The open connections, oldest first.
    pub(crate) fn open(&self) -> Vec<Arc<Conn>> {
        // Asking a connection may end it, so the list is not borrowed then.
        let mut open = self.connections.borrow().clone();
        let now = time::now_millis();
        open.retain(|conn| conn.is_admitted_at(now));
        open
    }

    /// A connection has a deadline that is earlier than before. During a turn
    /// the turn sees to it when it ends.
    pub(crate) fn deadline_moved(self: &Arc<Self>) {
        self.alarm.is_moved.set(true);
        if let Some(watcher) = self.alarm.watcher.take() {
            watcher.wake();
        }
        if !self.turns.is_busy() {
            self.settle_soon();
        }
    }

    /// Settles the deadlines beside the event at hand.
    pub(crate) fn settle_soon(self: &Arc<Self>) {
        let room = Arc::clone(self);
        task::spawn(async move {
            // After an error it tries again by itself.
            let _ = room.settle_deadlines().await;
        });
    }

    /// A connection was closed by this side. The client may never answer.
    pub(crate) fn closing(self: &Arc<Self>, conn: Arc<Conn>) {
        let until = time::now_millis() + CLOSE_TIME_MILLIS;
        let room = Arc::clone(self);
        let waiting = async move { room.wait_for_closes().await };
        self.closing.push((until, conn), || task::spawn(waiting));
    }

    /// Tells the room of the ends of those that don't answer in time.
    async fn wait_for_closes(self: &Arc<Self>) {
        while let Some((until, conn)) = self.closing.next() {
            if !conn.has_left() {
                let rest = until.saturating_sub(time::now_millis());
                time::Sleep::new(Duration::from_millis(rest)).await;
            }
            let cell = self.cell.get().and_then(Weak::upgrade);
            if let Some(cell) = cell.filter(|_| !conn.has_left()) {
                let socket = conn.socket().clone();
                let event = CloseEvent::abnormal();
                let closed = cell.closed(Some(conn.key()), socket, event, None);
                closed.run().await;
            }
        }
    }
}

impl RoomPort for ObjectRoom {
    fn party(&self) -> &str {
        &self.party
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn now(&self) -> SystemTime {
        time::now()
    }

    fn locals(&self) -> &Locals {
        &self.locals
    }

    fn props(&self) -> Option<&Value> {
        self.props.as_ref()
    }

    fn connections(&self) -> Vec<Connection> {
        self.open().iter().map(|conn| conn.handle()).collect()
    }

    fn broadcast(&self, message: &Message, without: &[&str]) {
        let encoded = encode(message);
        for conn in self.open() {
            if !without.contains(&conn.as_record().id.as_str()) {
                // One that has ended meanwhile is told by its close.
                let _ = conn.send_encoded(&encoded);
            }
        }
    }

    fn storage(&self) -> Arc<dyn StoragePort> {
        Arc::clone(&self.storage) as _
    }

    fn sql(&self) -> Arc<dyn SqlPort> {
        Arc::clone(&self.sql)
    }

    fn set_alarm(&self, at: Option<SystemTime>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.set_user_alarm(at.map(time::millis)))
    }

    fn alarm(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StorageError>> {
        Box::pin(async move {
            let at = self.user_alarm().await?;
            Ok(at.map(|at| SystemTime::UNIX_EPOCH + Duration::from_millis(at)))
        })
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(time::Sleep::new(duration))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) {
        task::spawn(future);
    }

    fn post(&self, event: Value) {
        let Some(cell) = self.cell.get().and_then(Weak::upgrade) else {
            return;
        };
        self.posted.push(event, || task::spawn(cell.drain()));
    }
}

/// What one task works off, in order: the first that comes has it begun.
pub(crate) struct Backlog<T> {
    items: RefCell<VecDeque<T>>,
    is_attended: Cell<bool>,
}

impl<T> Backlog<T> {
    /// Adds one. `begin` begins the task, and says whether it could.
    fn push(&self, item: T, begin: impl FnOnce() -> bool) {
        self.items.borrow_mut().push_back(item);
        if !self.is_attended.replace(true) && !begin() {
            self.is_attended.set(false);
        }
    }

    /// The next; without one, the task that asks has ended.
    pub(crate) fn next(&self) -> Option<T> {
        let item = self.items.borrow_mut().pop_front();
        self.is_attended.set(item.is_some());
        item
    }
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self {
            items: RefCell::default(),
            is_attended: Cell::new(false),
        }
    }
}

/// Keys stay below 2^53, which is as far as JavaScript counts.
const KEYS_PER_MILLI: u64 = 1024;
/// How long a client has to answer a close frame.
const CLOSE_TIME_MILLIS: u64 = 5_000;
