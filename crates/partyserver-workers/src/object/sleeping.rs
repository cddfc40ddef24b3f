//! What a socket carries through the object's sleep.
//!
//! The platform keeps up to 16,384 bytes with each hibernating socket. A record
//! that is larger goes to the object's storage under the connection's internal
//! id, and is deleted when the connection ends.

use std::sync::{Arc, Mutex};

use partyserver::host::{ConnectionPort, ConnectionRecord};
use partyserver::{Attachments, Close, Lifetime};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::js::Socket;
use crate::room::ObjectRoom;
use crate::socket::{Conn, Deadline};
use crate::task;

/// The text of an attachment.
#[derive(Serialize, Deserialize)]
struct Attached {
    key: u64,
    /// The deadline: milliseconds since 1970, code and reason.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    end: Option<(u64, u16, String)>,
    /// Absent when it is in storage.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    record: Option<Record>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    id: String,
    tags: Vec<String>,
    uri: String,
    attachments: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    state: Option<Box<RawValue>>,
}

/// Attaches a connection's record to its socket.
pub(crate) fn store(conn: &Conn, room: &ObjectRoom) {
    if conn.has_left() {
        return;
    }
    let Some(mut attached) = describe(conn) else {
        return unkept(conn, "it can't be written as JSON");
    };
    if try_attach(conn.socket(), &attached) {
        if conn.is_spilled.replace(false) {
            room.storage().forget(&storage_key(attached.key));
        }
        return;
    }
    let record = serde_json::to_string(&attached.record.take()).unwrap_or_default();
    let kept = room.storage().keep(&storage_key(attached.key), &record);
    conn.is_spilled.set(true);
    if !try_attach(conn.socket(), &attached) {
        return unkept(conn, "the platform does not take it");
    }
    let conn = conn.shared();
    task::spawn(async move {
        if let Err(error) = kept.await {
            unkept(&conn, &error.to_string());
        }
    });
}

/// A connection that would not be the same after the object's sleep is ended.
fn unkept(conn: &Conn, problem: &str) {
    tracing::error!(problem, "a connection's record can't be kept");
    conn.revoke(Close::new(Close::INTERNAL_ERROR, ""));
}

/// Deletes what [`store`] put in storage.
pub(crate) fn discard(conn: &Conn, room: &ObjectRoom) {
    if conn.is_spilled.replace(false) {
        room.storage().forget(&storage_key(conn.key()));
    }
}

/// Has a socket left out after the object's sleep: the room was told of its end.
pub(crate) fn mark_as_told(socket: &Socket) {
    // It fails only when the socket has ended by itself.
    let _ = socket.attach(TOLD);
}

/// What a socket is that was there before the object woke.
pub(crate) enum Restored {
    Connection(Arc<Conn>),
    /// The room was told of its end.
    Told,
    /// Its attachment can't be understood.
    Unknown,
}

pub(crate) async fn restore(socket: Socket, room: &Arc<ObjectRoom>) -> Restored {
    let attached = socket.attached().ok();
    match attached.and_then(|attached| attached.as_string()) {
        Some(text) if text == TOLD => Restored::Told,
        Some(text) => connection(&text, socket, room)
            .await
            .map_or(Restored::Unknown, Restored::Connection),
        None => Restored::Unknown,
    }
}

async fn connection(text: &str, socket: Socket, room: &Arc<ObjectRoom>) -> Option<Arc<Conn>> {
    let attached: Attached = serde_json::from_str(text).ok()?;
    let is_spilled = attached.record.is_none();
    let record = match attached.record {
        Some(record) => record,
        None => {
            let text = room.storage().kept(&storage_key(attached.key)).await?;
            serde_json::from_str::<Option<Record>>(&text).ok()??
        }
    };
    let record = ConnectionRecord {
        key: attached.key,
        id: record.id,
        tags: record.tags,
        uri: record.uri.parse().ok()?,
        party: room.party_name(),
        room: room.room_name(),
        attachments: Attachments::decode(record.attachments.get()).ok()?,
        state: Mutex::new(record.state),
    };
    let deadline = attached.end.map(|(at, code, reason)| Deadline {
        at,
        close: Close::new(code, reason),
    });
    let conn = Conn::new(record, socket, Arc::downgrade(room), true, deadline);
    conn.is_spilled.set(is_spilled);
    Some(conn)
}

/// Deletes what sockets have left in storage that ended without a word: by a crash
/// or a deployment.
pub(crate) async fn discard_strays(room: &ObjectRoom) {
    let prefix = format!("{}{CONNECTION}", partyserver::host::RESERVED);
    let Ok(keys) = room.storage().kept_keys(&prefix).await else {
        // They are found when the object wakes the next time.
        return;
    };
    for stray in keys {
        let key = stray.strip_prefix(&prefix).and_then(|key| key.parse().ok());
        if key.is_none_or(|key| room.held(key).is_none()) {
            room.storage().forget(&stray);
        }
    }
}

fn describe(conn: &Conn) -> Option<Attached> {
    let record = conn.as_record();
    let attachments = record.attachments.encode(Lifetime::Connection).ok()?;
    Some(Attached {
        key: record.key,
        end: conn.deadline().map(|deadline| {
            let close = deadline.close;
            (deadline.at, close.code(), close.reason().to_owned())
        }),
        record: Some(Record {
            id: record.id.clone(),
            tags: record.tags.clone(),
            uri: record.uri.to_string(),
            attachments: RawValue::from_string(attachments).ok()?,
            state: record.state(),
        }),
    })
}

fn try_attach(socket: &Socket, attached: &Attached) -> bool {
    serde_json::to_string(attached).is_ok_and(|text| socket.attach(&text).is_ok())
}

fn storage_key(key: u64) -> String {
    format!("{}{CONNECTION}{key}", partyserver::host::RESERVED)
}

const CONNECTION: &str = "connection:";
const TOLD: &str = "told";
