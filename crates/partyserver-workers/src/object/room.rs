//! A room in a Durable Object: the part that is in memory even when its server is not.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use partyserver::host::failure::Place;
use worker_sys::types::DurableObjectState;

use super::alarm::Alarm;
use super::cell::OwnEvents;
use super::closing::Closing;
use super::connection::Conn;
use super::connections::Connections;
use super::sleeping::{self, Restoring};
use super::storage::ObjectStorage;
use super::turns::Turns;

/// A room in a Durable Object.
pub(super) struct ObjectRoom {
    party: Arc<str>,
    name: Arc<str>,
    state: DurableObjectState,
    pub(super) storage: Arc<ObjectStorage>,
    /// The turns of the room's server.
    pub(super) turns: Rc<Turns>,
    pub(super) connections: Rc<Connections>,
    restoring: Restoring,
    pub(super) alarm: Rc<Alarm>,
    pub(super) closing: Rc<Closing>,
}

impl ObjectRoom {
    pub(super) fn new(
        party: Arc<str>,
        name: Arc<str>,
        state: DurableObjectState,
        cell: Weak<dyn OwnEvents>,
    ) -> Rc<Self> {
        let storage = state.storage().unwrap_or_else(|_| {
            // The platform gives every object a storage.
            wasm_bindgen::throw_str("a Durable Object has no storage")
        });
        let storage = ObjectStorage::new(storage);
        let (connections, turns) = (Rc::<Connections>::default(), Rc::<Turns>::default());
        let alarm = Alarm::new(
            Arc::clone(&party),
            Arc::clone(&storage),
            Rc::clone(&connections),
            Rc::clone(&turns),
        );
        Rc::new(Self {
            party,
            name,
            state,
            storage,
            turns,
            connections,
            restoring: Restoring::default(),
            alarm,
            closing: Closing::new(cell),
        })
    }

    /// Where it is, for the log.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            party: &self.party,
            room: &self.name,
        }
    }

    /// The party and the room.
    pub(super) fn names(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.party), Arc::clone(&self.name))
    }

    pub(super) fn state(&self) -> &DurableObjectState {
        &self.state
    }

    /// Takes back, once, the connections from before the object slept.
    pub(super) async fn restore(self: &Rc<Self>) {
        self.restoring.run(self).await;
    }

    /// Whether the sockets from before the object slept are among the connections.
    pub(super) fn is_restored(&self) -> bool {
        self.restoring.is_done()
    }

    /// Forgets a connection after the room was told of its end.
    pub(super) fn leave(&self, conn: &Conn) {
        self.connections.leave(conn);
        sleeping::discard(conn, &self.storage);
    }
}
