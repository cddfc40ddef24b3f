//! `closing` and `hibernating-closing`: what the close hook is told, and what it may do.

use partyserver::{
    CloseEvent, Connection, Context, Error, Request, Response, Result, Server, answer,
};
use serde_json::{Value, json as value};

/// Keeps a list of the closes it saw.
#[derive(Debug, Default)]
pub struct Closing {
    events: Vec<Value>,
}

impl Server for Closing {
    async fn on_close(
        &mut self,
        cx: &Context,
        connection: &Connection,
        event: CloseEvent,
    ) -> Result<()> {
        let CloseEvent {
            code,
            reason,
            clean,
            ..
        } = event;
        self.events
            .push(value!({ "code": code, "reason": reason, "clean": clean }));
        match cx.room().name() {
            "throws" => Err(Error::msg("the close hook fails")),
            "closes" => {
                connection.close(4000, "from the hook");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn on_request(&mut self, _: &Context, _: Request) -> Result<Response> {
        answer::json(&self.events)
    }
}
