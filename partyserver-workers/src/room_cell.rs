//! One room in memory: its server, one turn at a time.
//!
//! Each event of the object becomes a task. Whatever a panic can leave behind is
//! known to the task's last words too: the turn, and the connection that joined.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::StatusCode;
use partyserver::host::{ConnectionRecord, failure_text, may_share, requested_id};
use partyserver::instance::{Connecting, Instance};
use partyserver::{
    Attachments, BoxFuture, Close, CloseEvent, Connection, Error, Handshake, Hibernation,
    PartyOptions, Refusal, Response, Room, Server, text,
};
use wasm_bindgen::{JsCast, JsValue};
use worker_sys::types::WebSocketPair;

use crate::failure::Failure;
use crate::finish::Finish;
use crate::handoff::HandOff;
use crate::js::{self, Socket, random_id};
use crate::party::{AnyParty, Party, limited};
use crate::room::ObjectRoom;
use crate::socket::Conn;
use crate::task;
use crate::time::now_millis;
use crate::turns::Turn;
use crate::{http as to_http, socket};

/// A room of any server.
pub(crate) trait AnyRoom {
    fn handle(self: Rc<Self>, handoff: HandOff, body: Vec<u8>, object: JsValue);
    fn message(self: Rc<Self>, socket: Socket, data: JsValue);
    fn closed(self: Rc<Self>, socket: Socket, event: CloseEvent, error: Option<Error>);
    fn alarm(self: Rc<Self>);
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
        turn: &Turn,
        body: impl for<'i> FnOnce(&'i mut Instance<S>) -> BoxFuture<'i, R>,
    ) -> Result<R, Failure<'static>> {
        turn.begin().await;
        self.room.restore().await;
        // Taken out, so that a panic leaves nothing half done behind.
        let instance = self.instance.take();
        let mut instance = instance.unwrap_or_else(|| {
            let room = Room::from_port(self.room.clone());
            Instance::new((self.party.factory)(), room)
        });
        let outcome = limited(self.options().turn_limit(), body(&mut instance)).await;
        if outcome.is_some() {
            *self.instance.borrow_mut() = Some(instance);
        }
        self.room.settle_deadlines().await;
        turn.end();
        outcome.ok_or(Failure::TimedOut)
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

    async fn request(&self, turn: &Turn, handoff: HandOff, body: Vec<u8>) -> Response {
        let attachments = handoff.attachments.clone();
        let request = handoff.into_request(body.into());
        let outcome = self
            .turn(turn, |instance| {
                Box::pin(instance.request(request, attachments))
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
        turn: &Turn,
        handoff: HandOff,
        joined: &Rc<OnceCell<Joined>>,
        object: JsValue,
    ) -> Result<(), Refusal> {
        let attachments = handoff.attachments.clone();
        let handshake = handoff.into_handshake();
        let (cell, joining) = (Rc::clone(self), Rc::clone(joined));
        let outcome = self
            .turn(turn, move |instance| {
                Box::pin(async move {
                    let tags = match instance.connecting(&handshake, attachments.clone()).await? {
                        Connecting::Admitted { tags } => tags,
                        Connecting::Refused(refusal) => return Ok(Some(refusal)),
                    };
                    if cell.room.open().len() >= cell.options().max_connections_per_room() {
                        return Ok(Some(at_capacity()));
                    }
                    let conn = cell.join(&handshake, attachments, tags, &joining, &object)?;
                    // From here on the connection is closed by what goes wrong.
                    instance.connected(&conn.handle(), &handshake).await?;
                    Ok(None)
                })
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
            (Ok(()), None) => to_http::response(text(StatusCode::INTERNAL_SERVER_ERROR, "")),
            (Err(refusal), _) => refuse(refusal, protocol, finish),
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
            key: fresh_key(),
            tags: std::iter::once(id.clone()).chain(tags).collect(),
            id,
            uri: handshake.uri().clone(),
            party: self.room.party_name(),
            room: self.room.room_name(),
            attachments,
            state: std::sync::Mutex::new(None),
        };
        let (client, server) = pair().map_err(Error::msg)?;
        let hibernates = matches!(self.options().hibernation(), Hibernation::After(_));
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
    fn handle(self: Rc<Self>, handoff: HandOff, body: Vec<u8>, object: JsValue) {
        let turn = self.room.turns.turn();
        let (held, cell) = (Rc::clone(&turn), Rc::clone(&self));
        let finish = handoff.finish(self.party.cors());
        let panic_finish = finish.clone();
        if !handoff.is_upgrade {
            return task::offer(
                async move {
                    let answer = self.request(&turn, handoff, body).await;
                    to_http::response(finish.apply(answer))
                },
                move |panic| {
                    held.end();
                    let answer = cell.answer(&Failure::Panicked(panic));
                    to_http::response(panic_finish.apply(answer))
                },
            );
        }
        let joined = Rc::new(OnceCell::new());
        let panic_joined = Rc::clone(&joined);
        let protocol = handoff.protocol.clone();
        let panic_protocol = protocol.clone();
        task::offer(
            async move {
                let outcome = self.connect(&turn, handoff, &joined, object).await;
                self.answer_upgrade(outcome, &joined, protocol.as_deref(), &finish)
            },
            move |panic| {
                held.end();
                let outcome = cell.connect_failed(&panic_joined, &Failure::Panicked(panic));
                let protocol = panic_protocol.as_deref();
                cell.answer_upgrade(outcome, &panic_joined, protocol, &panic_finish)
            },
        )
    }

    fn message(self: Rc<Self>, socket: Socket, data: JsValue) {
        let turn = self.room.turns.turn();
        let (held, cell, from) = (Rc::clone(&turn), Rc::clone(&self), socket.clone());
        let work = async move {
            let room = Arc::clone(&self.room);
            let max_message = self.options().max_message();
            let sender = socket.clone();
            let outcome = self
                .turn(&turn, move |instance| {
                    Box::pin(async move {
                        // It may have been closed while it waited for its turn.
                        let Some(conn) = room.find(&socket).filter(|conn| conn.is_admitted())
                        else {
                            return Ok(());
                        };
                        let message = socket::decode(&data);
                        if message.as_bytes().len() > max_message {
                            let connection = conn.handle();
                            connection.close(Close::TOO_LARGE, "the message is too large");
                            return Ok(());
                        }
                        instance.message(&conn.handle(), message).await
                    })
                })
                .await;
            let connection = self.room.find(&sender).map(|conn| conn.handle());
            if let Err(id) = self.log_outcome(outcome, connection.as_ref())
                && let Some(connection) = connection
            {
                connection.close(Close::INTERNAL_ERROR, failure_text(&id));
            }
            JsValue::NULL
        };
        task::offer(work, move |panic| {
            held.end();
            let connection = cell.room.find(&from).map(|conn| conn.handle());
            let id = cell.log(&Failure::Panicked(panic), connection.as_ref());
            if let Some(connection) = connection {
                connection.close(Close::INTERNAL_ERROR, failure_text(&id));
            }
            JsValue::NULL
        })
    }

    fn closed(self: Rc<Self>, socket: Socket, event: CloseEvent, error: Option<Error>) {
        let turn = self.room.turns.turn();
        let (held, cell, ended) = (Rc::clone(&turn), Rc::clone(&self), socket.clone());
        answer_close(&socket, &event);
        // From now on it is not among the room's connections.
        let is_to_be_told = self.room.find(&socket).map(|conn| conn.gone());
        let work = async move {
            let room = Arc::clone(&self.room);
            let closed = socket.clone();
            let outcome = self
                .turn(&turn, move |instance| {
                    Box::pin(async move {
                        let Some(conn) = room.find(&closed) else {
                            return Ok(());
                        };
                        // Before a restored connection was found it could not be told.
                        if is_to_be_told.unwrap_or_else(|| conn.gone()) {
                            let connection = conn.handle();
                            return instance.closed(&connection, event, error.as_ref()).await;
                        }
                        Ok(())
                    })
                })
                .await;
            let conn = self.room.find(&socket);
            let connection = conn.as_ref().map(|conn| conn.handle());
            // Nobody is left to be told of a failure; it is in the log.
            let _ = self.log_outcome(outcome, connection.as_ref());
            if let Some(conn) = conn {
                self.room.leave(&conn);
            }
            JsValue::NULL
        };
        task::offer(work, move |panic| {
            held.end();
            let conn = cell.room.find(&ended);
            let connection = conn.as_ref().map(|conn| conn.handle());
            cell.log(&Failure::Panicked(panic), connection.as_ref());
            if let Some(conn) = conn {
                cell.room.leave(&conn);
            }
            JsValue::NULL
        })
    }

    fn alarm(self: Rc<Self>) {
        let turn = self.room.turns.turn();
        let (held, cell) = (Rc::clone(&turn), Rc::clone(&self));
        let work = async move {
            self.room.fired();
            self.room.restore().await;
            // Deadlines first: they never wait for a hook.
            self.room.open();
            if self.room.begin_user_alarm().await {
                let hook = Box::pin(self.turn(&turn, |instance| Box::pin(instance.alarm())));
                let deadlines = Box::pin(self.room.keep_deadlines());
                let outcome = match select(hook, deadlines).await {
                    Either::Left((outcome, _)) => outcome,
                    Either::Right((never, _)) => match never {},
                };
                let is_done = self.log_outcome(outcome, None).is_ok();
                self.room.end_user_alarm(is_done).await;
            }
            self.room.settle_deadlines().await;
            JsValue::NULL
        };
        task::offer(work, move |panic| {
            held.end();
            cell.log(&Failure::Panicked(panic), None);
            let room = Arc::clone(&cell.room);
            task::spawn(async move {
                room.end_user_alarm(false).await;
                room.settle_deadlines().await;
            });
            JsValue::NULL
        })
    }

    fn drain(self: Rc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            while let Some(event) = self.room.next_event() {
                let turn = self.room.turns.turn();
                let (cell, held) = (Rc::clone(&self), Rc::clone(&turn));
                let one = Rc::clone(&self);
                // A task of its own for each, so that a panic ends only that one.
                task::run(
                    async move {
                        let outcome = one
                            .turn(&turn, |instance| Box::pin(instance.event(event)))
                            .await;
                        // Nobody is left to be told of a failure; it is in the log.
                        let _ = one.log_outcome(outcome, None);
                    },
                    move |panic| {
                        held.end();
                        cell.log(&Failure::Panicked(panic), None);
                    },
                )
                .await;
            }
        })
    }
}

/// Refuses an upgrade: by a close frame where the refusal has one, else by its
/// HTTP answer.
pub(crate) fn refuse(refusal: Refusal, protocol: Option<&str>, finish: &Finish) -> JsValue {
    if let Some(close) = refusal.close()
        && let Ok((client, server)) = pair()
        && server.accept().is_ok()
        && server.close(close.code(), close.reason()).is_ok()
    {
        return js::upgrade(&client, protocol).into();
    }
    to_http::response(finish.apply(refusal.into_response()))
}

/// The two ends of a new socket: the client's and ours.
fn pair() -> Result<(JsValue, Socket), String> {
    let make = || {
        let mut pair = WebSocketPair::new()?;
        Ok((pair.client()?.into(), pair.server()?.unchecked_into()))
    };
    make().map_err(|thrown: JsValue| js::error_text(&thrown))
}

/// The platform leaves the answer to a close frame to the object.
fn answer_close(socket: &Socket, event: &CloseEvent) {
    if socket.ready_state() == CLOSING && event.clean {
        // It fails only when the socket is closed by now.
        let _ = match event.code {
            1005 => socket.close_without_code(),
            code => socket.close(code, &event.reason),
        };
    }
}

/// A connection's own id: unique in its room, also over the object's sleep, and
/// greater than those before it.
fn fresh_key() -> u64 {
    use std::cell::Cell;
    thread_local! {
        static LAST: Cell<u64> = const { Cell::new(0) };
    }
    let key = (now_millis() * KEYS_PER_MILLI).max(LAST.get() + 1);
    LAST.set(key);
    key
}

fn at_capacity() -> Refusal {
    let answer = text(StatusCode::SERVICE_UNAVAILABLE, "The room is full");
    let close = Close::new(Close::TRY_AGAIN_LATER, "the room is full");
    Refusal::closing(answer, close)
}

const CLOSING: u16 = 2;
/// Keys stay below 2^53, which is as far as JavaScript counts.
const KEYS_PER_MILLI: u64 = 1024;
