//! The rooms of each party, without the type of its server, and the rooms of all
//! parties.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use partyserver::{PartyOptions, Server};

use super::AnyRoom;
use super::alarms::Alarms;
use super::cell::{RoomCell, Shared, Sleep};
use super::port::Ground;
use crate::failure::panic_text;
use crate::host::Host;
use crate::socket::connection::QueueLimits;
use crate::store::RoomName;

/// The rooms of all parties, in the order in which the parties were added.
pub(crate) struct AllRooms {
    pub(super) host: Arc<Host>,
    pub(super) alarms: Arc<Alarms>,
    parties: Vec<Box<dyn AnyRooms>>,
}

impl AllRooms {
    pub(crate) fn new(host: Arc<Host>) -> Self {
        Self {
            host,
            alarms: Arc::default(),
            parties: Vec::new(),
        }
    }

    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Adds a party.
    pub(crate) fn add<S: Server>(
        &mut self,
        name: Arc<str>,
        options: PartyOptions,
        factory: Box<dyn Fn() -> S + Send + Sync>,
    ) {
        let ground = Ground {
            host: Arc::clone(&self.host),
            alarms: Arc::clone(&self.alarms),
            props: options.props.clone().map(Arc::new),
            queues: QueueLimits::of(&options),
        };
        let shared = Arc::new(Shared {
            factory,
            options,
            started: AtomicU64::new(0),
            began: Instant::now(),
        });
        self.parties.push(Box::new(Rooms {
            name,
            shared,
            ground,
            rooms: DashMap::new(),
        }));
    }

    /// A room for a client, who may be a stranger. `None` when the room is not in
    /// memory and the party has too many rooms.
    pub(crate) fn for_client(&self, party: usize, name: &str) -> Option<Arc<dyn AnyRoom>> {
        self.parties[party].room_for_client(name)
    }

    /// A room. `None` when its party is not served.
    pub(super) fn room(&self, name: &RoomName) -> Option<Arc<dyn AnyRoom>> {
        let mut parties = self.parties.iter();
        let party = parties.find(|party| *party.name() == *name.party)?;
        Some(party.room(&name.room))
    }

    /// The rooms in memory.
    pub(crate) fn all(&self) -> impl Iterator<Item = Arc<dyn AnyRoom>> {
        self.parties.iter().flat_map(|party| party.all())
    }

    /// How many rooms are in memory, awake or asleep.
    pub(crate) fn in_memory(&self) -> usize {
        self.parties.iter().map(|party| party.in_memory()).sum()
    }

    /// How many times a room's server was made.
    pub(crate) fn started(&self) -> u64 {
        self.parties.iter().map(|party| party.started()).sum()
    }

    /// Lets unused rooms fall asleep or leave memory.
    pub(super) fn sweep(&self) {
        for party in &self.parties {
            party.sweep();
        }
    }
}

/// The rooms of a party of any server.
trait AnyRooms: Send + Sync {
    fn name(&self) -> &str;
    fn room(&self, name: &str) -> Arc<dyn AnyRoom>;
    fn room_for_client(&self, name: &str) -> Option<Arc<dyn AnyRoom>>;
    fn all(&self) -> Vec<Arc<dyn AnyRoom>>;
    fn in_memory(&self) -> usize;
    fn started(&self) -> u64;
    fn sweep(&self);
}

/// The rooms of a party.
struct Rooms<S> {
    name: Arc<str>,
    shared: Arc<Shared<S>>,
    ground: Ground,
    rooms: DashMap<Arc<str>, Arc<RoomCell<S>>>,
}

impl<S: Server> AnyRooms for Rooms<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn room(&self, name: &str) -> Arc<dyn AnyRoom> {
        if let Some(cell) = self.rooms.get(name) {
            return Arc::clone(cell.value()) as _;
        }
        let name: Arc<str> = name.into();
        let entry = self.rooms.entry(Arc::clone(&name)).or_insert_with(|| {
            let name = RoomName {
                party: Arc::clone(&self.name),
                room: name,
            };
            RoomCell::new(Arc::clone(&self.shared), name, &self.ground)
        });
        Arc::clone(entry.value()) as _
    }

    fn room_for_client(&self, name: &str) -> Option<Arc<dyn AnyRoom>> {
        let is_full = self.rooms.len() >= self.shared.options.max_rooms;
        if is_full && !self.rooms.contains_key(name) {
            return None;
        }
        Some(self.room(name))
    }

    fn all(&self) -> Vec<Arc<dyn AnyRoom>> {
        self.rooms
            .iter()
            .map(|entry| Arc::clone(entry.value()) as _)
            .collect()
    }

    fn in_memory(&self) -> usize {
        self.rooms.len()
    }

    fn started(&self) -> u64 {
        self.shared.started.load(Ordering::Relaxed)
    }

    fn sweep(&self) {
        let now = self.shared.millis();
        let mut left: Vec<Box<dyn Any + Send>> = Vec::new();
        // While the map is locked, nobody else can be given the room.
        self.rooms.retain(|_, cell| match cell.fall_asleep(now) {
            Sleep::Leaves if Arc::strong_count(cell) == 1 => {
                left.push(Box::new(Arc::clone(cell)));
                false
            }
            Sleep::Asleep(server) => {
                left.push(server);
                true
            }
            Sleep::Leaves | Sleep::Stays => true,
        });
        // Dropped after the lock is released, because some of the values belong to the
        // application.
        for left in left {
            if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| drop(left))) {
                let panic = panic_text(&*panic);
                tracing::error!(
                    party = &*self.name,
                    panic,
                    "a room that fell asleep panicked"
                );
            }
        }
    }
}
