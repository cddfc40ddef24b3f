//! Rooms: the turns of each room, what its code can reach, and all rooms of a server.

pub(crate) mod alarms;
mod cell;
mod port;
mod rooms;
pub(crate) mod sweep;
mod to_the_end;

use std::sync::Arc;

use partyserver::host::alarm::Next;
use partyserver::{Attachments, BoxFuture, Handshake, Refusal, Request, Response};

pub(crate) use self::rooms::AllRooms;
use crate::socket::connections::Connections;
use crate::socket::{Inbox, Start};

/// A room of any server.
pub(crate) trait AnyRoom: Inbox {
    /// The open connections.
    fn connections(&self) -> &Connections;
    /// Answers a request in a turn of its own. A client that leaves while it waits is
    /// forgotten. A turn that has begun runs to its end.
    fn request(
        self: Arc<Self>,
        request: Request,
        attachments: Attachments,
    ) -> BoxFuture<'static, Response>;
    /// The same for an upgrade. When the upgrade has joined, `start` is called, even if
    /// the client has left meanwhile.
    fn connect(
        self: Arc<Self>,
        handshake: Handshake,
        attachments: Attachments,
        start: Start,
    ) -> BoxFuture<'static, Result<(), Box<Refusal>>>;
    /// Runs the alarm, and returns the change to store. `None` when the alarm was set
    /// again or removed before its turn came.
    fn alarm(self: Arc<Self>) -> BoxFuture<'static, Option<Next>>;
    /// Waits until the turns that now run or wait have ended.
    fn settle(&self) -> BoxFuture<'_, ()>;
}
