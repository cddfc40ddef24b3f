//! A host in memory, for unit tests of servers.
//!
//! [`TestRoom`] runs one room the way real hosts do: the gate first, then the
//! room's hooks in their order. Its clock stands still until it is moved; nothing
//! waits for time, network or disk, so any executor runs it.
//!
//! # Example
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> partyserver::Result<()> {
//! use partyserver::testing::TestRoom;
//! use partyserver::*;
//!
//! struct Polite;
//! impl Server for Polite {
//!     async fn on_before_connect(&self, lobby: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
//!         if lobby.room_name() == "closed" {
//!             let answer = answer::text(http::StatusCode::FORBIDDEN, "closed");
//!             return Ok(ConnectGate::Refuse(Refusal::closing(answer, Close::new(1008, "closed"))));
//!         }
//!         Ok(ConnectGate::Admit(handshake))
//!     }
//!     async fn on_message(&mut self, _: &Context, from: &Connection, _: Message) -> Result<()> {
//!         from.send("thank you")?;
//!         Ok(())
//!     }
//! }
//!
//! let mut open = TestRoom::new("polite", "open", || Polite);
//! let socket = open.connect("/").await?;
//! open.send(&socket, "hello").await?;
//! assert_eq!(socket.received(), ["thank you".into()]);
//!
//! let mut closed = TestRoom::new("polite", "closed", || Polite);
//! assert_eq!(closed.connect("/").await?.closed(), Some(Close::new(1008, "closed")));
//! # Ok(()) }
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::close::{Close, CloseEvent};
use crate::connection::{Connection, ConnectionRecord, SendError};
use crate::connection_id::{may_share, requested_id};
use crate::context::Lobby;
use crate::error::Result;
use crate::host::{Change, ConnectionPort, RoomPort, SqlPort, StoragePort, UpdateStep, ending};
use crate::http_types::{Handshake, Request, Response};
use crate::instance::{Connecting, Instance};
use crate::locals::Locals;
use crate::maybe_send::BoxFuture;
use crate::message::Message;
use crate::room::Room;
use crate::server::{ConnectGate, RequestGate, Server};
use crate::sql::{Rows, SqlError, SqlValue};
use crate::storage::StorageError;
use crate::wrap::IntoServer;

/// One room of a server, with its gate.
pub struct TestRoom<S: IntoServer> {
    gate: S::Server,
    make: Box<dyn Fn() -> S::Server>,
    instance: Option<Instance<S::Server>>,
    host: Arc<MemoryRoom>,
}

/// The client's end of a socket: admitted, or refused with a close frame.
#[derive(Clone)]
pub struct TestSocket {
    connection: Option<Connection>,
    state: Arc<Mutex<SocketState>>,
}

#[derive(Default)]
struct SocketState {
    received: Vec<Message>,
    closed: Option<Close>,
    deadline: Option<(SystemTime, Close)>,
}

impl<S: IntoServer> TestRoom<S> {
    /// A room that has not started. `make` makes the gate, and the server each
    /// time the room wakes.
    pub fn new(party: &str, room: &str, make: impl Fn() -> S + 'static) -> Self {
        let make = move || make().into_server();
        let host = Arc::new(MemoryRoom {
            party: party.into(),
            name: room.into(),
            now: Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
            sockets: Mutex::default(),
            keys: Arc::default(),
            alarm: Mutex::default(),
            tasks: Mutex::default(),
            events: Mutex::default(),
            locals: Locals::default(),
        });
        Self {
            gate: make(),
            make: Box::new(make),
            instance: None,
            host,
        }
    }

    /// A handle to the room.
    pub fn room(&self) -> Room {
        Room::from_port(self.host.clone())
    }

    /// The room's clock.
    pub fn now(&self) -> SystemTime {
        self.host.now()
    }

    /// Sends a request through the gate to the room.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn request(&mut self, mut request: Request) -> Result<Response> {
        let lobby = self.lobby();
        let attachments = lobby.attachments().clone();
        request.extensions_mut().insert(attachments.clone());
        let headers = self.gate.answer_headers(request.uri());
        let mut response = match self.gate.on_before_request(&lobby, request).await? {
            RequestGate::Admit(mut request) => {
                request.extensions_mut().insert(attachments.clone());
                self.instance().request(request, attachments).await?
            }
            RequestGate::Answer(response) => response,
        };
        self.settle().await?;
        response.headers_mut().extend(headers);
        let host = Arc::clone(&self.host);
        // Only the test moves the clock, so no timer ever fires.
        let sleep = |_| Box::pin(std::future::pending()) as BoxFuture<'static, ()>;
        Ok(ending(response, move || host.now(), sleep))
    }

    /// Opens a socket to a path with a query, through the gate.
    ///
    /// # Errors
    /// A hook's own, and when the path is no URI.
    pub async fn connect(&mut self, path: &str) -> Result<TestSocket> {
        let handshake = Handshake::new(());
        let (mut parts, ()) = handshake.into_parts();
        parts.uri = format!("http://test{path}").parse()?;
        self.connect_with(Handshake::from_parts(parts, ())).await
    }

    /// Opens a socket with a handshake of your own.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn connect_with(&mut self, mut handshake: Handshake) -> Result<TestSocket> {
        let lobby = self.lobby();
        let attachments = lobby.attachments().clone();
        handshake.extensions_mut().insert(attachments.clone());
        let mut handshake = match self.gate.on_before_connect(&lobby, handshake).await? {
            ConnectGate::Admit(handshake) => handshake,
            ConnectGate::Refuse(refusal) => return Ok(TestSocket::refused(refusal.close())),
        };
        handshake.extensions_mut().insert(attachments.clone());
        let tags = match self
            .instance()
            .connecting(&handshake, attachments.clone())
            .await?
        {
            Connecting::Admitted { tags } => tags,
            Connecting::Refused(refusal) => return Ok(TestSocket::refused(refusal.close())),
        };
        let key = self.host.next_key();
        let requested = requested_id(handshake.uri().query()).filter(|id| {
            let holders = self.host.connections();
            holders
                .iter()
                .filter(|holder| holder.id() == id)
                .all(|holder| may_share(&attachments, holder))
        });
        let id = requested.unwrap_or_else(|| format!("connection-{key}"));
        let record = ConnectionRecord {
            key,
            tags: std::iter::once(id.clone()).chain(tags).collect(),
            id,
            uri: handshake.uri().clone(),
            party: self.host.party.clone(),
            room: self.host.name.clone(),
            attachments,
            state: Mutex::new(None),
        };
        let state = Arc::new(Mutex::new(SocketState::default()));
        let port = Arc::new(MemorySocket {
            record,
            state: Arc::clone(&state),
            host: Arc::downgrade(&self.host),
        });
        lock(&self.host.sockets).push(Arc::clone(&port));
        let connection = Connection::from_port(port);
        let socket = TestSocket {
            connection: Some(connection.clone()),
            state,
        };
        let outcome = self.instance().connected(&connection, &handshake).await;
        closed_on_error(&connection, outcome)?;
        self.settle().await?;
        Ok(socket)
    }

    /// Sends a message from a client. It is not handled when the socket was
    /// refused or has ended.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn send(&mut self, socket: &TestSocket, message: impl Into<Message>) -> Result<()> {
        self.host.end_what_is_due();
        if let Some(connection) = socket
            .connection
            .clone()
            .filter(|_| socket.closed().is_none())
        {
            let outcome = self.instance().message(&connection, message.into()).await;
            closed_on_error(&connection, outcome)?;
        }
        self.settle().await
    }

    /// Closes a socket from the client's side.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn close(&mut self, socket: &TestSocket, code: u16, reason: &str) -> Result<()> {
        if let Some(connection) = &socket.connection {
            connection.close(code, reason.to_owned());
            let event = CloseEvent::clean(code, reason);
            let connection = connection.clone();
            self.instance().closed(&connection, event, None).await?;
        }
        self.settle().await
    }

    /// Moves the clock: sockets whose deadline has come are closed, and the
    /// alarm runs when it is due.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn advance(&mut self, time: Duration) -> Result<()> {
        *lock(&self.host.now) += time;
        self.host.end_what_is_due();
        let now = self.now();
        let due = lock(&self.host.alarm).take_if(|at| *at <= now);
        if due.is_some() {
            self.instance().alarm().await?;
        }
        self.settle().await
    }

    /// Puts the room to sleep: its server is dropped, its connections and
    /// storage stay. The next event makes a new server.
    pub fn hibernate(&mut self) {
        self.instance = None;
    }

    fn lobby(&self) -> Lobby {
        Lobby::new(&*self.host.party, &*self.host.name, self.now())
    }

    fn instance(&mut self) -> &mut Instance<S::Server> {
        let room = Room::from_port(self.host.clone());
        self.instance
            .get_or_insert_with(|| Instance::new((self.make)(), room))
    }

    /// Runs the tasks and events that hooks left behind.
    async fn settle(&mut self) -> Result<()> {
        loop {
            let task = lock(&self.host.tasks).pop_front();
            if let Some(task) = task {
                task.await;
                continue;
            }
            let event = lock(&self.host.events).pop_front();
            let Some(event) = event else { return Ok(()) };
            self.instance().event(event).await?;
        }
    }
}

