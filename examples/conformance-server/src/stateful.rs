//! `stateful` and `hibernating-stateful`: the state of a connection.

use std::time::Duration;

use partyserver::wrap::renew;
use partyserver::{
    Close, Connection, Context, Handshake, Message, Request, Response, Result, Server, answer,
};
use serde::{Deserialize, Serialize};
use serde_json::json as value;

/// Counts per connection, in the connection's own state, and renews a connection on
/// request.
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

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        if let Some(millis) = message.as_text()?.strip_prefix("renew:") {
            let until = cx.now() + Duration::from_millis(millis.parse()?);
            let is_open = renew(from, until, Close::new(4001, "not renewed"));
            from.send(value!({ "renewed": is_open }))?;
            return Ok(());
        }
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
