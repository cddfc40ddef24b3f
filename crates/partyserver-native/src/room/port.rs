//! The host's side of a room: what the room's code reaches through `Room`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use partyserver::host::admission::Door;
use partyserver::host::backlog::Backlog;
use partyserver::host::record::ConnectionRecord;
use partyserver::host::{RoomPort, SqlPort, StoragePort};
use partyserver::{BoxFuture, Connection, Locals, Message, Result, StorageError};
use serde_json::Value;

use super::alarms::Alarms;
use crate::failure::random_id;
use crate::host::Host;
use crate::socket::connection::{Conn, QueueLimits};
use crate::socket::connections::Connections;
use crate::store::RoomName;
use crate::turn_limit;

/// A room on this machine.
pub(crate) struct NativeRoom {
    name: RoomName,
    connections: Arc<Connections>,
    queues: QueueLimits,
    props: Option<Arc<Value>>,
    host: Arc<Host>,
    alarms: Arc<Alarms>,
    sql: OnceLock<Arc<dyn SqlPort>>,
    posted: Arc<Posted>,
    locals: Locals,
}

/// Where a room's posted events are handled.
pub(crate) trait EventHandler: Send + Sync {
    /// Handles an event, in a turn of its own.
    fn event(&self, event: Value) -> BoxFuture<'_, ()>;
}

/// The posted events of a room, and the room that handles them.
struct Posted {
    waiting: Mutex<Backlog<Value>>,
    /// Dangling when the room has left memory.
    handler: Weak<dyn EventHandler>,
}

/// What the rooms of a party share when they are made.
pub(crate) struct Ground {
    pub(crate) host: Arc<Host>,
    pub(crate) alarms: Arc<Alarms>,
    pub(crate) props: Option<Arc<Value>>,
    pub(crate) queues: QueueLimits,
}

impl NativeRoom {
    pub(crate) fn new(name: RoomName, ground: &Ground, handler: Weak<dyn EventHandler>) -> Self {
        Self {
            name,
            connections: Arc::default(),
            queues: ground.queues,
            props: ground.props.clone(),
            host: Arc::clone(&ground.host),
            alarms: Arc::clone(&ground.alarms),
            sql: OnceLock::new(),
            posted: Arc::new(Posted {
                waiting: Mutex::default(),
                handler,
            }),
            locals: Locals::default(),
        }
    }

    pub(crate) fn name(&self) -> &RoomName {
        &self.name
    }

    pub(crate) fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    pub(crate) fn open_connections(&self) -> &Connections {
        &self.connections
    }
}

impl Posted {
    /// Queues an event. Returns the handler if the caller must start a worker, because
    /// none is running.
    fn push(&self, event: Value) -> Option<Arc<dyn EventHandler>> {
        let handler = self.handler.upgrade()?;
        let is_first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(event)
        };
        is_first.then_some(handler)
    }

    fn take(&self) -> Option<Value> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }
}

impl Door for NativeRoom {
    type Joined = Arc<Conn>;

    fn names(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.name.party), Arc::clone(&self.name.room))
    }

    fn open(&self) -> usize {
        self.connections.len()
    }

    fn holders(&self, id: &str) -> Vec<Connection> {
        self.connections.with_id(id)
    }

    fn next_key(&self) -> u64 {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        KEYS.fetch_add(1, Ordering::Relaxed)
    }

    fn random_id(&self) -> String {
        random_id()
    }

    fn join(&self, record: ConnectionRecord) -> Result<Arc<Conn>> {
        let connections = Arc::clone(&self.connections);
        let clock = Arc::clone(&self.host.clock);
        let conn = Conn::new(record, connections, clock, self.queues);
        self.connections.join(Arc::clone(&conn));
        Ok(conn)
    }

    fn connection(conn: &Arc<Conn>) -> Connection {
        conn.handle()
    }
}

impl RoomPort for NativeRoom {
    fn party(&self) -> &str {
        &self.name.party
    }

    fn name(&self) -> &str {
        &self.name.room
    }

    fn now(&self) -> SystemTime {
        self.host.clock.now()
    }

    fn locals(&self) -> &Locals {
        &self.locals
    }

    fn props(&self) -> Option<&Value> {
        self.props.as_deref()
    }

    fn connections(&self) -> Vec<Connection> {
        self.connections.all()
    }

    fn broadcast(&self, message: &Message, without: &[&str]) {
        turn_limit::check();
        self.connections.broadcast(message, without, self.now());
    }

    fn storage(&self) -> Arc<dyn StoragePort> {
        self.host.store.storage(self.name.clone())
    }

    fn sql(&self) -> Arc<dyn SqlPort> {
        Arc::clone(self.sql.get_or_init(|| self.host.store.sql(&self.name)))
    }

    fn set_alarm(&self, at: Option<SystemTime>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            let id = self.host.store.set_alarm(self.name.clone(), at).await?;
            self.alarms.set_anew(&self.name, id);
            Ok(())
        })
    }

    fn alarm(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StorageError>> {
        Box::pin(async move {
            let alarm = self.host.store.alarm(self.name.clone()).await?;
            // A running alarm is stored until it has run, but no longer counts as set.
            Ok(alarm
                .filter(|alarm| !self.alarms.is_running(alarm))
                .map(|alarm| alarm.at))
        })
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.host.runtime.spawn(future);
    }

    fn post(&self, event: Value) {
        let Some(handler) = self.posted.push(event) else {
            return;
        };
        // One task handles the events, so that they stay in order.
        let posted = Arc::clone(&self.posted);
        self.host.runtime.spawn(async move {
            while let Some(event) = posted.take() {
                handler.event(event).await;
            }
        });
    }
}
