//! The host's side of a room: what its code reaches through `Room`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use partyserver::host::{RoomPort, SqlPort, StoragePort};
use partyserver::{BoxFuture, Connection, Locals, Message, StorageError};
use serde_json::Value;

use crate::alarms::Alarms;
use crate::clock::Clock;
use crate::connections::Connections;
use crate::party::AnyRoom;
use crate::store::{RoomName, Store};
use crate::turn_limit;

/// A room of this machine.
pub(crate) struct NativeRoom {
    name: RoomName,
    pub(crate) connections: Arc<Connections>,
    props: Option<Arc<Value>>,
    host: Arc<Host>,
    sql: OnceLock<Arc<dyn SqlPort>>,
    /// Where events are handled; empty once the room has left memory.
    cell: OnceLock<Weak<dyn AnyRoom>>,
    posted: Mutex<Posted>,
    locals: Locals,
}

/// What all rooms of a server share.
pub(crate) struct Host {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarms: Alarms,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) stopping: AtomicBool,
}

impl Host {
    /// Whether the server takes nothing new any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct Posted {
    events: VecDeque<Value>,
    is_drained: bool,
}

impl NativeRoom {
    pub(crate) fn new(name: RoomName, props: Option<Arc<Value>>, host: Arc<Host>) -> Arc<Self> {
        Arc::new(Self {
            name,
            connections: Arc::default(),
            props,
            host,
            sql: OnceLock::new(),
            cell: OnceLock::new(),
            posted: Mutex::default(),
            locals: Locals::default(),
        })
    }

    /// Says where the room's events are handled. Once.
    pub(crate) fn bind(&self, cell: Weak<dyn AnyRoom>) {
        // A room is bound where it is made, so it is never bound already.
        let _ = self.cell.set(cell);
    }

    pub(crate) fn name(&self) -> &RoomName {
        &self.name
    }

    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The next posted event; without one, the task that asks has ended.
    fn next_event(&self) -> Option<Value> {
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        let event = posted.events.pop_front();
        posted.is_drained = event.is_some();
        event
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
            self.host.store.set_alarm(self.name.clone(), at).await?;
            self.host.alarms.set_anew(&self.name);
            Ok(())
        })
    }

    fn alarm(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StorageError>> {
        Box::pin(async move {
            let alarm = self.host.store.alarm(self.name.clone()).await?;
            // The one that runs is stored until it has run, but not set.
            Ok(alarm
                .filter(|alarm| !self.host.alarms.is_running(alarm))
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
        let Some(cell) = self.cell.get().and_then(Weak::upgrade) else {
            return;
        };
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        posted.events.push_back(event);
        if std::mem::replace(&mut posted.is_drained, true) {
            return;
        }
        drop(posted);
        // One task hands the events over, so that they stay in order.
        self.host.runtime.spawn(async move {
            while let Some(event) = cell.port().next_event() {
                cell.event(event).await;
            }
        });
    }
}
