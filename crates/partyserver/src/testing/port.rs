//! A room's state in the kit, and the part of it that the room's code reaches through
//! `Room`.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::alarm::Alarm;
use super::cell::AnyRoom;
use super::kit::{Kit, lock};
use super::socket::Line;
use super::storage::{MemoryKeys, NoSql};
use super::work::Kind;
use crate::host::backlog::Backlog;
use crate::host::{RoomPort, SqlPort, StoragePort};
use crate::maybe_send::BoxFuture;
use crate::message::Message;
use crate::room::connection::Connection;
use crate::room::locals::Locals;
use crate::room::storage::StorageError;

/// The part of a room that outlasts its sleep.
pub(super) struct RoomState {
    pub(super) kit: Arc<Kit>,
    pub(super) party: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) props: Option<Value>,
    pub(super) alarm: Mutex<Alarm>,
    pub(super) posted: Mutex<Backlog<Value>>,
    room: Weak<dyn AnyRoom>,
    lines: Mutex<Vec<Arc<Line>>>,
    keys: Arc<MemoryKeys>,
}

impl RoomState {
    pub(super) fn new(
        kit: Arc<Kit>,
        (party, name): (Arc<str>, Arc<str>),
        props: Option<Value>,
        room: Weak<dyn AnyRoom>,
    ) -> Self {
        Self {
            kit,
            party,
            name,
            props,
            alarm: Mutex::default(),
            posted: Mutex::default(),
            room,
            lines: Mutex::default(),
            keys: Arc::default(),
        }
    }

    /// The open connections, oldest first.
    pub(super) fn lines(&self) -> Vec<Arc<Line>> {
        lock(&self.lines).clone()
    }

    pub(super) fn join(&self, line: Arc<Line>) {
        lock(&self.lines).push(line);
    }

    pub(super) fn leave(&self, key: u64) {
        lock(&self.lines).retain(|line| line.key() != key);
    }
}

/// A room's port while it is awake.
pub(super) struct Port {
    state: Arc<RoomState>,
    locals: Locals,
}

impl Port {
    pub(super) fn new(state: Arc<RoomState>) -> Arc<Self> {
        Arc::new(Self {
            state,
            locals: Locals::default(),
        })
    }
}

impl RoomPort for Port {
    fn party(&self) -> &str {
        &self.state.party
    }

    fn name(&self) -> &str {
        &self.state.name
    }

    fn now(&self) -> SystemTime {
        self.state.kit.now()
    }

    fn locals(&self) -> &Locals {
        &self.locals
    }

    fn props(&self) -> Option<&Value> {
        self.state.props.as_ref()
    }

    fn connections(&self) -> Vec<Connection> {
        let lines = self.state.lines();
        lines.iter().map(Line::connection).collect()
    }

    fn broadcast(&self, message: &Message, without: &[&str]) {
        for connection in self.connections() {
            if !without.contains(&connection.id()) {
                // A connection that has ended meanwhile receives nothing.
                let _ = connection.send(message.clone());
            }
        }
    }

    fn storage(&self) -> Arc<dyn StoragePort> {
        self.state.keys.clone()
    }

    fn sql(&self) -> Arc<dyn SqlPort> {
        Arc::new(NoSql)
    }

    fn set_alarm(&self, at: Option<SystemTime>) -> BoxFuture<'_, Result<(), StorageError>> {
        lock(&self.state.alarm).set(at);
        Box::pin(std::future::ready(Ok(())))
    }

    fn alarm(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StorageError>> {
        let alarm = lock(&self.state.alarm).set_for();
        Box::pin(std::future::ready(Ok(alarm)))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.state.kit.sleep(duration)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.state.kit.work.add(Kind::Spawned, future);
    }

    fn post(&self, event: Value) {
        let Some(room) = self.state.room.upgrade() else {
            return;
        };
        if lock(&self.state.posted).push(event) {
            self.state.kit.work.add(Kind::Hook, room.events());
        }
    }
}
