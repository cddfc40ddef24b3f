//! Rooms: the turns of each, what its code reaches, and all rooms of a server.

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
    /// Those that are open.
    fn connections(&self) -> &Connections;
    /// Answers a request in a turn of its own. A client that goes away while it
    /// waits is forgotten; a turn that has begun runs to its end.
    fn request(
        self: Arc<Self>,
        request: Request,
        attachments: Attachments,
    ) -> BoxFuture<'static, Response>;
    /// Likewise for an upgrade. Once it has joined, `start` is called, even when the
    /// client has gone meanwhile.
    fn connect(
        self: Arc<Self>,
        handshake: Handshake,
        attachments: Attachments,
        start: Start,
    ) -> BoxFuture<'static, Result<(), Box<Refusal>>>;
    /// Runs the alarm, and says what is to be stored then. `None` when it was set anew or
    /// removed before its turn came.
    fn alarm(self: Arc<Self>) -> BoxFuture<'static, Option<Next>>;
    /// Waits until the turns that run or wait now have ended.
    fn settle(&self) -> BoxFuture<'_, ()>;
}
