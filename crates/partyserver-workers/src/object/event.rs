//! How the events of a room end: each exactly once, and in one place for every outcome.
//! Upgrades are in a file of their own.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

use partyserver::host::Finish;
use partyserver::host::failure::Failure;
use partyserver::{Connection, Response, Result};
use wasm_bindgen::JsValue;

use super::connection::Conn;
use super::room::ObjectRoom;
use super::wire;
use crate::platform::http as to_http;
use crate::platform::js::random_id;

/// What is needed to end an event, whatever the outcome. The task has it, and so does
/// the code that cleans up after a panic.
pub(super) trait Ending<T> {
    /// Concludes the event after a result, an error or a panic. Returns its answer.
    fn conclude(&self, room: &ObjectRoom, outcome: Result<Result<T>, Failure>) -> JsValue;
}

/// The end of a request: its answer.
pub(super) struct Answered(pub(super) Finish);

impl Ending<Response> for Answered {
    fn conclude(&self, room: &ObjectRoom, outcome: Result<Result<Response>, Failure>) -> JsValue {
        let answer = Failure::of(outcome)
            .unwrap_or_else(|failure| failure.to_response(&random_id(), room.place()));
        to_http::response(self.0.apply(answer))
    }
}

/// The end of a message, with its sender as soon as that is known.
#[derive(Default)]
pub(super) struct Handled(pub(super) OnceCell<Connection>);

impl Ending<()> for Handled {
    fn conclude(&self, room: &ObjectRoom, outcome: Result<Result<()>, Failure>) -> JsValue {
        wire::forget_received();
        match (Failure::of(outcome), self.0.get()) {
            (Ok(()), _) => {}
            (Err(failure), Some(sender)) => failure.close(&random_id(), room.place(), sender),
            (Err(failure), None) => failure.log(&random_id(), room.place(), None),
        }
        JsValue::NULL
    }
}

/// The end of a socket, with its connection as soon as that is known. Nobody is left to
/// be told of a failure.
#[derive(Default)]
pub(super) struct Left(pub(super) OnceCell<Arc<Conn>>);

impl Ending<()> for Left {
    fn conclude(&self, room: &ObjectRoom, outcome: Result<Result<()>, Failure>) -> JsValue {
        let conn = self.0.get();
        let connection = conn.map(|conn| conn.handle());
        log_failure(room, outcome, connection.as_ref());
        if let Some(conn) = conn {
            room.leave(conn);
        }
        JsValue::NULL
    }
}

/// The end of an alarm: whether it succeeded.
pub(super) struct Rung(pub(super) Rc<Cell<bool>>);

impl Ending<()> for Rung {
    fn conclude(&self, room: &ObjectRoom, outcome: Result<Result<()>, Failure>) -> JsValue {
        self.0.set(matches!(outcome, Ok(Ok(()))));
        log_failure(room, outcome, None);
        JsValue::NULL
    }
}

/// The end of an event that nobody waits for.
pub(super) struct Unheard;

impl Ending<()> for Unheard {
    fn conclude(&self, room: &ObjectRoom, outcome: Result<Result<()>, Failure>) -> JsValue {
        log_failure(room, outcome, None);
        JsValue::NULL
    }
}

/// Logs the failure of an event when nobody is left to be told of it.
fn log_failure(
    room: &ObjectRoom,
    outcome: Result<Result<()>, Failure>,
    connection: Option<&Connection>,
) {
    if let Err(failure) = Failure::of(outcome) {
        failure.log(&random_id(), room.place(), connection);
    }
}
