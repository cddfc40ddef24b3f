//! One room in the kit: its server, one turn at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::SystemTime;

use super::guard::within;
use super::kit::{Kit, Trouble, lock};
use super::port::{Port, RoomState};
use super::socket::Line;
use super::turns::{self, Turns};
use super::work::Kind;
use crate::close::CloseEvent;
use crate::error::{Error, Result};
use crate::host::admission::{Door, Newcomer};
use crate::host::failure::{Failure, Place};
use crate::host::idle::leaves_after;
use crate::host::instance::Instance;
use crate::http_types::{Handshake, Refusal, Request, Response};
use crate::maybe_send::{BoxFuture, MaybeSend, MaybeSync};
use crate::message::Message;
use crate::options::PartyOptions;
use crate::room::Room;
use crate::room::attachments::Attachments;
use crate::room::connection::Connection;
use crate::room::record::ConnectionRecord;
use crate::server::Server;

/// A room of any server.
pub(super) trait AnyRoom: MaybeSend + MaybeSync {
    fn state(&self) -> &RoomState;
    fn handle(&self) -> Room;
    fn max_message(&self) -> usize;
    fn request(self: Arc<Self>, request: Request, of: Attachments) -> BoxFuture<'static, Response>;
    fn connect(
        self: Arc<Self>,
        handshake: Handshake,
        of: Attachments,
    ) -> BoxFuture<'static, Result<Arc<Line>, Box<Refusal>>>;
    fn message(self: Arc<Self>, line: Arc<Line>, message: Message) -> BoxFuture<'static, ()>;
    fn closed(self: Arc<Self>, line: Arc<Line>, event: CloseEvent) -> BoxFuture<'static, ()>;
    /// Handles posted events until none is left.
    fn events(self: Arc<Self>) -> BoxFuture<'static, ()>;
    /// Takes the server out of memory, unless it is busy.
    fn hibernate(&self);
    /// Starts everything that is due.
    fn look(self: Arc<Self>, now: SystemTime);
    /// The next time, after now, at which something is due.
    fn next_event(&self, now: SystemTime) -> Option<SystemTime>;
}

/// Makes a room's server.
pub(super) trait Make<S>: Fn() -> S + MaybeSend + MaybeSync {}
impl<S, F: Fn() -> S + MaybeSend + MaybeSync> Make<S> for F {}

/// A room and its server, while the server is in memory.
pub(super) struct RoomCell<S> {
    this: Weak<Self>,
    state: Arc<RoomState>,
    options: PartyOptions,
    make: Arc<dyn Make<S>>,
    turns: Arc<Turns>,
    port: Mutex<Arc<Port>>,
    instance: Mutex<Option<Instance<S>>>,
    last_turn: Mutex<SystemTime>,
}

impl<S: Server> RoomCell<S> {
    pub(super) fn new(
        kit: &Arc<Kit>,
        names: (Arc<str>, Arc<str>),
        options: PartyOptions,
        make: Arc<dyn Make<S>>,
    ) -> Arc<Self> {
        let cell = Arc::new_cyclic(|this: &Weak<Self>| {
            let room: Weak<dyn AnyRoom> = this.clone();
            let props = options.props.clone();
            let state = Arc::new(RoomState::new(Arc::clone(kit), names, props, room));
            Self {
                this: Weak::clone(this),
                port: Mutex::new(Port::new(Arc::clone(&state))),
                state,
                options,
                make,
                turns: Arc::default(),
                instance: Mutex::new(None),
                last_turn: Mutex::new(kit.now()),
            }
        });
        let room: Weak<dyn AnyRoom> = cell.this.clone();
        kit.add(room);
        cell
    }

    fn kit(&self) -> &Arc<Kit> {
        &self.state.kit
    }

