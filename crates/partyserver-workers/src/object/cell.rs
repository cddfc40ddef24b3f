//! One room in memory: its server, one turn at a time.
//!
//! Each event of the object becomes a task. Whatever a panic can leave behind is
//! known to the task's last words too: the turn, and the connection that joined.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::StatusCode;
use partyserver::host::{ConnectionPort, ConnectionRecord, failure_text, may_share, requested_id};
use partyserver::instance::{Connecting, Instance};
use partyserver::{
    Attachments, BoxFuture, Close, CloseEvent, Connection, Error, Handshake, Hibernation,
    PartyOptions, Refusal, Response, Room, Server, StorageError, answer,
};
use wasm_bindgen::{JsCast, JsValue};

use crate::arrival::{Arrived, is_full, too_large};
use crate::failure::Failure;
use crate::finish::Finish;
use crate::handoff::HandOff;
use crate::js::{self, Socket, random_id};
use crate::party::{AnyParty, Party, limited};
use crate::room::ObjectRoom;
use crate::socket::Conn;
use crate::task::Event;
use crate::turns::Turn;
use crate::{http as to_http, refusal, socket};

/// A room of any server.
pub(crate) trait AnyRoom {
    /// Whether it is this one.
    fn is(&self, party: &str, room: &str) -> bool;
    fn handle(self: Rc<Self>, handoff: HandOff, body: Vec<u8>, object: JsValue) -> Event;
    fn max_message(&self) -> usize;
    /// Begins to handle a message. `key` is the connection's, unless the socket has
    /// yet to be restored.
    fn message(
        self: Rc<Self>,
        key: Option<u64>,
        socket: Socket,
        data: JsValue,
        length: usize,
        text: Option<String>,
    ) -> JsValue;
    fn closed(
        self: Rc<Self>,
        key: Option<u64>,
        socket: Socket,
        event: CloseEvent,
        error: Option<Error>,
    ) -> Event;
    /// Answers `true` when all that was due is done.
    fn alarm(self: Rc<Self>) -> Event;
    /// Hands over posted events until there are none.
    fn drain(self: Rc<Self>) -> BoxFuture<'static, ()>;
}

/// A room: its server, when it is awake, and its turns.
pub(crate) struct RoomCell<S> {
    party: Rc<Party<S>>,
    room: Arc<ObjectRoom>,
    instance: RefCell<Option<Instance<S>>>,
}

impl<S: Server> RoomCell<S> {
    pub(crate) fn of(party: Rc<Party<S>>, room: Arc<ObjectRoom>) -> Rc<dyn AnyRoom> {
        let cell: Rc<dyn AnyRoom> = Rc::new(Self {
            party,
            room: Arc::clone(&room),
            instance: RefCell::new(None),
        });
        room.bind(Rc::downgrade(&cell) as Weak<dyn AnyRoom>);
        cell
    }

