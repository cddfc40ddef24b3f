//! What operators are told: who was admitted, refused and sent away, and why. A token
//! is never logged.

use oauth2_jwt_bearer::Claims;
use partyserver::{Attachments, Connection, Context, Lobby, Room, loggable};

use crate::identity::Identity;

/// At level `debug`, because there is one line for each HTTP request.
pub(crate) fn admitted(lobby: &Lobby, claims: Option<&Claims>) {
    // The values are computed only if the line is wanted.
    tracing::debug!(
        party = lobby.party(),
        room = loggable(lobby.room_name()),
        sub = Who::of(claims).sub,
        act = Who::of(claims).act,
        "admitted"
    );
}

/// A request or upgrade was refused at the gate.
pub(crate) fn refused_at_gate(lobby: &Lobby, claims: Option<&Claims>, code: &'static str) {
    refused(lobby.party(), lobby.room_name(), Who::of(claims), code);
}

/// A request or upgrade was refused by its room.
pub(crate) fn refused_in_room(cx: &Context, code: &'static str) {
    let who = Who::with(cx.attachments());
    refused(cx.room().party(), cx.room().name(), who, code);
}

fn refused(party: &str, room: &str, who: Who, code: &'static str) {
    tracing::info!(
        party,
        room = loggable(room),
        sub = who.sub,
        act = who.act,
        code,
        "refused"
    );
}

pub(crate) fn connected(connection: &Connection) {
    let who = Who::with(Some(connection.attachments()));
    tracing::info!(
        party = connection.party(),
        room = loggable(connection.room_name()),
        connection = loggable(connection.id()),
        sub = who.sub,
        act = who.act,
        "connected"
    );
}

/// A connection lost the right to be there.
pub(crate) fn sent_away(connection: &Connection, code: &'static str) {
    let who = Who::with(Some(connection.attachments()));
    tracing::info!(
        party = connection.party(),
        room = loggable(connection.room_name()),
        connection = loggable(connection.id()),
        sub = who.sub,
        act = who.act,
        code,
        "sent away"
    );
}

pub(crate) fn id_token_left_out(lobby: &Lobby, claims: &Claims, code: &'static str) {
    let who = Who::of(Some(claims));
    tracing::info!(
        party = lobby.party(),
        room = loggable(lobby.room_name()),
        sub = who.sub,
        act = who.act,
        code,
        "an ID token was left out"
    );
}

pub(crate) fn owner_unknown(room: &Room, error: &partyserver::Error) {
    tracing::warn!(
        party = room.party(),
        room = loggable(room.name()),
        error = loggable(&error.to_string()),
        "the owner can't be read after a claim"
    );
}

/// The caller whose event it is, and who acts for the caller, if that is known.
struct Who {
    sub: Option<String>,
    act: Option<String>,
}

impl Who {
    fn of(claims: Option<&Claims>) -> Self {
        Self {
            sub: claims.map(|claims| loggable(claims.subject())),
            act: claims.and_then(Claims::actor).map(loggable),
        }
    }

    fn with(attachments: Option<&Attachments>) -> Self {
        let identity = attachments.and_then(Attachments::get::<Identity>);
        Self::of(identity.as_ref().map(|identity| identity.claims()))
    }
}
