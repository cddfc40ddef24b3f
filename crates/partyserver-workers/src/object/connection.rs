//! The host's side of a connection.

use std::cell::{Cell, RefCell};
use std::rc;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use partyserver::host::ConnectionPort;
use partyserver::host::life::{Change, Life, Rest};
use partyserver::host::record::{ConnectionRecord, Sleeping};
use partyserver::{Close, CloseEvent, Connection, Message, SendError};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsValue;

use super::room::ObjectRoom;
use super::sleeping;
use super::turns::Load;
use super::wire::encode;
use crate::platform::js::{self, Socket};
use crate::platform::time::now;

/// One connection. Messages go to the platform at once, and the platform queues them.
pub(super) struct Conn {
    this: Weak<Self>,
    record: ConnectionRecord,
    life: RefCell<Life>,
    socket: Socket,
    room: rc::Weak<ObjectRoom>,
    /// Whether the platform keeps the socket while the object sleeps.
    hibernates: bool,
    /// Whether the record is in storage because it is too large for the socket.
    pub(super) is_spilled: Cell<bool>,
    /// The bytes of its messages that wait for their turns.
    load: Load,
    /// Whether messages from the client are still read.
    is_read: Cell<bool>,
}

impl Conn {
    pub(super) fn new(
        (record, mut life): (ConnectionRecord, Life),
        socket: Socket,
        room: rc::Weak<ObjectRoom>,
        hibernates: bool,
    ) -> Arc<Self> {
        socket.set_key(record.key as f64);
        if socket.ready_state() != OPEN {
            // The socket ended while the object slept. The room must still be told.
            let _ = life.gone();
        }
        let conn = Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            record,
            life: RefCell::new(life),
            socket,
            room,
            hibernates,
            is_spilled: Cell::new(false),
            load: Load::default(),
            is_read: Cell::new(true),
        });
        if hibernates {
            let this = SendWrapper::new(Arc::downgrade(&conn));
            conn.record.on_change(move || {
                if let Some(conn) = this.upgrade() {
                    conn.store();
                }
            });
        }
        conn
    }

    pub(super) fn handle(&self) -> Connection {
        Connection::from_port(self.shared())
    }

    pub(super) fn shared(&self) -> Arc<Self> {
        match self.this.upgrade() {
            Some(this) => this,
            None => unreachable!("a method runs, so the connection is alive"),
        }
    }

    pub(super) fn key(&self) -> u64 {
        self.record.key
    }

    pub(super) fn id(&self) -> &str {
        &self.record.id
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// When the connection ends by itself.
    pub(super) fn ends_at(&self) -> Option<SystemTime> {
        self.life.borrow().ends_at()
    }

    /// Whether a frame of the connection may be handled or sent. If the connection is
    /// past its deadline, this call ends it.
    pub(super) fn is_open_at(&self, now: SystemTime) -> bool {
        if self.life.borrow().is_open(now) {
            return true;
        }
        let change = self.life.borrow_mut().look(now);
        self.changed(change);
        false
    }

    /// The socket has ended, as `seen`. Returns what the room has yet to be told.
    pub(super) fn ended(&self, seen: CloseEvent) -> Option<CloseEvent> {
        let event = self.life.borrow_mut().ended(seen);
        // The platform may hold it on, where its client never answers a close frame.
        if event.is_some() && self.hibernates && self.socket.ready_state() != CLOSED {
            sleeping::mark_as_told(&self.socket);
        }
        event
    }

    /// Whether the room was told, or is being told, that it has ended.
    pub(super) fn is_told(&self) -> bool {
        self.life.borrow().is_told()
    }

    /// The bytes of its messages that wait for their turns.
    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    /// From here on, messages from the client are thrown away.
    pub(super) fn stop_reading(&self) {
        self.is_read.set(false);
    }

    /// Whether a message that arrives now can still be handled.
    pub(super) fn is_read(&self) -> bool {
        self.is_read.get() && self.is_open()
    }

    /// Sends what [`encode`] made. The caller has just checked that the connection is
    /// admitted.
    pub(super) fn send_encoded(&self, encoded: &JsValue) -> Result<(), SendError> {
        if js::send(&self.socket, encoded) {
            Ok(())
        } else {
            Err(SendError)
        }
    }

    /// What is kept with the socket while the object sleeps.
    pub(super) fn asleep(&self) -> serde_json::Result<Sleeping> {
        // The life is not borrowed while attachments are written. Writing them runs the
        // application's code, and a panic in it would never return the borrow.
        let life = self.life.borrow().clone();
        Sleeping::of(&self.record, &life)
    }

    /// Stores the data that must outlive the object's memory.
    pub(super) fn store(&self) {
        if self.hibernates
            && let Some(room) = self.room.upgrade()
        {
            sleeping::store(self, &room.storage);
        }
    }

    /// Acts on what a step of the connection's life changed.
    fn changed(&self, change: Change) {
        match change {
            Change::Ended => self.end(),
            // Messages that the platform already has can't be called back.
            Change::Cut | Change::None => {}
        }
    }

    fn end(&self) {
        if let Some(ending) = self.life.borrow().ending() {
            let close = &ending.close;
            // This fails only if the socket has ended by itself.
            let _ = self.socket.close(close.code(), close.reason());
        }
        if let Some(room) = self.room.upgrade() {
            room.closing.wait_for(self.shared());
        }
    }

    /// One of the connection's deadlines has changed.
    fn deadline_moved(&self) {
        self.store();
        if let Some(room) = self.room.upgrade() {
            room.alarm.moved();
        }
    }
}

impl ConnectionPort for Conn {
    fn record(&self) -> &ConnectionRecord {
        &self.record
    }

    fn is_open(&self) -> bool {
        self.is_open_at(now())
    }

    fn send(&self, message: &Message) -> Result<(), SendError> {
        if self.is_open() {
            self.send_encoded(&encode(message))
        } else {
            Err(SendError)
        }
    }

    fn close(&self, close: Close, rest: Rest) {
        let change = self.life.borrow_mut().close(close, rest);
        self.changed(change);
    }

    fn close_at(&self, deadline: SystemTime, close: Close) {
        let is_moved = self.life.borrow_mut().close_at(deadline, close);
        if is_moved {
            self.deadline_moved();
        }
    }

    fn renew(&self, until: SystemTime, close: Close) -> bool {
        // If the connection's time is up, it ends here, in case nothing has ended it
        // before.
        let is_open = self.is_open() && self.life.borrow_mut().renew(until, close, now());
        if is_open {
            self.deadline_moved();
        }
        is_open
    }
}

impl Socket {
    /// The platform leaves the answer to a close frame to the object.
    pub(super) fn answer_close(&self, event: &CloseEvent) {
        if self.ready_state() != CLOSING || !event.clean {
            return;
        }
        let answered = match event.code {
            1005 => Err(JsValue::UNDEFINED),
            code => self.close(code, &event.reason),
        };
        // The platform does not send every code that it can receive.
        if answered.is_err() {
            // This fails only if the socket is closed by now.
            let _ = self.close_without_code();
        }
    }
}

const OPEN: u16 = 1;
const CLOSING: u16 = 2;
const CLOSED: u16 = 3;
