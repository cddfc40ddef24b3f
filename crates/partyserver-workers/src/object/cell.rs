//! One room in memory: its server, one turn at a time.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures_util::future::{Either, select};
use partyserver::host::ConnectionPort;
use partyserver::host::admission::Newcomer;
use partyserver::host::closing::message_too_large;
use partyserver::host::failure::Failure;
use partyserver::host::gate::{AnyGate, Gate};
use partyserver::host::instance::Instance;
use partyserver::host::life::Rest;
use partyserver::host::{at_capacity, escaped};
use partyserver::{
    CloseEvent, Error, Hibernation, PartyOptions, Result, Room, Server, StorageError,
};
use serde_json::Value;
use wasm_bindgen::JsValue;
use worker_sys::types::DurableObjectState;

use super::arrival::{Arrived, is_full};
use super::connection::Conn;
use super::event::{Answered, Ending, Handled, Left, Rung, Unheard};
use super::port::Port;
use super::room::ObjectRoom;
use super::turns::Turn;
use super::upgrade::{Entered, Entrance, pass_on};
use super::wire;
use crate::handoff::HandOff;
use crate::platform::http as to_http;
use crate::platform::js::Socket;
use crate::platform::task::Event;
use crate::platform::time::limited;
use crate::room::AnyRoom;

/// A room: its server, while it is awake, and its turns.
pub(crate) struct RoomCell<S> {
    gate: Rc<Gate<S>>,
    factory: Rc<dyn Fn() -> S>,
    room: Rc<ObjectRoom>,
    port: Arc<Port>,
    instance: RefCell<Option<Instance<S>>>,
}

/// Events that come from the room itself.
pub(super) trait OwnEvents {
    /// Handles an event that the room's code has posted.
    fn posted(self: Rc<Self>, event: Value) -> Event;
    /// Tells the room of the end of a connection whose client has not answered.
    fn unanswered(self: Rc<Self>, conn: &Conn) -> Event;
}

impl<S: Server> RoomCell<S> {
    pub(crate) fn of(
        gate: Rc<Gate<S>>,
        factory: Rc<dyn Fn() -> S>,
        name: Arc<str>,
        state: DurableObjectState,
    ) -> Rc<dyn AnyRoom> {
        Rc::new_cyclic(|cell: &Weak<Self>| {
            let own_events = || Weak::clone(cell) as Weak<dyn OwnEvents>;
            let (party, props) = (gate.name().clone(), gate.options().props.clone());
            let room = ObjectRoom::new(party, name, state, own_events());
            Self {
                port: Port::new(Rc::clone(&room), props, own_events()),
                gate,
                factory,
                room,
                instance: RefCell::default(),
            }
        })
    }

    /// An event: a task, whose hooks run in its turn. It is concluded exactly once,
    /// even after a panic.
    fn event<T: 'static, E: Ending<T> + 'static>(
        self: Rc<Self>,
        turn: Rc<Turn>,
        ending: E,
        hooks: impl AsyncFnOnce(&Self, &mut Instance<S>, &E) -> Result<T> + 'static,
    ) -> Event {
        let known = Rc::new((self, turn, ending));
        let after_panic = Rc::clone(&known);
        Event::new(
            async move {
                let (cell, turn, ending) = &*known;
                let hooks = async |instance: &mut _| hooks(cell, instance, ending).await;
                ending.conclude(&cell.room, cell.turn(turn, hooks).await)
            },
            move |panic| {
                let (cell, turn, ending) = &*after_panic;
                turn.end();
                cell.room.alarm.settle_soon();
                ending.conclude(&cell.room, Err(Failure::Panicked(panic)))
            },
        )
    }