impl TestSocket {
    fn refused(close: Option<&Close>) -> Self {
        let closed = close
            .cloned()
            .or_else(|| Some(Close::new(Close::POLICY, "")));
        let state = SocketState {
            closed,
            ..SocketState::default()
        };
        Self {
            connection: None,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The room's handle to the connection; `None` for a refused socket.
    pub fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// Takes what the client has received so far.
    pub fn received(&self) -> Vec<Message> {
        std::mem::take(&mut lock(&self.state).received)
    }

    /// The close frame that the client has received or sent.
    pub fn closed(&self) -> Option<Close> {
        lock(&self.state).closed.clone()
    }
}

struct MemoryRoom {
    party: Arc<str>,
    name: Arc<str>,
    now: Mutex<SystemTime>,
    sockets: Mutex<Vec<Arc<MemorySocket>>>,
    keys: Arc<MemoryKeys>,
    alarm: Mutex<Option<SystemTime>>,
    tasks: Mutex<VecDeque<BoxFuture<'static, ()>>>,
    events: Mutex<VecDeque<Value>>,
    locals: Locals,
}

impl MemoryRoom {
    fn next_key(&self) -> u64 {
        static KEYS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        KEYS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    fn end_what_is_due(&self) {
        let sockets = lock(&self.sockets).clone();
        for socket in sockets {
            socket.end_if_due();
        }
    }
}

impl RoomPort for MemoryRoom {
    fn party(&self) -> &str {
        &self.party
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn now(&self) -> SystemTime {
        *lock(&self.now)
    }

    fn locals(&self) -> &Locals {
        &self.locals
    }

    fn props(&self) -> Option<&Value> {
        None
    }

    fn connections(&self) -> Vec<Connection> {
        let sockets = lock(&self.sockets);
        sockets
            .iter()
            .map(|socket| Connection::from_port(socket.clone()))
            .collect()
    }

    fn broadcast(&self, message: &Message, without: &[&str]) {
        for connection in self.connections() {
            if !without.contains(&connection.id()) {
                // One that has ended meanwhile receives nothing.
                let _ = connection.send(message.clone());
            }
        }
    }

    fn storage(&self) -> Arc<dyn StoragePort> {
        self.keys.clone()
    }

    fn sql(&self) -> Arc<dyn SqlPort> {
        Arc::new(NoSql)
    }

    fn set_alarm(&self, at: Option<SystemTime>) -> BoxFuture<'_, Result<(), StorageError>> {
        *lock(&self.alarm) = at;
        Box::pin(std::future::ready(Ok(())))
    }

    fn alarm(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StorageError>> {
        let alarm = *lock(&self.alarm);
        Box::pin(std::future::ready(Ok(alarm)))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Nobody else moves the clock while a hook waits.
        *lock(&self.now) += duration;
        Box::pin(std::future::ready(()))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) {
        lock(&self.tasks).push_back(future);
    }

    fn post(&self, event: Value) {
        lock(&self.events).push_back(event);
    }
}

struct MemorySocket {
    record: ConnectionRecord,
    state: Arc<Mutex<SocketState>>,
    host: Weak<MemoryRoom>,
}

impl MemorySocket {
    fn end(&self, close: Close) {
        lock(&self.state).closed.get_or_insert(close);
        if let Some(host) = self.host.upgrade() {
            lock(&host.sockets).retain(|socket| socket.record.key != self.record.key);
        }
    }

    fn end_if_due(&self) {
        let Some(now) = self.host.upgrade().map(|host| host.now()) else {
            return;
        };
        let due = lock(&self.state)
            .deadline
            .clone()
            .filter(|(deadline, _)| *deadline <= now);
        if let Some((_, close)) = due {
            self.end(close);
        }
    }
}

impl ConnectionPort for MemorySocket {
    fn record(&self) -> &ConnectionRecord {
        &self.record
    }

    fn record_changed(&self) {
        // The record stays in memory.
    }

    fn is_admitted(&self) -> bool {
        self.end_if_due();
        lock(&self.state).closed.is_none()
    }

    fn send(&self, message: &Message) -> Result<(), SendError> {
        self.end_if_due();
        let mut state = lock(&self.state);
        if state.closed.is_some() {
            return Err(SendError);
        }
        state.received.push(message.clone());
        Ok(())
    }

    fn close(&self, close: Close) {
        self.end(close);
    }

    fn close_at(&self, deadline: SystemTime, close: Close) {
        {
            let mut state = lock(&self.state);
            if state
                .deadline
                .as_ref()
                .is_none_or(|(earlier, _)| deadline < *earlier)
            {
                state.deadline = Some((deadline, close));
            }
        }
        self.end_if_due();
    }

    fn revoke(&self, close: Close) {
        self.end(close);
    }
}

#[derive(Default)]
struct MemoryKeys(Mutex<BTreeMap<String, String>>);

impl StoragePort for MemoryKeys {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        let value = lock(&self.0).get(key).cloned();
        Box::pin(std::future::ready(Ok(value)))
    }

    fn keys<'a>(
        &'a self,
        prefix: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StorageError>> {
        let keys = lock(&self.0);
        let keys = keys
            .keys()
            .filter(|key| key.starts_with(prefix))
            .take(limit)
            .cloned()
            .collect();
        Box::pin(std::future::ready(Ok(keys)))
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        step: UpdateStep,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let mut keys = lock(&self.0);
        match step(keys.get(key).map(String::as_str)) {
            Change::Keep => {}
            Change::Put(text) => {
                keys.insert(key.to_owned(), text);
            }
            Change::Delete => {
                keys.remove(key);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A room under test has no SQL: use a real host for that.
struct NoSql;

impl SqlPort for NoSql {
    fn execute<'a>(
        &'a self,
        _: &'a str,
        _: Vec<SqlValue>,
    ) -> BoxFuture<'a, Result<Rows, SqlError>> {
        let error = StorageError::Unavailable("a test room has no SQL".into());
        Box::pin(std::future::ready(Err(error.into())))
    }
}

/// A host closes the connection whose hook failed.
fn closed_on_error(connection: &Connection, outcome: Result<()>) -> Result<()> {
    if outcome.is_err() {
        connection.close(Close::INTERNAL_ERROR, "");
    }
    outcome
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
