//! What a hook is given beside its event.

use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::room::Room;
use crate::room::attachments::Attachments;
use crate::room::connection::Connection;
use crate::router::class_name;

/// The room that a hook runs in, and the connection or request whose event it is.
#[derive(Clone, Debug)]
pub struct Context {
    room: Room,
    cause: Cause,
}

/// Whose event a hook runs for.
#[derive(Clone, Debug)]
enum Cause {
    Room,
    Request(Attachments),
    Connection(Connection),
}

impl Context {
    /// For hosts and tests: an event of the room itself (start, alarm, event).
    pub fn for_room(room: Room) -> Self {
        Self {
            room,
            cause: Cause::Room,
        }
    }

    /// For hosts and tests: a request, or a handshake that has no connection yet.
    pub fn for_request(room: Room, attachments: Attachments) -> Self {
        Self {
            room,
            cause: Cause::Request(attachments),
        }
    }

    /// For hosts and tests: an event of a connection.
    pub fn for_connection(room: Room, connection: Connection) -> Self {
        Self {
            room,
            cause: Cause::Connection(connection),
        }
    }

    /// The room.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// The host's wall clock.
    pub fn now(&self) -> SystemTime {
        self.room.now()
    }

    /// The props that the party was registered with. `None` when there are
    /// none, or when they are not a `T`.
    pub fn props<T: DeserializeOwned>(&self) -> Option<T> {
        self.room.props()
    }

    /// The connection whose event this is.
    pub fn connection(&self) -> Option<&Connection> {
        match &self.cause {
            Cause::Connection(connection) => Some(connection),
            Cause::Room | Cause::Request(_) => None,
        }
    }

    /// What the router attached to the request or connection whose event this
    /// is. `None` for an event of the room itself.
    pub fn attachments(&self) -> Option<&Attachments> {
        match &self.cause {
            Cause::Room => None,
            Cause::Request(attachments) => Some(attachments),
            Cause::Connection(connection) => Some(connection.attachments()),
        }
    }
}

/// The router's side of a party: what the before-hooks are given. There is no room yet,
/// and no way to reach one.
#[derive(Clone, Debug)]
pub struct Lobby {
    party: Arc<str>,
    room: String,
    now: SystemTime,
    attachments: Attachments,
}

impl Lobby {
    /// For hosts and tests.
    pub fn new(party: impl Into<Arc<str>>, room: impl Into<String>, now: SystemTime) -> Self {
        Self {
            party: party.into(),
            room: room.into(),
            now,
            attachments: Attachments::default(),
        }
    }

    /// The party, in kebab-case.
    pub fn party(&self) -> &str {
        &self.party
    }

    /// The party as the name of a class: `OnStartServer` for `on-start-server`.
    pub fn class_name(&self) -> String {
        class_name(&self.party)
    }

    /// The name of the room that the request is for.
    pub fn room_name(&self) -> &str {
        &self.room
    }

    /// The wall clock when the request arrived.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Where a before-hook puts values that the room's hooks will find in
    /// [`Context::attachments`].
    pub fn attachments(&self) -> &Attachments {
        &self.attachments
    }
}
