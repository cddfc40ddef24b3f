//! The host's side of a room: what its code reaches through `Room`.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use partyserver::host::{RoomPort, SqlPort, StoragePort};
use partyserver::{BoxFuture, CloseEvent, Connection, Locals, Message, StorageError};
use serde_json::Value;
use wasm_bindgen::JsCast;
use worker_sys::types::DurableObjectState;

use crate::alarm::Alarm;
use crate::js::Socket;
use crate::room_cell::AnyRoom;
use crate::socket::{Conn, encode};
use crate::sql::ObjectSql;
use crate::storage::ObjectStorage;
use crate::turns::Turns;
use crate::{attachment, task, time};

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
    posted: RefCell<VecDeque<Value>>,
    is_draining: Cell<bool>,
    /// Connections that were closed by this side, and until when each client may
    /// answer.
    closing: RefCell<VecDeque<(u64, Arc<Conn>)>>,
    is_waiting_for_closes: Cell<bool>,
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
            posted: RefCell::default(),
            is_draining: Cell::new(false),
            closing: RefCell::default(),
            is_waiting_for_closes: Cell::new(false),
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
                if socket.key().is_some() || attachment::is_told(&socket) {
                    continue;
                }
                match attachment::restore(socket.clone(), self).await {
                    Some(conn) => restored.push(conn),
                    None => {
                        tracing::error!(
                            party = %self.party,
                            "a socket's attachment can't be understood"
                        );
                        let _ = socket.close(1011, "");
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
        let key = key.or_else(|| Some(socket.key()? as u64))?;
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

    /// Whether a connection is held.
    pub(crate) fn has(&self, key: u64) -> bool {
        let connections = self.connections.borrow();
        connections
            .binary_search_by_key(&key, |conn| conn.key())
            .is_ok()
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
            let room = Arc::clone(self);
            task::spawn(async move {
                // What fails is tried again after the next turn.
                let _ = room.settle_deadlines().await;
            });
        }
    }

    /// A connection was closed by this side. The client may never answer.
    pub(crate) fn closing(self: &Arc<Self>, conn: Arc<Conn>) {
        let until = time::now_millis() + CLOSE_TIME_MILLIS;
        self.closing.borrow_mut().push_back((until, conn));
        if !self.is_waiting_for_closes.replace(true) {
            let room = Arc::clone(self);
            let is_begun = task::spawn(async move { room.wait_for_closes().await });
            if !is_begun {
                self.is_waiting_for_closes.set(false);
            }
        }
    }

    /// Tells the room of the ends of those that don't answer in time.
    async fn wait_for_closes(self: &Arc<Self>) {
        while let Some((until, conn)) = self.next_closing() {
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

    fn next_closing(&self) -> Option<(u64, Arc<Conn>)> {
        let next = self.closing.borrow_mut().pop_front();
        self.is_waiting_for_closes.set(next.is_some());
        next
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
        self.posted.borrow_mut().push_back(event);
        // One task hands the events over, so that they stay in order.
        if !self.is_draining.replace(true) {
            let is_begun = task::spawn(async move { cell.drain().await });
            self.is_draining.set(is_begun && self.is_draining.get());
        }
    }
}

impl ObjectRoom {
    /// The next posted event; without one, whoever asks has ended.
    pub(crate) fn next_event(&self) -> Option<Value> {
        let event = self.posted.borrow_mut().pop_front();
        self.is_draining.set(event.is_some());
        event
    }
}

/// Keys stay below 2^53, which is as far as JavaScript counts.
const KEYS_PER_MILLI: u64 = 1024;
/// How long a client has to answer a close frame.
const CLOSE_TIME_MILLIS: u64 = 5_000;
