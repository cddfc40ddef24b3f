//! The parts of one server.

use std::sync::Arc;

use partyserver::host::gate::AnyGate;
use partyserver::host::routes::Routes;
use tokio::sync::Semaphore;

use crate::host::Host;
use crate::limits::Limits;
use crate::listen::Listeners;
use crate::listen::places::Places;
use crate::room::AllRooms;
use crate::trust::Trust;

/// A server: its parties, and the places that its clients take.
pub(crate) struct Site {
    pub(crate) host: Arc<Host>,
    pub(crate) routes: Routes,
    /// The gate of each party, in the order of the routes.
    pub(crate) gates: Vec<Box<dyn AnyGate>>,
    /// The rooms of each party, in the same order.
    pub(crate) rooms: Arc<AllRooms>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) listeners: Listeners,
    pub(crate) refused: Arc<Places>,
    /// A permit for each further socket.
    pub(crate) sockets: Arc<Semaphore>,
}

impl Site {
    pub(crate) fn new(
        routes: Routes,
        gates: Vec<Box<dyn AnyGate>>,
        rooms: Arc<AllRooms>,
        trust: Trust,
        limits: Limits,
    ) -> Self {
        let host = Arc::clone(rooms.host());
        let (trust, stop) = (Arc::new(trust), host.stop.clone());
        let sockets = limits.max_sockets_as_permits() as usize;
        let refused = Places::new(limits.max_refused, limits.max_refused_per_address);
        let limits = Arc::new(limits);
        Self {
            host,
            routes,
            gates,
            rooms,
            listeners: Listeners::new(Arc::clone(&trust), Arc::clone(&limits), stop),
            trust,
            limits,
            refused,
            sockets: Arc::new(Semaphore::new(sockets)),
        }
    }
}
