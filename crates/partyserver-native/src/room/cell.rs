//! One room in memory: its server, one turn at a time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::{StatusCode, Uri};
use partyserver::host::{ConnectionRecord, failure_text, may_share, requested_id};
use partyserver::instance::{Connecting, Instance};
use partyserver::{
    Attachments, BoxFuture, Close, CloseEvent, Connection, Error, Handshake, Hibernation, Message,
    PartyOptions, Refusal, Request, Response, Room, Server, answer,
};
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::connection::{Conn, QueueLimits};
use crate::failure::{Failure, random_id};
use crate::finish::to_the_end;
use crate::party::{AnyRoom, Shared, Sleep};
use crate::room::NativeRoom;
use crate::socket::{self, Arrival};
use crate::turn_limit;

/// The right to a turn, and what it is run on.
type Slot<S> = OwnedMutexGuard<Option<Instance<S>>>;

/// A room: a fair lock around its server. Turns run in the task that brings
/// the event, in the order in which the events arrived.
pub(crate) struct RoomCell<S> {
    party: Arc<Shared<S>>,
    room: Arc<NativeRoom>,
    instance: Arc<Mutex<Option<Instance<S>>>>,
    /// When the last turn ended, in milliseconds since the server began.
    last_turn: AtomicU64,
}

impl<S: Server> RoomCell<S> {
    pub(crate) fn new(party: Arc<Shared<S>>, room: Arc<NativeRoom>) -> Self {
        let last_turn = AtomicU64::new(party.millis());
        Self {
            party,
            room,
            instance: Arc::default(),
            last_turn,
        }
    }

    /// Waits for a turn, in the order of the calls. One who stops waiting is no
    /// longer in the queue.
    async fn wait(&self) -> Slot<S> {
        Arc::clone(&self.instance).lock_owned().await
    }

    /// Runs one turn. A panic or a turn past its limit ends the server's value;
    /// so does dropping this future, which nobody here does.
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
        // A turn that is cut off is dropped in there too: what it drops can panic.
        let turn = AssertUnwindSafe(turn_limit::within(self.options().turn_limit, turn));
        let outcome = turn.catch_unwind().await;
        self.last_turn.store(self.party.millis(), Ordering::Relaxed);
        match outcome {
            Ok(Ok((instance, outcome))) => {
                *slot = Some(instance);
                Ok(outcome)
            }
            Ok(Err(_)) => Err(Failure::TimedOut),
            Err(panic) => Err(Failure::from_panic(&*panic)),
        }
    }

    fn options(&self) -> &PartyOptions {
        &self.party.options
    }

    fn log(
        &self,
        outcome: Result<Result<(), Error>, Failure>,
        connection: Option<&Connection>,
    ) -> Result<(), String> {
        let name = self.room.name();
        let failure = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Failure::Hook(error),
            Err(failure) => failure,
        };
        Err(failure.log(&name.party, &name.room, connection))
    }

    /// Makes a connection of a handshake, in one turn: nothing comes between the
    /// room's decision and the connection's place in it.
    async fn admit(
        self: &Arc<Self>,
        slot: Slot<S>,
        handshake: Handshake,
        attachments: Attachments,
    ) -> Result<Arc<Conn>, Refusal> {
        let cell = Arc::clone(self);
        let joined = Arc::new(std::sync::OnceLock::new());
        let joining = Arc::clone(&joined);
        let outcome = self
            .turn(slot, move |instance| {
                Box::pin(async move {
                    let tags = match instance.connecting(&handshake, attachments.clone()).await? {
                        Connecting::Admitted { tags } => tags,
                        Connecting::Refused(refusal) => return Ok(Some(refusal)),
                    };
                    if cell.room.connections.len() >= cell.options().max_connections_per_room {
                        return Ok(Some(at_capacity()));
                    }
                    let conn = cell.join(&handshake, attachments, tags);
                    let connection = conn.handle();
                    // From here on the connection is closed by what goes wrong.
                    let _ = joining.set(conn);
                    instance.connected(&connection, &handshake).await?;
                    Ok(None)
                })
            })
            .await;
        let name = self.room.name();
        let failure = match outcome {
            Ok(Ok(Some(refusal))) => return Err(refusal),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some(Failure::Hook(error)),
            Err(failure) => Some(failure),
        };
        match (joined.get().cloned(), failure) {
            (Some(conn), None) => Ok(conn),
            (Some(conn), Some(failure)) => {
                let connection = conn.handle();
                let id = failure.log(&name.party, &name.room, Some(&connection));
                connection.close(Close::INTERNAL_ERROR, failure_text(&id));
                Ok(conn)
            }
            (None, Some(failure)) => Err(failure.to_refusal(&name.party, &name.room)),
            (None, None) => unreachable!("a turn that admits makes a connection"),
        }
    }

    /// The id a newcomer gets: the one it asks for, unless a stranger holds it.
    fn public_id(&self, handshake: &Handshake, attachments: &Attachments) -> String {
        let requested = requested_id(handshake.uri().query()).filter(|id| {
            let holders = self.room.connections.with_id(id);
            holders.iter().all(|holder| may_share(attachments, holder))
        });
        requested.unwrap_or_else(random_id)
    }

    fn join(
        &self,
        handshake: &Handshake,
        attachments: Attachments,
        tags: Vec<String>,
    ) -> Arc<Conn> {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        let id = self.public_id(handshake, &attachments);
        let name = self.room.name();
        let record = ConnectionRecord {
            key: KEYS.fetch_add(1, Ordering::Relaxed),
            tags: std::iter::once(id.clone()).chain(tags).collect(),
            id,
            uri: detached(handshake.uri()),
            party: Arc::clone(&name.party),
            room: Arc::clone(&name.room),
            attachments,
            state: std::sync::Mutex::new(None),
        };
        let connections = Arc::clone(&self.room.connections);
        let clock = Arc::clone(&self.room.host().clock);
        let limits = QueueLimits {
            at_first: self.options().max_replay_bytes,
            later: self.options().max_queued_bytes,
        };
        let conn = Conn::new(record, connections, clock, limits);
        self.room.connections.join(Arc::clone(&conn));
        conn
    }
}