    /// Runs one turn. A panic, or a turn past its limit, drops the server's value.
    async fn turn<R>(
        &self,
        turn: &Rc<Turn>,
        hooks: impl AsyncFnOnce(&mut Instance<S>) -> R,
    ) -> Result<R, Failure> {
        turn.begin().await;
        self.room.restore().await;
        // Taken out, so that a panic can't leave it half changed.
        let instance = self.instance.take();
        let mut instance = instance.unwrap_or_else(|| {
            let room = Room::from_port(Arc::clone(&self.port) as _);
            Instance::new((self.factory)(), room)
        });
        let outcome = limited(self.options().turn_limit, hooks(&mut instance)).await;
        if outcome.is_some() {
            *self.instance.borrow_mut() = Some(instance);
        }
        // After an error it tries again by itself.
        let _ = self.room.alarm.settle().await;
        turn.end();
        outcome.ok_or(Failure::TimedOut)
    }

    fn options(&self) -> &PartyOptions {
        self.gate.options()
    }

    /// Runs the alarm of the room's code, if it is due. What could not be stored of an
    /// earlier run comes first.
    async fn ring_if_due(self: &Rc<Self>) -> Result<(), StorageError> {
        let alarm = &self.room.alarm;
        if let Some(is_done) = alarm.unstored() {
            alarm.end(is_done).await?;
        }
        if alarm.due().await? {
            self.ring().await?;
        }
        Ok(())
    }

    /// Runs the alarm of the room's code, in a task of its own, so that a panic ends
    /// nothing else. Deadlines are kept meanwhile.
    async fn ring(self: &Rc<Self>) -> Result<(), StorageError> {
        let is_done = Rc::new(Cell::new(false));
        let (cell, turn) = (Rc::clone(self), self.room.turns.turn());
        let ending = Rung(Rc::clone(&is_done));
        let hook = cell.event(turn, ending, async |cell, instance, _| {
            if cell.room.alarm.begin() {
                instance.alarm().await?;
            }
            Ok(())
        });
        let hook = std::pin::pin!(hook.run());
        let deadlines = std::pin::pin!(self.room.alarm.deadlines.keep());
        match select(hook, deadlines).await {
            Either::Left(((), _)) => {}
            Either::Right((never, _)) => match never {},
        }
        self.room.alarm.end(is_done.get()).await
    }

    fn enter(
        self: Rc<Self>,
        turn: Rc<Turn>,
        ending: Entered,
        handoff: HandOff,
        object: JsValue,
    ) -> Event {
        let attachments = handoff.attachments.clone();
        let handshake = handoff.into_handshake();
        self.event(
            turn,
            ending,
            async move |cell, instance, entered: &Entered| {
                let options = cell.options();
                let door = Entrance {
                    room: &cell.room,
                    hibernates: matches!(options.hibernation, Hibernation::After(_)),
                    object,
                };
                let most = options.max_connections_per_room;
                let newcomer = &entered.newcomer;
                newcomer
                    .enter(instance, &door, most, &handshake, attachments)
                    .await
            },
        )
    }
}

impl<S: Server> AnyRoom for RoomCell<S> {
    fn is(&self, party: &str, room: &str) -> bool {
        let place = self.room.place();
        place.party == party && place.room == room
    }

