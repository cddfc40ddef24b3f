//! What a room's code reaches through `Room`.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use partyserver::host::backlog::Backlog;
use partyserver::host::{RoomPort, SqlPort, StoragePort};
use partyserver::{BoxFuture, Connection, Locals, Message, StorageError};
use serde_json::Value;

use super::cell::OwnEvents;
use super::room::ObjectRoom;
use super::sql::ObjectSql;
use super::wire::encode;
use crate::platform::{task, time};

/// A room, as its code sees it.
pub(super) struct Port {
    room: Rc<ObjectRoom>,
    props: Option<Value>,
    sql: Arc<ObjectSql>,
    locals: Locals,
    posted: Rc<Posted>,
}

/// Posted events of the room's code that wait to be handled.
struct Posted {
    cell: Weak<dyn OwnEvents>,
    waiting: RefCell<Backlog<Value>>,
}

impl Port {
    pub(super) fn new(
        room: Rc<ObjectRoom>,
        props: Option<Value>,
        cell: Weak<dyn OwnEvents>,
    ) -> Arc<Self> {
        let posted = Posted {
            cell,
            waiting: RefCell::default(),
        };
        Arc::new(Self {
            sql: Arc::new(ObjectSql::of(room.storage.as_js())),
            room,
            props,
            locals: Locals::default(),
            posted: Rc::new(posted),
        })
    }
}

impl RoomPort for Port {
    fn party(&self) -> &str {
        self.room.place().party
    }

    fn name(&self) -> &str {
        self.room.place().room
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
        let open = self.room.connections.open();
        open.iter().map(|conn| conn.handle()).collect()
    }

    fn broadcast(&self, message: &Message, without: &[&str]) {
        let encoded = encode(message);
        for conn in self.room.connections.open() {
            if !without.contains(&conn.id()) {
                // A connection that has ended meanwhile is told by its close frame.
                let _ = conn.send_encoded(&encoded);
            }
        }
    }

    fn storage(&self) -> Arc<dyn StoragePort> {
        Arc::clone(&self.room.storage) as _
    }

    fn sql(&self) -> Arc<dyn SqlPort> {
        Arc::clone(&self.sql) as _
    }

    fn set_alarm(&self, at: Option<SystemTime>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.room.alarm.set(at))
    }

    fn alarm(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StorageError>> {
        Box::pin(self.room.alarm.get())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(time::Sleep::new(duration))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) {
        task::spawn(future);
    }

    fn post(&self, event: Value) {
        self.posted.add(event);
    }
}

impl Posted {
    fn add(self: &Rc<Self>, event: Value) {
        if !self.waiting.borrow_mut().push(event) {
            return;
        }
        let this = Rc::clone(self);
        if !task::spawn(async move { this.hand_over().await }) {
            self.waiting.borrow_mut().unattended();
        }
    }

    async fn hand_over(&self) {
        while let Some(event) = self.next() {
            if let Some(cell) = self.cell.upgrade() {
                cell.posted(event).run().await;
            }
        }
    }

    fn next(&self) -> Option<Value> {
        self.waiting.borrow_mut().take()
    }
}
