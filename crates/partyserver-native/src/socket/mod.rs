//! Admitted sockets: the connections that rooms see, and the task of each.
//!
//! This module knows the room of a socket only as its [`Inbox`].

pub(crate) mod connection;
pub(crate) mod connections;
mod ending;
pub(crate) mod frames;
pub(crate) mod io;
mod reading;
mod sending;
mod task;
mod time;
mod writing;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use hyper::upgrade::OnUpgrade;
use partyserver::host::ConnectionPort;
use partyserver::host::closing::server_stops;
use partyserver::host::life::Rest;
use partyserver::{BoxFuture, CloseEvent, Error, Message, loggable};
use tokio::sync::OwnedSemaphorePermit;

use self::connection::Conn;
use self::ending::Ended;
use crate::failure;
use crate::limits::Limits;
use crate::stop::Stop;

/// A room, as its sockets see it.
pub(crate) trait Inbox: Send + Sync {
    /// The largest message in bytes.
    fn max_message(&self) -> usize;
    /// Passes a message to the room, in a turn of its own.
    fn message(self: Arc<Self>, conn: Arc<Conn>, message: Message) -> BoxFuture<'static, ()>;
    /// Tells the room that a connection has ended, in a turn of its own.
    fn closed(
        self: Arc<Self>,
        conn: Arc<Conn>,
        event: CloseEvent,
        error: Option<Error>,
    ) -> BoxFuture<'static, ()>;
}

/// Starts the socket of a connection that has joined. The room calls it once, whatever
/// has happened to the client meanwhile.
pub(crate) type Start = Box<dyn FnOnce(Arc<Conn>, Arc<dyn Inbox>) + Send>;

/// A socket whose handshake will be answered next.
pub(crate) struct Arrival {
    pub(crate) upgrade: OnUpgrade,
    pub(crate) limits: Arc<Limits>,
    pub(crate) stop: Stop,
    /// Its place among the server's sockets.
    pub(crate) place: OwnedSemaphorePermit,
}

/// Serves a connection that has joined its room, until its end.
pub(crate) async fn run(arrival: Arrival, conn: Arc<Conn>, room: Arc<dyn Inbox>) {
    let Arrival {
        upgrade,
        limits,
        stop,
        place,
    } = arrival;
    // Either the code that stops the server has seen the connection, or the connection
    // sees the stop.
    if stop.has_begun() {
        conn.close(server_stops(), Rest::Sent);
    }
    drop(stop);
    let record = conn.as_record();
    tracing::debug!(
        party = &*record.party,
        room = loggable(&record.room),
        connection = loggable(&record.id),
        "a socket joined"
    );
    // Whatever happens inside, the connection leaves its room.
    let served = AssertUnwindSafe(task::serve(upgrade, &conn, &room, limits)).catch_unwind();
    let ended = served.await.unwrap_or_else(|panic| {
        let panic = failure::panic_text(&*panic);
        tracing::error!(panic, "serving a socket panicked; the socket is closed");
        Ended::abnormal(Some(Error::msg(panic)))
    });
    conn.gone();
    tracing::debug!(
        party = &*record.party,
        room = loggable(&record.room),
        connection = loggable(&record.id),
        code = ended.event.code,
        clean = ended.event.clean,
        error = ended.error.as_ref().map(ToString::to_string),
        "a socket ended"
    );
    room.closed(Arc::clone(&conn), ended.event, ended.error)
        .await;
    drop(place);
}
