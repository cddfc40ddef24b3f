//! From an upgrade that the gate admitted to a connection of its room.
//!
//! It happens in one turn: nothing comes between the room's decision and the
//! connection's place in it. The steps are private, so no host can skip one.

use std::sync::{Arc, OnceLock};

use super::answer::try_again;
use super::closing;
use super::failure::{Failure, Place};
use super::instance::{Connecting, Instance};
use super::record::ConnectionRecord;
use crate::error::Result;
use crate::http_types::{Handshake, Refusal};
use crate::room::attachments::{Attachments, Principal};
use crate::room::connection::Connection;
use crate::room::tags::is_valid_tag;
use crate::server::Server;

/// The door of a room: what an admission needs from the host.
pub trait Door {
    /// The host's own handle to a connection that has joined.
    type Joined: Clone;

    /// The party and the room.
    fn names(&self) -> (Arc<str>, Arc<str>);
    /// How many connections are open.
    fn open(&self) -> usize;
    /// The open connections with a public id.
    fn holders(&self, id: &str) -> Vec<Connection>;
    /// A key for a new connection. No other connection has it or ever had it.
    fn next_key(&self) -> u64;
    /// A random id.
    fn random_id(&self) -> String;
    /// Makes the connection and puts it at the end of the room's list, as the newest.
    ///
    /// # Errors
    /// When the platform has no socket for it. Then the connection is not in the list.
    fn join(&self, record: ConnectionRecord) -> Result<Self::Joined>;
    /// The connection that has joined.
    fn connection(joined: &Self::Joined) -> Connection;
}

/// One upgrade on its way into its room. The code that cleans up after a panic holds it
/// too.
#[derive(Debug)]
pub struct Newcomer<J>(OnceLock<J>);

impl<J: Clone> Newcomer<J> {
    /// An upgrade that has not joined.
    pub fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Decides on the upgrade and makes the connection, in the turn that the caller
    /// holds. The order is: the room's hooks, the room's size, the public id, the join,
    /// `on_connect`.
    ///
    /// # Errors
    /// The hook's own, and the errors of [`Door::join`]. [`Newcomer::conclude`] decides
    /// what they mean for the client.
    pub async fn enter<S: Server>(
        &self,
        instance: &mut Instance<S>,
        door: &impl Door<Joined = J>,
        max_connections: usize,
        handshake: &Handshake,
        attachments: Attachments,
    ) -> Result<Entry> {
        let tags = match instance.connecting(handshake, attachments.clone()).await? {
            Connecting::Admitted { tags } => tags,
            Connecting::Refused(refusal) => return Ok(Entry(Some(refusal))),
        };
        if door.open() >= max_connections {
            return Ok(Entry(Some(full())));
        }
        let id = public_id(handshake, &attachments, door);
        let tags = std::iter::once(id.clone()).chain(tags).collect();
        let uri = detached(handshake.uri());
        let key = door.next_key();
        let record = ConnectionRecord::new(key, id, tags, uri, door.names(), attachments);
        let connection = self.join(door, record)?;
        // A connection that was closed in between still gets this call, because the
        // room will be told of its end too.
        instance.connected(&connection, handshake).await?;
        Ok(Entry(None))
    }

    /// Joins the room. From here on any failure closes the connection.
    fn join(&self, door: &impl Door<Joined = J>, record: ConnectionRecord) -> Result<Connection> {
        fn connection<D: Door>(_: &D, joined: &D::Joined) -> Connection {
            D::connection(joined)
        }
        let joined = door.join(record)?;
        let connection = connection(door, &joined);
        // An upgrade enters once, so it has not joined already.
        let _ = self.0.set(joined);
        Ok(connection)
    }

    /// The outcome of an upgrade, both after its turn and after a panic. If the upgrade
    /// has joined, a close frame tells the client of a failure; if it has not, it is
    /// refused.
    ///
    /// # Errors
    /// The refusal.
    pub fn conclude<D: Door<Joined = J>>(
        &self,
        outcome: Result<Result<Entry>, Failure>,
        id: impl FnOnce() -> String,
        place: Place<'_>,
    ) -> Result<J, Box<Refusal>> {
        let failure = match (Failure::of(outcome), self.0.get()) {
            (Ok(Entry(Some(refusal))), _) => return Err(Box::new(refusal)),
            (Ok(Entry(None)), Some(joined)) => return Ok(joined.clone()),
            (Ok(Entry(None)), None) => unreachable!("an entry without a refusal has joined"),
            (Err(failure), _) => failure,
        };
        match self.0.get() {
            Some(joined) => {
                failure.close(&id(), place, &D::connection(joined));
                Ok(joined.clone())
            }
            None => Err(Box::new(failure.to_refusal(&id(), place))),
        }
    }
}

impl<J: Clone> Default for Newcomer<J> {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Newcomer::enter`] decided: the upgrade was refused, or it has joined.
#[derive(Debug)]
pub struct Entry(Option<Refusal>);

/// The id that a client asks for in its `_pk` parameter, if it is usable: 1 to 256
/// characters. Whether the client may have the id depends on who holds it.
pub fn requested_id(query: Option<&str>) -> Option<String> {
    let (_, id) = form_urlencoded::parse(query?.as_bytes()).find(|(name, _)| name == "_pk")?;
    is_valid_tag(&id).then(|| id.into_owned())
}

/// The id that a newcomer gets: the one it asks for, unless a stranger holds it.
fn public_id(handshake: &Handshake, attachments: &Attachments, door: &impl Door) -> String {
    let requested = requested_id(handshake.uri().query()).filter(|id| {
        let holders = door.holders(id);
        holders.iter().all(|holder| may_share(attachments, holder))
    });
    requested.unwrap_or_else(|| door.random_id())
}

/// Whether a newcomer may have the id of an open connection. It may only if a wrapper
/// vouches that both are the same principal. So a stranger who guessed an id is never
/// taken for its holder.
fn may_share(newcomer: &Attachments, holder: &Connection) -> bool {
    match (
        newcomer.get::<Principal>(),
        holder.attachments().get::<Principal>(),
    ) {
        (Some(newcomer), Some(holder)) => newcomer == holder,
        _ => false,
    }
}

fn full() -> Refusal {
    try_again("The room is full", closing::room_is_full())
}

/// A copy of a URL in memory of its own. The URL of a request may share the buffer that
/// the whole request was read into, and would keep that buffer alive.
fn detached(uri: &http::Uri) -> http::Uri {
    uri.to_string().parse().unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_id_counts_as_none() {
        let long = format!("_pk={}", "x".repeat(257));
        for (query, id) in [
            (None, None),
            (Some(""), None),
            (Some("_pk="), None),
            (Some(long.as_str()), None),
            (Some("a=b&_pk=me"), Some("me")),
            (Some("_pk=me&_pk=you"), Some("me")),
            (Some("%5Fpk=a%20b"), Some("a b")),
        ] {
            assert_eq!(requested_id(query).as_deref(), id, "{query:?}");
        }
    }
}