    fn handle(self: Rc<Self>, handoff: HandOff, body: Vec<u8>, object: JsValue) -> Event {
        let turns = &self.room.turns;
        let bytes = body.len() + handoff.length;
        let turn = turns.turn_with(bytes, vec![Rc::clone(turns.load())]);
        let finish = handoff.finish(self.gate.cors());
        if is_full(turns, bytes) {
            let refusal = at_capacity("The room is overloaded");
            let answer = if handoff.is_upgrade {
                pass_on(refusal, &finish)
            } else {
                to_http::response(finish.apply(refusal.into_response()))
            };
            return Event::new(std::future::ready(answer), |_| JsValue::NULL);
        }
        if handoff.is_upgrade {
            let entered = Entered {
                newcomer: Newcomer::new(),
                protocol: handoff.protocol.clone(),
                finish,
            };
            return self.enter(turn, entered, handoff, object);
        }
        let attachments = handoff.attachments.clone();
        let request = handoff.into_request(body.into());
        self.event(turn, Answered(finish), async move |_, instance, _| {
            instance.request(request, attachments).await
        })
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
        let known = self.room.connections.find(key, &socket);
        // A socket that has ended, or was never restored, takes no turn.
        if self.room.is_restored() && !known.as_ref().is_some_and(|conn| conn.is_read()) {
            return JsValue::NULL;
        }
        let turns = &self.room.turns;
        let message = (data, text);
        let arrived = Arrived::of(message, length, known.as_deref(), turns, self.options());
        let turn = arrived.turn(length, known.as_deref(), turns);
        let ending = Handled::default();
        if let Some(conn) = &known {
            // Called once per message, so it is not set already.
            let _ = ending.0.set(conn.handle());
        }
        let event = self.event(
            turn,
            ending,
            async move |cell, instance, ending: &Handled| {
                let Some(conn) = known.or_else(|| cell.room.connections.find(key, &socket)) else {
                    return Ok(());
                };
                let connection = ending.0.get_or_init(|| conn.handle());
                // The connection may have been closed while the message waited for its
                // turn.
                if !conn.is_open() {
                    return Ok(());
                }
                let message = match arrived {
                    Arrived::Message(data, text) => wire::decode(data, text),
                    Arrived::Refused(close) => {
                        conn.close(close, Rest::Sent);
                        return Ok(());
                    }
                };
                if message.as_bytes().len() > cell.options().max_message {
                    conn.close(message_too_large(), Rest::Sent);
                    return Ok(());
                }
                instance.message(connection, message).await
            },
        );
        event.begin()
    }

    fn closed(
        self: Rc<Self>,
        key: Option<u64>,
        socket: Socket,
        event: CloseEvent,
        error: Option<Error>,
    ) -> Event {
        let turn = self.room.turns.turn();
        self.event(
            turn,
            Left::default(),
            async move |cell, instance, left: &Left| {
                // Everything that the client sent before has been handled and answered.
                socket.answer_close(&event);
                let Some(conn) = cell.room.connections.find(key, &socket) else {
                    return Ok(());
                };
                let conn = left.0.get_or_init(|| conn);
                let Some(event) = conn.ended(event) else {
                    return Ok(());
                };
                let connection = conn.handle();
                instance.closed(&connection, event, error.as_ref()).await
            },
        )
    }

    fn alarm(self: Rc<Self>) -> Event {
        let cell = Rc::clone(&self);
        let work = async move {
            let alarm = &self.room.alarm;
            alarm.fired();
            self.room.restore().await;
            // Deadlines come first, because they never wait for a hook.
            self.room.connections.open();
            if let Err(error) = self.ring_if_due().await {
                let party = self.room.place().party;
                tracing::error!(party, %error, "what came of an alarm can't be stored");
                // The alarm is still due, so the platform tries it again.
                let _ = alarm.settle_without_own().await;
                return JsValue::FALSE;
            }
            JsValue::from_bool(alarm.settle().await.is_ok())
        };
        Event::new(work, move |panic| {
            let (party, panic) = (cell.room.place().party, escaped(&panic));
            tracing::error!(
                party,
                panic,
                "what sees to an alarm panicked; it is tried again"
            );
            // The platform comes again, and then the alarm is to run.
            cell.room.alarm.dismiss();
            JsValue::FALSE
        })
    }
}

impl<S: Server> OwnEvents for RoomCell<S> {
    fn posted(self: Rc<Self>, event: Value) -> Event {
        let turn = self.room.turns.turn();
        self.event(turn, Unheard, async move |_, instance, _| {
            instance.event(event).await
        })
    }

    fn unanswered(self: Rc<Self>, conn: &Conn) -> Event {
        let socket = conn.socket().clone();
        self.closed(Some(conn.key()), socket, CloseEvent::abnormal(), None)
    }
}