    fn place(&self) -> Place<'_> {
        Place {
            party: &self.state.party,
            room: &self.state.name,
        }
    }

    /// Runs one turn. A panic, or a turn past its limit, drops the server's value;
    /// dropping this future does the same.
    async fn turn<R, F>(&self, body: F) -> Result<Result<R>, Failure>
    where
        R: MaybeSend,
        F: for<'i> FnOnce(&'i mut Instance<S>) -> BoxFuture<'i, Result<R>> + MaybeSend,
    {
        let turn = async {
            let instance = lock(&self.instance).take();
            let mut instance =
                instance.unwrap_or_else(|| Instance::new((self.make)(), self.handle()));
            let outcome = body(&mut instance).await;
            (instance, outcome)
        };
        let limit = self.options.turn_limit;
        let outcome = within(&self.kit().clock, limit, Box::pin(turn)).await;
        *lock(&self.last_turn) = self.kit().now();
        match outcome {
            Ok((instance, outcome)) => {
                *lock(&self.instance) = Some(instance);
                Ok(outcome)
            }
            Err(cut) => {
                let failure = cut.failure();
                self.kit().trouble(Trouble::Cut(cut));
                Err(failure)
            }
        }
    }

    /// Keeps a hook's error for the test, and leaves an error with the same text in its
    /// place.
    fn keep<R>(&self, outcome: Result<Result<R>, Failure>) -> Result<Result<R>, Failure> {
        Ok(outcome?.map_err(|error| {
            let told = Error::msg(error.to_string());
            self.kit().trouble(Trouble::Error(error));
            told
        }))
    }

    /// Logs the failure of a hook that answers nobody. Returns whether the hook
    /// succeeded.
    fn log(&self, outcome: Result<Result<()>, Failure>, of: Option<&Connection>) -> bool {
        let failure = Failure::of(self.keep(outcome)).err();
        if let Some(failure) = &failure {
            failure.log(&self.kit().next_id(), self.place(), of);
        }
        failure.is_none()
    }

    async fn alarm(self: Arc<Self>, place: turns::Place) {
        place.called().await;
        if !lock(&self.state.alarm).begin(self.kit().now()) {
            return;
        }
        let outcome = self.turn(|instance| Box::pin(instance.alarm())).await;
        let is_done = self.log(outcome, None);
        lock(&self.state.alarm).end(is_done, self.kit().now());
    }

    /// When the room's server leaves memory, if nothing happens before.
    fn falls_asleep_at(&self) -> Option<SystemTime> {
        if lock(&self.instance).is_none() {
            return None;
        }
        let time = leaves_after(&self.options, self.state.lines().len())?;
        lock(&self.last_turn).checked_add(time)
    }
}

impl<S: Server> AnyRoom for RoomCell<S> {
    fn state(&self) -> &RoomState {
        &self.state
    }

    fn handle(&self) -> Room {
        let port = Arc::clone(&lock(&self.port));
        Room::from_port(port)
    }

    fn max_message(&self) -> usize {
        self.options.max_message
    }

