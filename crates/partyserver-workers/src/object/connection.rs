//! The host's side of a connection.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use partyserver::host::{ConnectionPort, ConnectionRecord};
use partyserver::{Close, CloseEvent, Connection, Message, SendError};
use wasm_bindgen::{JsCast, JsValue};
use worker_sys::types::WebSocketPair;

use crate::attachment;
use crate::js::{self, Socket};
use crate::room::ObjectRoom;
use crate::time::{millis, now_millis};
use crate::turns::Load;

/// One connection. What is sent goes to the platform at once, which queues it.
pub(crate) struct Conn {
    this: Weak<Self>,
    record: ConnectionRecord,
    socket: Socket,
    room: Weak<ObjectRoom>,
    /// Whether the platform keeps the socket while the object sleeps.
    hibernates: bool,
    deadline: RefCell<Option<Deadline>>,
    is_open: Cell<bool>,
    /// The bytes of its messages that wait for their turns.
    load: Load,
    /// Whether what the client sends is looked at.
    is_read: Cell<bool>,
    /// Whether `on_close` has been told.
    is_told: Cell<bool>,
    /// Whether the record is in storage because it is too large for the socket.
    pub(crate) is_spilled: Cell<bool>,
}

/// When a connection ends, and how.
#[derive(Clone)]
pub(crate) struct Deadline {
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) close: Close,
}

impl Conn {
    pub(crate) fn new(
        record: ConnectionRecord,
        socket: Socket,
        room: Weak<ObjectRoom>,
        hibernates: bool,
        deadline: Option<Deadline>,
    ) -> Arc<Self> {
        socket.set_key(record.key as f64);
        let is_open = socket.ready_state() == OPEN;
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            record,
            socket,
            room,
            hibernates,
            deadline: RefCell::new(deadline),
            is_open: Cell::new(is_open),
            load: Load::default(),
            is_read: Cell::new(true),
            is_told: Cell::new(false),
            is_spilled: Cell::new(false),
        })
    }

    pub(crate) fn handle(&self) -> Connection {
        Connection::from_port(self.shared())
    }

    pub(crate) fn shared(&self) -> Arc<Self> {
        match self.this.upgrade() {
            Some(this) => this,
            None => unreachable!("a method runs, so the connection is alive"),
        }
    }

    pub(crate) fn key(&self) -> u64 {
        self.record.key
    }

    pub(crate) fn as_record(&self) -> &ConnectionRecord {
        &self.record
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.deadline.borrow().clone()
    }

    /// Whether it is among the room's connections and a frame of it may be
    /// handled.
    pub(crate) fn is_admitted(&self) -> bool {
        self.is_admitted_at(now_millis())
    }

    /// The same at a time that is known. One that is past its deadline is ended.
    pub(crate) fn is_admitted_at(&self, now: u64) -> bool {
        let is_due = |held: &Deadline| now >= held.at;
        if self.deadline.borrow().as_ref().is_some_and(is_due)
            && let Some(due) = self.deadline()
        {
            self.end(&due.close);
        }
        self.is_open.get()
    }

    /// The socket has ended. Returns whether the room has yet to be told.
    pub(crate) fn gone(&self) -> bool {
        self.is_open.set(false);
        let is_first = !self.is_told.replace(true);
        // The platform may hold it on, where its client never answers a close frame.
        if is_first && self.hibernates && self.socket.ready_state() != CLOSED {
            attachment::mark_as_told(&self.socket);
        }
        is_first
    }

    /// Whether the room was told, or is being told, that it has ended.
    pub(crate) fn has_left(&self) -> bool {
        self.is_told.get()
    }

    /// The bytes of its messages that wait for their turns.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// From here on what it sends is thrown away.
    pub(crate) fn stop_reading(&self) {
        self.is_read.set(false);
    }

    /// Whether a message that arrives now can still be handled.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read.get() && self.is_admitted()
    }

    /// Sends what [`encode`] made, to one that was just found admitted.
    pub(crate) fn send_encoded(&self, encoded: &JsValue) -> Result<(), SendError> {
        if js::send(&self.socket, encoded) {
            Ok(())
        } else {
            Err(SendError)
        }
    }

    /// Stores what must outlive the object's memory.
    pub(crate) fn store(&self) {
        if self.hibernates
            && let Some(room) = self.room.upgrade()
        {
            attachment::store(self, &room);
        }
    }

    fn end(&self, close: &Close) {
        if self.is_open.replace(false) {
            // It fails only when the socket has ended by itself.
            let _ = self.socket.close(close.code(), close.reason());
            if let Some(room) = self.room.upgrade() {
                room.closing(self.shared());
            }
        }
    }
}

