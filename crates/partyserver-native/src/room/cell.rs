//! One room in memory: its server, one turn at a time.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use partyserver::host::RoomPort;
use partyserver::host::admission::Newcomer;
use partyserver::host::alarm::Next;
use partyserver::host::failure::{Failure, Place};
use partyserver::host::idle::leaves_after;
use partyserver::host::instance::Instance;
use partyserver::{
    Attachments, BoxFuture, CloseEvent, Error, Handshake, Message, PartyOptions, Refusal, Request,
    Response, Result, Room, Server,
};
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::AnyRoom;
use super::port::{EventHandler, Ground, NativeRoom};
use super::to_the_end::to_the_end;
use crate::failure::{self, random_id};
use crate::socket::connection::Conn;
use crate::socket::connections::Connections;
use crate::socket::{Inbox, Start};
use crate::store::RoomName;
use crate::turn_limit;

/// The right to a turn, with the server that the turn runs on.
type Slot<S> = OwnedMutexGuard<Option<Instance<S>>>;

/// A room: a fair lock around its server. A turn runs in the task that brings the
/// event, and turns follow the order in which the events arrived.
pub(super) struct RoomCell<S> {
    party: Arc<Shared<S>>,
    room: Arc<NativeRoom>,
    instance: Arc<Mutex<Option<Instance<S>>>>,
    /// When the last turn ended, in milliseconds since the server began.
    last_turn: AtomicU64,
}

/// What the rooms of a party share.
pub(super) struct Shared<S> {
    pub(super) factory: Box<dyn Fn() -> S + Send + Sync>,
    pub(super) options: PartyOptions,
    /// How many servers were made so far.
    pub(super) started: AtomicU64,
    /// The instant from which milliseconds are counted.
    pub(super) began: Instant,
}

impl<S> Shared<S> {
    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The result of a look at a room.
pub(super) enum Sleep {
    Stays,
    /// The room stays, without its server. The caller drops the server, because
    /// dropping it can take long, use the room, or panic.
    Asleep(Box<dyn Any + Send>),
    /// The room can be forgotten.
    Leaves,
}

impl<S: Server> RoomCell<S> {
    pub(super) fn new(party: Arc<Shared<S>>, name: RoomName, ground: &Ground) -> Arc<Self> {
        let last_turn = AtomicU64::new(party.millis());
        Arc::new_cyclic(|cell: &Weak<Self>| Self {
            party,
            room: Arc::new(NativeRoom::new(name, ground, cell.clone())),
            instance: Arc::default(),
            last_turn,
        })
    }

    /// Takes the server out of a room that is idle. A room that had no server may leave
    /// memory altogether.
    pub(super) fn fall_asleep(&self, now: u64) -> Sleep {
        let idle =
            Duration::from_millis(now.saturating_sub(self.last_turn.load(Ordering::Relaxed)));
        let open = self.room.open_connections().len();
        if leaves_after(self.options(), open).is_none_or(|time| idle < time) {
            return Sleep::Stays;
        }
        // A room in the middle of a turn is not idle.
        let Ok(mut slot) = self.instance.try_lock() else {
            return Sleep::Stays;
        };
        if let Some(instance) = slot.take() {
            return Sleep::Asleep(Box::new(instance));
        }
        // Tasks that the room's code has spawned may still hold the room.
        if open == 0 && Arc::strong_count(&self.room) == 1 {
            Sleep::Leaves
        } else {
            Sleep::Stays
        }
    }

    /// Waits for a turn, in the order of the calls. A caller that stops waiting leaves
    /// the queue.
    async fn wait(&self) -> Slot<S> {
        Arc::clone(&self.instance).lock_owned().await
    }

    /// Runs one turn. A panic, or a turn past its limit, drops the server's value.
    /// Dropping this future would do the same, but nobody here drops it.
    async fn turn<R, F>(&self, mut slot: Slot<S>, body: F) -> Result<R, Failure>
    where
        F: for<'i> FnOnce(&'i mut Instance<S>) -> BoxFuture<'i, R> + Send,
        R: Send,
    {
        let turn = async {
            let mut instance = slot.take().unwrap_or_else(|| {
                self.party.started.fetch_add(1, Ordering::Relaxed);
                Instance::new((self.party.factory)(), Room::from_port(self.room.clone()))
            });
            let outcome = body(&mut instance).await;
            (instance, outcome)
        };
        // A turn that is cut off is dropped inside too, because its values can panic
        // when dropped.
        let turn = AssertUnwindSafe(turn_limit::within(self.options().turn_limit, turn));
        let outcome = turn.catch_unwind().await;
        self.last_turn.store(self.party.millis(), Ordering::Relaxed);
        match outcome {
            Ok(Ok((instance, outcome))) => {
                *slot = Some(instance);
                Ok(outcome)
            }
            Ok(Err(_)) => Err(Failure::TimedOut),
            Err(panic) => Err(failure::of_panic(&*panic)),
        }
    }

