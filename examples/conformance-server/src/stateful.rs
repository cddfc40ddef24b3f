//! `stateful` and `hibernating-stateful`: the state of a connection.

use partyserver::{
    Connection, Context, Handshake, Message, Request, Response, Result, Server, answer,
};
use serde::{Deserialize, Serialize};
use serde_json::json as value;

/// Counts per connection, in the connection's own state.
#[derive(Debug, Default)]
pub struct Stateful;

#[derive(Default, Deserialize, Serialize)]
struct Counter {
    count: u64,
}

impl Server for Stateful {
    async fn on_connect(
        &mut self,
        cx: &Context,
        connection: &Connection,
        _: &Handshake,
    ) -> Result<()> {
        connection.set_state(&Counter { count: 1 })?;
        connection.send(value!({ "name": cx.room().name() }))?;
        Ok(())
    }

    async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
        let counter = match message.as_text()? {
            "get" => from.state().unwrap_or_default(),
            "increment" => from.update_state(|counter: Option<Counter>| Counter {
                count: counter.unwrap_or_default().count + 1,
            })?,
            _ => return Ok(()),
        };
        from.send(serde_json::to_string(&counter)?)?;
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        answer::json(&value!({ "name": cx.room().name() }))
    }
}
