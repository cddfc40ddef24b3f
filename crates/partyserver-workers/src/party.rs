//! A party of one server.

use std::rc::Rc;
use std::sync::Arc;

use partyserver::host::gate::{AnyGate, Gate};
use partyserver::{PartyOptions, Server};
use worker_sys::types::DurableObjectState;

use crate::object::RoomCell;
use crate::room::AnyRoom;
use crate::site::AnyParty;

/// A party: its gate, and the factory for the servers of its rooms.
pub(crate) struct Party<S> {
    gate: Rc<Gate<S>>,
    factory: Rc<dyn Fn() -> S>,
}

impl<S: Server> Party<S> {
    pub(crate) fn new(
        name: Arc<str>,
        options: PartyOptions,
        factory: impl Fn() -> S + 'static,
    ) -> Self {
        Self {
            gate: Rc::new(Gate::new(name, options, factory())),
            factory: Rc::new(factory),
        }
    }
}

impl<S: Server> AnyParty for Party<S> {
    fn gate(&self) -> &dyn AnyGate {
        &*self.gate
    }

    fn room(&self, name: Arc<str>, state: DurableObjectState) -> Rc<dyn AnyRoom> {
        let (gate, factory) = (Rc::clone(&self.gate), Rc::clone(&self.factory));
        RoomCell::of(gate, factory, name, state)
    }
}