    /// The turn of an upgrade, from the room's decision to `on_connect`.
    async fn enter(
        self: &Arc<Self>,
        slot: Slot<S>,
        handshake: Handshake,
        attachments: Attachments,
    ) -> Result<Arc<Conn>, Box<Refusal>> {
        // A panic loses the turn, but must not lose the connection that has joined.
        let newcomer = Arc::new(Newcomer::new());
        let (cell, entering) = (Arc::clone(self), Arc::clone(&newcomer));
        let turn = self.turn(slot, move |instance| {
            Box::pin(async move {
                let most = cell.options().max_connections_per_room;
                entering
                    .enter(instance, &*cell.room, most, &handshake, attachments)
                    .await
            })
        });
        let outcome = turn.await;
        newcomer.conclude::<NativeRoom>(outcome, random_id, self.place())
    }

    fn options(&self) -> &PartyOptions {
        &self.party.options
    }

    fn place(&self) -> Place<'_> {
        let name = self.room.name();
        Place {
            party: &name.party,
            room: &name.room,
        }
    }
}

impl<S: Server> Inbox for RoomCell<S> {
    fn max_message(&self) -> usize {
        self.options().max_message
    }

    fn message(self: Arc<Self>, conn: Arc<Conn>, message: Message) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let connection = conn.handle();
            let slot = self.wait().await;
            // The connection may have been closed while this waited. Then it must not
            // wake the room.
            if !conn.is_open(conn.now()) {
                return;
            }
            let from = connection.clone();
            let turn = self.turn(slot, move |instance| {
                Box::pin(async move { instance.message(&from, message).await })
            });
            if let Err(failure) = Failure::of(turn.await) {
                failure.close(&random_id(), self.place(), &connection);
            }
        })
    }

    fn closed(
        self: Arc<Self>,
        conn: Arc<Conn>,
        event: CloseEvent,
        error: Option<Error>,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let slot = self.wait().await;
            if !conn.tell() {
                return;
            }
            let connection = conn.handle();
            let closed = connection.clone();
            let turn = self.turn(slot, |instance| {
                Box::pin(async move { instance.closed(&closed, event, error.as_ref()).await })
            });
            // Nobody is left to be told of a failure, so it is only logged.
            if let Err(failure) = Failure::of(turn.await) {
                failure.log(&random_id(), self.place(), Some(&connection));
            }
        })
    }
}

impl<S: Server> AnyRoom for RoomCell<S> {
    fn connections(&self) -> &Connections {
        self.room.open_connections()
    }

    fn request(
        self: Arc<Self>,
        request: Request,
        attachments: Attachments,
    ) -> BoxFuture<'static, Response> {
        // Boxed, because each layer of a turn copies its arguments.
        let request = Box::new(request);
        Box::pin(async move {
            let slot = self.wait().await;
            to_the_end(Box::pin(async move {
                let turn = self.turn(slot, |instance| {
                    Box::pin(instance.request(*request, attachments))
                });
                Failure::of(turn.await)
                    .unwrap_or_else(|failure| failure.to_response(&random_id(), self.place()))
            }))
            .await
        })
    }

    fn connect(
        self: Arc<Self>,
        handshake: Handshake,
        attachments: Attachments,
        start: Start,
    ) -> BoxFuture<'static, Result<(), Box<Refusal>>> {
        Box::pin(async move {
            let slot = self.wait().await;
            to_the_end(Box::pin(async move {
                let conn = self.enter(slot, handshake, attachments).await?;
                // If a connection has joined, its socket's task ends it, even when the
                // client leaves before the handshake is answered.
                start(conn, self);
                Ok(())
            }))
            .await
        })
    }

    fn alarm(self: Arc<Self>) -> BoxFuture<'static, Option<Next>> {
        Box::pin(async move {
            let slot = self.wait().await;
            let (alarms, name) = (self.room.alarms(), self.room.name());
            if !alarms.begin(name) {
                return None;
            }
            let turn = self.turn(slot, |instance| Box::pin(instance.alarm()));
            let outcome = Failure::of(turn.await);
            if let Err(failure) = &outcome {
                failure.log(&random_id(), self.place(), None);
            }
            Some(alarms.end(name, outcome.is_ok(), self.room.now()))
        })
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { drop(self.wait().await) })
    }
}

impl<S: Server> EventHandler for RoomCell<S> {
    fn event(&self, event: Value) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let slot = self.wait().await;
            let turn = self.turn(slot, |instance| Box::pin(instance.event(event)));
            // Nobody is left to be told of a failure, so it is only logged.
            if let Err(failure) = Failure::of(turn.await) {
                failure.log(&random_id(), self.place(), None);
            }
        })
    }
}
