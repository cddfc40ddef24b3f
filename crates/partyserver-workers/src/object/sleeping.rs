//! What is kept with a socket while the object sleeps.
//!
//! The platform keeps up to 16,384 bytes with each hibernating socket. A larger record
//! goes to the object's storage under the connection's internal id. It is deleted when
//! the connection ends.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use partyserver::Close;
use partyserver::host::RESERVED;
use partyserver::host::closing;
use partyserver::host::record::Sleeping;
use wasm_bindgen::JsCast;

use super::connection::Conn;
use super::room::ObjectRoom;
use super::storage::ObjectStorage;
use super::turns::Turns;
use crate::platform::js::Socket;
use crate::platform::task;

/// Attaches a connection's record to its socket.
pub(super) fn store(conn: &Conn, storage: &ObjectStorage) {
    if conn.is_told() {
        return;
    }
    if let Err(problem) = try_store(conn, storage) {
        unkept(conn, &problem);
    }
}

fn try_store(conn: &Conn, storage: &ObjectStorage) -> Result<(), String> {
    let in_json = |error: serde_json::Error| error.to_string();
    let mut sleeping = conn.asleep().map_err(in_json)?;
    if attach(conn, &sleeping).is_ok() {
        discard(conn, storage);
        return Ok(());
    }
    let record = sleeping.take_record().map_err(in_json)?;
    let kept = storage.keep(&storage_key(conn.key()), &record);
    conn.is_spilled.set(true);
    attach(conn, &sleeping)?;
    let conn = conn.shared();
    task::spawn(async move {
        if let Err(error) = kept.await {
            unkept(&conn, &error.to_string());
        }
    });
    Ok(())
}

fn attach(conn: &Conn, sleeping: &Sleeping) -> Result<(), String> {
    let text = sleeping.text().map_err(|error| error.to_string())?;
    let attached = conn.socket().attach(&text);
    attached.map_err(|_| "the platform does not take it".to_owned())
}

/// Ends a connection whose record can't be kept, because it would be different after
/// the object's sleep.
fn unkept(conn: &Conn, problem: &str) {
    tracing::error!(problem, "a connection's record can't be kept");
    conn.handle().revoke(closing::cannot_be_kept());
}

/// Deletes what [`store`] has put in storage.
pub(super) fn discard(conn: &Conn, storage: &ObjectStorage) {
    if conn.is_spilled.replace(false) {
        storage.forget(&storage_key(conn.key()));
    }
}

/// Marks a socket so that it is left out after the object's sleep: the room was told of
/// its end.
pub(super) fn mark_as_told(socket: &Socket) {
    // This fails only if the socket has ended by itself.
    let _ = socket.attach(TOLD);
}

/// Whether the sockets from before the object slept are connections again.
#[derive(Default)]
pub(super) struct Restoring {
    is_done: Cell<bool>,
    /// Callers that come meanwhile wait here until it is done.
    turns: Rc<Turns>,
}

impl Restoring {
    pub(super) fn is_done(&self) -> bool {
        self.is_done.get()
    }

    /// Takes back the connections that were there before the object woke. A connection
    /// whose record can't be understood is closed, because it has no identity.
    pub(super) async fn run(&self, room: &Rc<ObjectRoom>) {
        if self.is_done() {
            return;
        }
        let turn = self.turns.turn();
        turn.begin().await;
        if self.is_done() {
            return;
        }
        let mut woken = Vec::new();
        for socket in room.state().get_websockets().unwrap_or_default() {
            let socket: Socket = socket.unchecked_into();
            // A socket that has joined since then has its key already.
            if socket.key().is_some() {
                continue;
            }
            match wake(socket.clone(), room).await {
                Woken::Connection(conn) => woken.push(conn),
                Woken::Told => {}
                Woken::Unknown => {
                    let party = room.place().party;
                    tracing::error!(party, "a socket's attachment can't be understood");
                    let _ = socket.close(Close::INTERNAL_ERROR, "");
                }
            }
        }
        room.connections.take_back(woken);
        self.is_done.set(true);
        // The platform's alarm may be set to the wrong time.
        room.alarm.look_again();
        let room = Rc::clone(room);
        task::spawn(async move { discard_strays(&room).await });
    }
}

/// The kinds of sockets that were there before the object woke.
enum Woken {
    Connection(Arc<Conn>),
    /// The room was told of its end.
    Told,
    /// Its attachment can't be understood.
    Unknown,
}

async fn wake(socket: Socket, room: &Rc<ObjectRoom>) -> Woken {
    let attached = socket.attached().ok();
    match attached.and_then(|attached| attached.as_string()) {
        Some(text) if text == TOLD => Woken::Told,
        Some(text) => connection(&text, socket, room)
            .await
            .map_or(Woken::Unknown, Woken::Connection),
        None => Woken::Unknown,
    }
}

async fn connection(text: &str, socket: Socket, room: &Rc<ObjectRoom>) -> Option<Arc<Conn>> {
    let mut sleeping = Sleeping::read(text)?;
    let is_spilled = sleeping.is_split();
    if is_spilled {
        let record = room.storage.kept(&storage_key(sleeping.key())).await?;
        sleeping = sleeping.with_record(&record)?;
    }
    let (record, life) = sleeping.wake(room.names())?;
    let conn = Conn::new((record, life), socket, Rc::downgrade(room), true);
    conn.is_spilled.set(is_spilled);
    Some(conn)
}

/// Deletes the stored records of sockets that ended without an event, because of a
/// crash or a deployment.
async fn discard_strays(room: &ObjectRoom) {
    let prefix = format!("{RESERVED}{CONNECTION}");
    let Ok(keys) = room.storage.kept_keys(&prefix).await else {
        // They are found when the object wakes the next time.
        return;
    };
    for stray in keys {
        let key = stray.strip_prefix(&prefix).and_then(|key| key.parse().ok());
        if key.is_none_or(|key| room.connections.held(key).is_none()) {
            room.storage.forget(&stray);
        }
    }
}

fn storage_key(key: u64) -> String {
    format!("{RESERVED}{CONNECTION}{key}")
}

const CONNECTION: &str = "connection:";
const TOLD: &str = "told";
