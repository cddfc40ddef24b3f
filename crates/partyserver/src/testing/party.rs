//! A party in the kit: its gate and its rooms.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::cell::{AnyRoom, Make, RoomCell};
use super::kit::{Kit, lock};
use crate::host::gate::{AnyGate, Gate};
use crate::maybe_send::{MaybeSend, MaybeSync};
use crate::options::PartyOptions;
use crate::server::Server;

/// A party of any server.
pub(super) trait AnyParty: MaybeSend + MaybeSync {
    fn gate(&self) -> &dyn AnyGate;
    /// A room, which is made if it does not exist.
    fn room(&self, name: &str) -> Arc<dyn AnyRoom>;
}

/// The party of one server. Its rooms live as long as the party.
pub(super) struct Party<S> {
    gate: Gate<S>,
    make: Arc<dyn Make<S>>,
    kit: Arc<Kit>,
    rooms: Mutex<BTreeMap<Arc<str>, Arc<RoomCell<S>>>>,
}

impl<S: Server> Party<S> {
    pub(super) fn new(
        kit: Arc<Kit>,
        name: Arc<str>,
        options: PartyOptions,
        make: impl Fn() -> S + MaybeSend + MaybeSync + 'static,
    ) -> Self {
        Self {
            gate: Gate::new(name, options, make()),
            make: Arc::new(make),
            kit,
            rooms: Mutex::default(),
        }
    }
}

impl<S: Server> AnyParty for Party<S> {
    fn gate(&self) -> &dyn AnyGate {
        &self.gate
    }

    fn room(&self, name: &str) -> Arc<dyn AnyRoom> {
        let mut rooms = lock(&self.rooms);
        if let Some(room) = rooms.get(name) {
            return Arc::clone(room) as _;
        }
        let name: Arc<str> = name.into();
        let names = (Arc::clone(self.gate.name()), Arc::clone(&name));
        let options = self.gate.options().clone();
        let room = RoomCell::new(&self.kit, names, options, Arc::clone(&self.make));
        rooms.insert(name, Arc::clone(&room));
        room
    }
}