    /// Runs one turn. A panic or a turn past its limit ends the server's value.
    async fn turn<R>(
        &self,
        turn: &Rc<Turn>,
        body: impl AsyncFnOnce(&mut Instance<S>) -> R,
    ) -> Result<R, Failure<'static>> {
        turn.begin().await;
        self.room.restore().await;
        // Taken out, so that a panic leaves nothing half done behind.
        let instance = self.instance.take();
        let mut instance = instance.unwrap_or_else(|| {
            let room = Room::from_port(self.room.clone());
            Instance::new((self.party.factory)(), room)
        });
        let outcome = limited(self.options().turn_limit, body(&mut instance)).await;
        if outcome.is_some() {
            *self.instance.borrow_mut() = Some(instance);
        }
        // After an error it tries again by itself.
        let _ = self.room.settle_deadlines().await;
        turn.end();
        outcome.ok_or(Failure::TimedOut)
    }

    /// What every panic in a turn leaves to be done.
    fn panicked(&self, turn: &Turn) {
        turn.end();
        self.room.settle_soon();
    }

    /// What the room does by itself: a task of its own, so that a panic ends nothing
    /// else. Nobody is told of a failure; it is in the log.
    fn beside(
        self: &Rc<Self>,
        body: impl AsyncFnOnce(&mut Instance<S>) -> Result<(), Error> + 'static,
    ) -> Event {
        let turn = self.room.turns.turn();
        let (cell, held) = (Rc::clone(self), Rc::clone(&turn));
        let panic_cell = Rc::clone(self);
        let work = async move {
            let outcome = cell.turn(&turn, body).await;
            let _ = cell.log_outcome(outcome, None);
        };
        Event::silent(work, move |panic| {
            panic_cell.panicked(&held);
            panic_cell.log(&Failure::Panicked(panic), None);
        })
    }

    /// Runs the alarm of the room's code, if it is still due at its turn. Deadlines
    /// are kept meanwhile.
    async fn ring(self: &Rc<Self>) -> Result<(), StorageError> {
        let is_done = Rc::new(Cell::new(false));
        let (room, done) = (Arc::clone(&self.room), Rc::clone(&is_done));
        let hook = self.beside(async move |instance| {
            if room.begin_user_alarm().await? {
                instance.alarm().await?;
            }
            done.set(true);
            Ok(())
        });
        let hook = std::pin::pin!(hook.run());
        let deadlines = std::pin::pin!(self.room.keep_deadlines());
        match select(hook, deadlines).await {
            Either::Left(((), _)) => {}
            Either::Right((never, _)) => match never {},
        }
        self.room.end_user_alarm(is_done.get()).await
    }

    fn options(&self) -> &PartyOptions {
        self.party.options_of()
    }

    fn log(&self, failure: &Failure<'_>, connection: Option<&Connection>) -> String {
        let (party, room) = (self.room.party_name(), self.room.room_name());
        failure.log(&party, &room, connection)
    }

    /// Logs what failed; returns the id that it is logged with.
    fn log_outcome(
        &self,
        outcome: Result<Result<(), Error>, Failure<'_>>,
        connection: Option<&Connection>,
    ) -> Result<(), String> {
        let failure = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Failure::Hook(error),
            Err(failure) => failure,
        };
        Err(self.log(&failure, connection))
    }

    fn answer(&self, failure: &Failure<'_>) -> Response {
        let (party, room) = (self.room.party_name(), self.room.room_name());
        failure.to_response(&party, &room)
    }

    async fn request(&self, turn: &Rc<Turn>, handoff: HandOff, body: Vec<u8>) -> Response {
        let attachments = handoff.attachments.clone();
        let request = handoff.into_request(body.into());
        let outcome = self
            .turn(turn, async |instance| {
                instance.request(request, attachments).await
            })
            .await;
        match outcome {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => self.answer(&Failure::Hook(error)),
            Err(failure) => self.answer(&failure),
        }
    }

    /// Makes a connection of a handshake, in one turn: nothing comes between the
    /// room's decision and the connection's place in it.
    async fn connect(
        self: &Rc<Self>,
        turn: &Rc<Turn>,
        handoff: HandOff,
        joined: &OnceCell<Joined>,
        object: JsValue,
    ) -> Result<(), Refusal> {
        let attachments = handoff.attachments.clone();
        let handshake = handoff.into_handshake();
        let outcome = self
            .turn(turn, async |instance| {
                let tags = match instance.connecting(&handshake, attachments.clone()).await? {
                    Connecting::Admitted { tags } => tags,
                    Connecting::Refused(refusal) => return Ok(Some(refusal)),
                };
                if self.room.open().len() >= self.options().max_connections_per_room {
                    return Ok(Some(at_capacity()));
                }
                let conn = self.join(&handshake, attachments, tags, joined, &object)?;
                if !conn.is_admitted() {
                    return Err(Error::msg("the connection can't be kept"));
                }
                // From here on the connection is closed by what goes wrong.
                instance.connected(&conn.handle(), &handshake).await?;
                Ok(None)
            })
            .await;
        let failure = match outcome {
            Ok(Ok(Some(refusal))) => return Err(refusal),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => Failure::Hook(error),
            Err(failure) => failure,
        };
        self.connect_failed(joined, &failure)
    }

    /// A connection that has joined is told by its close; a handshake that has
    /// not is refused.
    fn connect_failed(
        &self,
        joined: &OnceCell<Joined>,
        failure: &Failure<'_>,
    ) -> Result<(), Refusal> {
        if let Some(joined) = joined.get() {
            let connection = joined.conn.handle();
            let id = self.log(failure, Some(&connection));
            connection.close(Close::INTERNAL_ERROR, failure_text(&id));
            return Ok(());
        }
        let (party, room) = (self.room.party_name(), self.room.room_name());
        Err(failure.to_refusal(&party, &room))
    }

    /// The 101 of a socket that joined, or was refused with a close frame; else
    /// the refusal in HTTP.
    fn answer_upgrade(
        &self,
        outcome: Result<(), Refusal>,
        joined: &OnceCell<Joined>,
        protocol: Option<&str>,
        finish: &Finish,
    ) -> JsValue {
        match (outcome, joined.get()) {
            (Ok(()), Some(joined)) => js::upgrade(&joined.client, protocol).into(),
            (Ok(()), None) => {
                to_http::response(answer::text(StatusCode::INTERNAL_SERVER_ERROR, ""))
            }
            (Err(refusal), _) => refusal::pass_on(refusal, finish),
        }
    }

    /// The id a newcomer gets: the one it asks for, unless a stranger holds it.
    fn public_id(&self, handshake: &Handshake, attachments: &Attachments) -> String {
        let requested = requested_id(handshake.uri().query()).filter(|id| {
            let mut open = self.room.open();
            open.retain(|conn| conn.as_record().id == *id);
            open.iter()
                .all(|conn| may_share(attachments, &conn.handle()))
        });
        requested.unwrap_or_else(random_id)
    }

    fn join(
        &self,
        handshake: &Handshake,
        attachments: Attachments,
        tags: Vec<String>,
        joined: &OnceCell<Joined>,
        object: &JsValue,
    ) -> Result<Arc<Conn>, Error> {
        let id = self.public_id(handshake, &attachments);
        let record = ConnectionRecord {
            key: self.room.next_key(),
            tags: std::iter::once(id.clone()).chain(tags).collect(),
            id,
            uri: handshake.uri().clone(),
            party: self.room.party_name(),
            room: self.room.room_name(),
            attachments,
            state: std::sync::Mutex::new(None),
        };
        let (client, server) = socket::pair().map_err(Error::msg)?;
        let hibernates = matches!(self.options().hibernation, Hibernation::After(_));
        if hibernates {
            self.room
                .state()
                .accept_websocket(server.unchecked_ref())
                .map_err(|thrown| Error::msg(js::error_text(&thrown)))?;
        } else {
            server
                .accept()
                .map_err(|thrown| Error::msg(js::error_text(&thrown)))?;
            js::listen(object, &server);
        }
        let room = Arc::downgrade(&self.room);
        let conn = Conn::new(record, server, room, hibernates, None);
        conn.store();
        self.room.join(Arc::clone(&conn));
        // Once per handshake, so it is not set already.
        let _ = joined.set(Joined {
            conn: Arc::clone(&conn),
            client,
        });
        Ok(conn)
    }
}