    fn request(self: Arc<Self>, request: Request, of: Attachments) -> BoxFuture<'static, Response> {
        let place = self.turns.queue();
        Box::pin(async move {
            place.called().await;
            let turn = self.turn(|instance| Box::pin(instance.request(request, of)));
            let outcome = match turn.await {
                // The client is at fault, not the hook.
                Ok(Err(error)) if !error.status().is_server_error() => Ok(Err(error)),
                outcome => self.keep(outcome),
            };
            match Failure::of(outcome) {
                Ok(response) => response,
                Err(failure) => failure.to_response(&self.kit().next_id(), self.place()),
            }
        })
    }

    fn connect(
        self: Arc<Self>,
        handshake: Handshake,
        of: Attachments,
    ) -> BoxFuture<'static, Result<Arc<Line>, Box<Refusal>>> {
        let place = self.turns.queue();
        Box::pin(async move {
            place.called().await;
            let newcomer = Arc::new(Newcomer::new());
            let entering = Arc::clone(&newcomer);
            let door = Arc::clone(&self);
            let max = self.options.max_connections_per_room;
            let turn = self.turn(move |instance| {
                Box::pin(async move {
                    let newcomer = entering.enter(instance, &*door, max, &handshake, of);
                    newcomer.await
                })
            });
            let outcome = self.keep(turn.await);
            let id = || self.kit().next_id();
            newcomer.conclude::<Self>(outcome, id, self.place())
        })
    }

    fn message(self: Arc<Self>, line: Arc<Line>, message: Message) -> BoxFuture<'static, ()> {
        let place = self.turns.queue();
        Box::pin(async move {
            place.called().await;
            // The connection may have ended while this waited. Then it must not wake
            // the room.
            if !line.is_open() {
                return;
            }
            let connection = line.connection();
            let from = connection.clone();
            let turn = self.turn(move |instance| {
                Box::pin(async move { instance.message(&from, message).await })
            });
            if let Err(failure) = Failure::of(self.keep(turn.await)) {
                failure.close(&self.kit().next_id(), self.place(), &connection);
            }
        })
    }

    fn closed(self: Arc<Self>, line: Arc<Line>, event: CloseEvent) -> BoxFuture<'static, ()> {
        let place = self.turns.queue();
        Box::pin(async move {
            place.called().await;
            if !line.tell() {
                return;
            }
            let connection = line.connection();
            let closed = connection.clone();
            let turn = self.turn(move |instance| {
                Box::pin(async move { instance.closed(&closed, event, None).await })
            });
            let outcome = turn.await;
            self.log(outcome, Some(&connection));
        })
    }

    fn events(self: Arc<Self>) -> BoxFuture<'static, ()> {
        let mut place = self.turns.queue();
        Box::pin(async move {
            loop {
                place.called().await;
                let event = lock(&self.state.posted).take();
                let Some(event) = event else { return };
                let outcome = self.turn(|instance| Box::pin(instance.event(event))).await;
                self.log(outcome, None);
                place = self.turns.queue();
            }
        })
    }

    fn hibernate(&self) {
        if !self.turns.are_free() {
            return;
        }
        let instance = lock(&self.instance).take();
        *lock(&self.port) = Port::new(Arc::clone(&self.state));
        for line in self.state.lines() {
            line.sleep();
        }
        // Dropped after the lock is released, because the value is the application's
        // own.
        drop(instance);
    }

    fn look(self: Arc<Self>, now: SystemTime) {
        for line in self.state.lines() {
            line.look();
        }
        if lock(&self.state.alarm).due(now) {
            let alarm = Arc::clone(&self).alarm(self.turns.queue());
            self.kit().work.add(Kind::Hook, Box::pin(alarm));
        }
        if self.falls_asleep_at().is_some_and(|at| at <= now) {
            self.hibernate();
        }
    }

    fn next_event(&self, now: SystemTime) -> Option<SystemTime> {
        let lines = self.state.lines();
        let ends = lines.iter().filter_map(|line| line.ends_at());
        let alarm = lock(&self.state.alarm).next(now);
        ends.chain(alarm)
            .chain(self.falls_asleep_at())
            .filter(|at| *at > now)
            .min()
    }
}

impl<S: Server> Door for RoomCell<S> {
    type Joined = Arc<Line>;

    fn names(&self) -> (Arc<str>, Arc<str>) {
        let state = &self.state;
        (Arc::clone(&state.party), Arc::clone(&state.name))
    }

    fn open(&self) -> usize {
        self.state.lines().len()
    }

    fn holders(&self, id: &str) -> Vec<Connection> {
        let lines = self.state.lines();
        let holders = lines.iter().filter(|line| line.has_id(id));
        holders.map(Line::connection).collect()
    }

    fn next_key(&self) -> u64 {
        // Keys are unique across all kits, because handles are compared by them.
        static KEYS: AtomicU64 = AtomicU64::new(0);
        KEYS.fetch_add(1, Ordering::Relaxed)
    }

    fn random_id(&self) -> String {
        self.kit().next_id()
    }

    fn join(&self, record: ConnectionRecord) -> Result<Arc<Line>> {
        let room: Weak<dyn AnyRoom> = self.this.clone();
        let line = Arc::new(Line::new(record, room, Arc::clone(self.kit())));
        self.state.join(Arc::clone(&line));
        Ok(line)
    }

    fn connection(joined: &Arc<Line>) -> Connection {
        joined.connection()
    }
}
