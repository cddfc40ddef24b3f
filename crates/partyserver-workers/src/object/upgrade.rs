//! Upgrades: from an upgrade that the Worker has admitted to a connection of the room.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use partyserver::host::Finish;
use partyserver::host::admission::{Door, Entry, Newcomer};
use partyserver::host::failure::Failure;
use partyserver::host::life::Life;
use partyserver::host::record::ConnectionRecord;
use partyserver::{Body, Connection, Error, Refusal, Result};
use wasm_bindgen::{JsCast, JsValue};
use worker_sys::types::WebSocketPair;

use super::connection::Conn;
use super::event::Ending;
use super::room::ObjectRoom;
use crate::platform::http::{self as to_http, to_ascii};
use crate::platform::js::{self, Socket};

/// The room's door, for one upgrade.
pub(super) struct Entrance<'r> {
    pub(super) room: &'r Rc<ObjectRoom>,
    /// Whether the platform keeps the socket while the object sleeps.
    pub(super) hibernates: bool,
    /// The class instance in the shim.
    pub(super) object: JsValue,
}

/// A connection that has joined, and its client's end.
#[derive(Clone)]
pub(super) struct Joined {
    conn: Arc<Conn>,
    client: JsValue,
}

impl Entrance<'_> {
    fn accept(&self, server: &Socket) -> Result<(), JsValue> {
        if self.hibernates {
            let state = self.room.state();
            return state.accept_websocket(server.unchecked_ref());
        }
        server.accept()?;
        js::listen(&self.object, server);
        Ok(())
    }
}

impl Door for Entrance<'_> {
    type Joined = Joined;

    fn names(&self) -> (Arc<str>, Arc<str>) {
        self.room.names()
    }

    fn open(&self) -> usize {
        self.room.connections.open().len()
    }

    fn holders(&self, id: &str) -> Vec<Connection> {
        let open = self.room.connections.open();
        let holders = open.iter().filter(|conn| conn.id() == id);
        holders.map(|conn| conn.handle()).collect()
    }

    fn next_key(&self) -> u64 {
        self.room.connections.next_key()
    }

    fn random_id(&self) -> String {
        js::random_id()
    }

    fn join(&self, record: ConnectionRecord) -> Result<Joined> {
        let failed = |thrown: JsValue| Error::msg(js::error_text(&thrown));
        let (client, server) = pair().map_err(failed)?;
        self.accept(&server).map_err(failed)?;
        let room = Rc::downgrade(self.room);
        let conn = Conn::new((record, Life::default()), server, room, self.hibernates);
        conn.store();
        self.room.connections.join(Arc::clone(&conn));
        Ok(Joined { conn, client })
    }

    fn connection(joined: &Joined) -> Connection {
        joined.conn.handle()
    }
}

/// The end of an upgrade: the 101 of a socket that has joined, or a refusal.
pub(super) struct Entered {
    pub(super) newcomer: Newcomer<Joined>,
    pub(super) protocol: Option<String>,
    pub(super) finish: Finish,
}

impl Ending<Entry> for Entered {
    fn conclude(&self, room: &ObjectRoom, outcome: Result<Result<Entry>, Failure>) -> JsValue {
        let newcomer = &self.newcomer;
        match newcomer.conclude::<Entrance<'_>>(outcome, js::random_id, room.place()) {
            Ok(joined) => js::upgrade(&joined.client, self.protocol.as_deref()).into(),
            Err(refusal) => pass_on(*refusal, &self.finish),
        }
    }
}

/// The two ends of a new socket: the client's and ours.
fn pair() -> Result<(JsValue, Socket), JsValue> {
    let mut pair = WebSocketPair::new()?;
    Ok((pair.client()?.into(), pair.server()?.unchecked_into()))
}

/// The answer of an object that makes the Worker refuse the upgrade.
pub(super) fn pass_on(refusal: Refusal, finish: &Finish) -> JsValue {
    let close = refusal.close().and_then(|close| {
        let text = serde_json::to_string(&(close.code(), close.reason())).ok()?;
        HeaderValue::try_from(to_ascii(text)).ok()
    });
    let mut answer = finish.apply(refusal.into_response());
    if let Some(close) = close {
        answer.headers_mut().insert(CLOSE, close);
        // Nobody would read the body, and until then the object would be busy.
        *answer.body_mut() = Body::empty();
    }
    to_http::response(answer)
}

/// The shim knows this name too.
const CLOSE: &str = "x-partyserver-close";