/// A connection that has joined, and its client's end.
struct Joined {
    conn: Arc<Conn>,
    client: JsValue,
}

impl<S: Server> AnyRoom for RoomCell<S> {
    fn is(&self, party: &str, room: &str) -> bool {
        *self.room.party_name() == *party && *self.room.room_name() == *room
    }

    fn handle(self: Rc<Self>, handoff: HandOff, body: Vec<u8>, object: JsValue) -> Event {
        let turns = &self.room.turns;
        let bytes = body.len() + handoff.length;
        let turn = turns.turn_with(bytes, vec![Rc::clone(turns.load())]);
        let finish = handoff.finish(self.party.cors());
        if is_full(turns, bytes) {
            let answer = refusal::pass_on(refusal::try_again("The room is overloaded"), &finish);
            return Event::new(std::future::ready(answer), |_| JsValue::NULL);
        }
        let (held, cell) = (Rc::clone(&turn), Rc::clone(&self));
        let panic_finish = finish.clone();
        if !handoff.is_upgrade {
            return Event::new(
                async move {
                    let answer = self.request(&turn, handoff, body).await;
                    to_http::response(finish.apply(answer))
                },
                move |panic| {
                    cell.panicked(&held);
                    let answer = cell.answer(&Failure::Panicked(panic));
                    to_http::response(panic_finish.apply(answer))
                },
            );
        }
        let joined = Rc::new(OnceCell::new());
        let panic_joined = Rc::clone(&joined);
        let protocol = handoff.protocol.clone();
        let panic_protocol = protocol.clone();
        Event::new(
            async move {
                let outcome = self.connect(&turn, handoff, &joined, object).await;
                self.answer_upgrade(outcome, &joined, protocol.as_deref(), &finish)
            },
            move |panic| {
                cell.panicked(&held);
                let outcome = cell.connect_failed(&panic_joined, &Failure::Panicked(panic));
                let protocol = panic_protocol.as_deref();
                cell.answer_upgrade(outcome, &panic_joined, protocol, &panic_finish)
            },
        )
    }

    fn max_message(&self) -> usize {
        self.options().max_message
    }