impl ConnectionPort for Conn {
    fn record(&self) -> &ConnectionRecord {
        &self.record
    }

    fn record_changed(&self) {
        self.store();
    }

    fn is_admitted(&self) -> bool {
        self.is_admitted()
    }

    fn send(&self, message: &Message) -> Result<(), SendError> {
        if self.is_admitted() {
            self.send_encoded(&encode(message))
        } else {
            Err(SendError)
        }
    }

    fn close(&self, close: Close) {
        self.end(&close);
    }

    fn close_at(&self, deadline: SystemTime, close: Close) {
        let at = millis(deadline);
        let is_earlier = self
            .deadline
            .borrow()
            .as_ref()
            .is_none_or(|held| at < held.at);
        if is_earlier {
            *self.deadline.borrow_mut() = Some(Deadline { at, close });
            self.store();
            if let Some(room) = self.room.upgrade() {
                room.deadline_moved();
            }
        }
    }

    fn revoke(&self, close: Close) {
        self.end(&close);
    }
}

/// The two ends of a new socket: the client's and ours.
pub(crate) fn pair() -> Result<(JsValue, Socket), String> {
    let make = || {
        let mut pair = WebSocketPair::new()?;
        Ok((pair.client()?.into(), pair.server()?.unchecked_into()))
    };
    make().map_err(|thrown: JsValue| js::error_text(&thrown))
}

impl Socket {
    /// The platform leaves the answer to a close frame to the object.
    pub(crate) fn answer_close(&self, event: &CloseEvent) {
        if self.ready_state() != CLOSING || !event.clean {
            return;
        }
        let answered = match event.code {
            1005 => Err(JsValue::UNDEFINED),
            code => self.close(code, &event.reason),
        };
        // The platform does not send every code that it receives.
        if answered.is_err() {
            // It fails only when the socket is closed by now.
            let _ = self.close_without_code();
        }
    }
}

thread_local! {
    /// The message that is being handled, and the platform's value of it: one that
    /// is passed on goes out as it came.
    static RECEIVED: RefCell<Option<(Message, JsValue)>> = const { RefCell::new(None) };
}

/// A message as the platform sends it; once for any number of sockets.
pub(crate) fn encode(message: &Message) -> JsValue {
    let received = RECEIVED.with_borrow(|received| {
        let (held, data) = received.as_ref()?;
        is_same(held, message).then(|| data.clone())
    });
    received.unwrap_or_else(|| match message {
        Message::Text(text) => JsValue::from_str(text),
        Message::Binary(bytes) => js_sys::Uint8Array::from(&bytes[..]).into(),
    })
}

/// A message as the platform gives it: a string or an `ArrayBuffer`. `text` is the
/// string where it was read already.
pub(crate) fn decode(data: JsValue, text: Option<String>) -> Message {
    let message: Message = match text.or_else(|| data.as_string()) {
        Some(text) => text.into(),
        None => js_sys::Uint8Array::new(&data).to_vec().into(),
    };
    RECEIVED.set(Some((message.clone(), data)));
    message
}

/// Lets go of what [`decode`] keeps.
pub(crate) fn forget_received() {
    RECEIVED.set(None);
}

/// Whether two messages share their bytes: the one that is held keeps them from
/// being used for anything else.
fn is_same(held: &Message, other: &Message) -> bool {
    std::mem::discriminant(held) == std::mem::discriminant(other)
        && std::ptr::eq(held.as_bytes(), other.as_bytes())
}

const OPEN: u16 = 1;
const CLOSING: u16 = 2;
const CLOSED: u16 = 3;