impl<S: Server> AnyRoom for RoomCell<S> {
    fn port(&self) -> &NativeRoom {
        &self.room
    }

    fn max_message(&self) -> usize {
        self.options().max_message
    }

    fn request(
        self: Arc<Self>,
        request: Request,
        attachments: Attachments,
    ) -> BoxFuture<'static, Response> {
        // Boxed, because each layer of a turn copies what it is given.
        let request = Box::new(request);
        Box::pin(async move {
            let slot = self.wait().await;
            to_the_end(Box::pin(async move {
                let outcome = self
                    .turn(slot, |instance| {
                        Box::pin(instance.request(*request, attachments))
                    })
                    .await;
                let failure = match outcome {
                    Ok(Ok(response)) => return response,
                    Ok(Err(error)) => Failure::Hook(error),
                    Err(failure) => failure,
                };
                let name = self.room.name();
                failure.to_response(&name.party, &name.room)
            }))
            .await
        })
    }

    fn connect(
        self: Arc<Self>,
        handshake: Handshake,
        attachments: Attachments,
        arrival: Arrival,
    ) -> BoxFuture<'static, Result<(), Refusal>> {
        Box::pin(async move {
            let slot = self.wait().await;
            to_the_end(Box::pin(async move {
                let conn = self.admit(slot, handshake, attachments).await?;
                // A connection that has joined is ended by its socket's task,
                // even when the client is gone before the handshake is answered.
                let runtime = self.room.host().runtime.clone();
                runtime.spawn(socket::run(arrival, conn, self));
                Ok(())
            }))
            .await
        })
    }

    fn message(self: Arc<Self>, conn: Arc<Conn>, message: Message) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let connection = conn.handle();
            let slot = self.wait().await;
            // It may have been closed while it waited: then it wakes nobody.
            if !conn.is_admitted(conn.now()) {
                return;
            }
            let from = connection.clone();
            let turn = self.turn(slot, move |instance| {
                Box::pin(async move { instance.message(&from, message).await })
            });
            let outcome = turn.await;
            if let Err(id) = self.log(outcome, Some(&connection)) {
                connection.close(Close::INTERNAL_ERROR, failure_text(&id));
            }
        })
    }

    fn closed(
        self: Arc<Self>,
        connection: Connection,
        event: CloseEvent,
        error: Option<Error>,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let slot = self.wait().await;
            let closed = connection.clone();
            let turn = self.turn(slot, |instance| {
                Box::pin(async move { instance.closed(&closed, event, error.as_ref()).await })
            });
            // Nobody is left to be told of a failure; it is in the log.
            let _ = self.log(turn.await, Some(&connection));
        })
    }

    fn alarm(self: Arc<Self>) -> BoxFuture<'static, Option<Result<(), String>>> {
        Box::pin(async move {
            let slot = self.wait().await;
            if !self.room.host().alarms.ring(self.room.name()) {
                return None;
            }
            let turn = self.turn(slot, |instance| Box::pin(instance.alarm()));
            let outcome = turn.await;
            Some(self.log(outcome, None))
        })
    }

    fn event(&self, event: Value) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let slot = self.wait().await;
            let turn = self.turn(slot, |instance| Box::pin(instance.event(event)));
            // Nobody is left to be told of a failure; it is in the log.
            let _ = self.log(turn.await, None);
        })
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move { drop(self.wait().await) })
    }

    fn fall_asleep(&self, now: u64) -> Sleep {
        let idle =
            Duration::from_millis(now.saturating_sub(self.last_turn.load(Ordering::Relaxed)));
        let has_connections = self.room.connections.len() > 0;
        let is_due = match self.options().hibernation {
            Hibernation::After(time) => idle >= time,
            Hibernation::Off => !has_connections && idle >= self.options().idle_time,
        };
        if !is_due {
            return Sleep::Stays;
        }
        // A room in the middle of a turn is not idle.
        let Ok(mut slot) = self.instance.try_lock() else {
            return Sleep::Stays;
        };
        if let Some(instance) = slot.take() {
            return Sleep::Asleep(Box::new(instance));
        }
        // What the room's code has spawned may still hold the room.
        if !has_connections && Arc::strong_count(&self.room) == 1 {
            Sleep::Leaves
        } else {
            Sleep::Stays
        }
    }
}

/// A URI with memory of its own: that of a request shares the buffer that the
/// whole request was read into.
fn detached(uri: &Uri) -> Uri {
    uri.to_string().parse().unwrap_or_else(|_| uri.clone())
}

fn at_capacity() -> Refusal {
    let answer = answer::text(StatusCode::SERVICE_UNAVAILABLE, "The room is full");
    Refusal::closing(
        answer,
        Close::new(Close::TRY_AGAIN_LATER, "the room is full"),
    )
}

/// When the server began, to count milliseconds from.
pub(crate) fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