    fn message(
        self: Rc<Self>,
        key: Option<u64>,
        socket: Socket,
        data: JsValue,
        length: usize,
        text: Option<String>,
    ) -> JsValue {
        let known = self.room.find(key, &socket);
        // What has ended, or was never restored, takes no turn.
        if self.room.is_restored() && !known.as_ref().is_some_and(|conn| conn.is_read()) {
            return JsValue::NULL;
        }
        let turns = &self.room.turns;
        let message = (data, text);
        let arrived = Arrived::of(message, length, known.as_deref(), turns, self.options());
        let turn = arrived.turn(length, known.as_deref(), turns);
        let sender = Rc::new(OnceCell::new());
        if let Some(conn) = &known {
            // Once per message, so it is not set already.
            let _ = sender.set(conn.handle());
        }
        let (held, cell, told) = (Rc::clone(&turn), Rc::clone(&self), Rc::clone(&sender));
        let work = async move {
            let outcome = self
                .turn(&turn, async |instance| {
                    let Some(conn) = known.or_else(|| self.room.find(key, &socket)) else {
                        return Ok(());
                    };
                    let connection = sender.get_or_init(|| conn.handle());
                    // It may have been closed while it waited for its turn.
                    if !conn.is_admitted() {
                        return Ok(());
                    }
                    let message = match arrived {
                        Arrived::Message(data, text) => socket::decode(data, text),
                        Arrived::Refused(close) => {
                            conn.close(close);
                            return Ok(());
                        }
                    };
                    if message.as_bytes().len() > self.options().max_message {
                        conn.close(too_large());
                        return Ok(());
                    }
                    instance.message(connection, message).await
                })
                .await;
            socket::forget_received();
            if let Err(id) = self.log_outcome(outcome, sender.get())
                && let Some(connection) = sender.get()
            {
                connection.close(Close::INTERNAL_ERROR, failure_text(&id));
            }
            JsValue::NULL
        };
        let last_words = move |panic: &str| {
            cell.panicked(&held);
            let id = cell.log(&Failure::Panicked(panic), told.get());
            if let Some(connection) = told.get() {
                connection.close(Close::INTERNAL_ERROR, failure_text(&id));
            }
            JsValue::NULL
        };
        Event::new(work, last_words).begin()
    }

    fn closed(
        self: Rc<Self>,
        key: Option<u64>,
        socket: Socket,
        event: CloseEvent,
        error: Option<Error>,
    ) -> Event {
        let turn = self.room.turns.turn();
        let ended = Rc::new(OnceCell::<Arc<Conn>>::new());
        let (held, cell, known) = (Rc::clone(&turn), Rc::clone(&self), Rc::clone(&ended));
        let work = async move {
            let outcome = self
                .turn(&turn, async |instance| {
                    // What it sent before has been handled, and answered.
                    socket.answer_close(&event);
                    let Some(conn) = self.room.find(key, &socket) else {
                        return Ok(());
                    };
                    let conn = ended.get_or_init(|| conn);
                    if !conn.gone() {
                        return Ok(());
                    }
                    let connection = conn.handle();
                    instance.closed(&connection, event, error.as_ref()).await
                })
                .await;
            let connection = ended.get().map(|conn| conn.handle());
            // Nobody is left to be told of a failure; it is in the log.
            let _ = self.log_outcome(outcome, connection.as_ref());
            if let Some(conn) = ended.get() {
                self.room.leave(conn);
            }
        };
        Event::silent(work, move |panic| {
            cell.panicked(&held);
            let connection = known.get().map(|conn| conn.handle());
            cell.log(&Failure::Panicked(panic), connection.as_ref());
            if let Some(conn) = known.get() {
                cell.room.leave(conn);
            }
        })
    }

    fn alarm(self: Rc<Self>) -> Event {
        let work = async move {
            self.room.fired();
            self.room.restore().await;
            // Deadlines first: they never wait for a hook.
            self.room.open();
            let rung = match self.room.is_user_alarm_due().await {
                Ok(true) => self.ring().await,
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = rung {
                let party = self.room.party_name();
                tracing::error!(%party, %error, "what came of an alarm can't be stored");
                // It is still due: the platform tries it again.
                let _ = self.room.settle_without_user_alarm().await;
                return JsValue::FALSE;
            }
            JsValue::from_bool(self.room.settle_deadlines().await.is_ok())
        };
        Event::new(work, |_| JsValue::FALSE)
    }

    fn drain(self: Rc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            while let Some(event) = self.room.posted.next() {
                self.beside(async |instance| instance.event(event).await)
                    .run()
                    .await;
            }
        })
    }
}

fn at_capacity() -> Refusal {
    let answer = answer::text(StatusCode::SERVICE_UNAVAILABLE, "The room is full");
    let close = Close::new(Close::TRY_AGAIN_LATER, "the room is full");
    Refusal::closing(answer, close)
}
