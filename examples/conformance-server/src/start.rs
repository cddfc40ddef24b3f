//! `on-start-server`, `hibernating-on-start-server` and `failing-start`: nothing is
//! handled before the start has ended, and a start that failed is tried again.

use std::time::Duration;

use partyserver::{
    Connection, Context, Error, Handshake, Message, Request, Response, Result, Server, answer,
};
use serde_json::json as value;

/// Takes 300 ms to start, and counts its starts.
#[derive(Debug, Default)]
pub struct OnStartServer {
    counter: u64,
}

impl Server for OnStartServer {
    async fn on_start(&mut self, cx: &Context) -> Result<()> {
        cx.room().sleep(Duration::from_millis(300)).await;
        self.counter += 1;
        Ok(())
    }

    async fn on_connect(
        &mut self,
        cx: &Context,
        connection: &Connection,
        _: &Handshake,
    ) -> Result<()> {
        connection.send(self.counter.to_string())?;
        connection.send(format!(
            "connected:{}:{}",
            cx.room().name(),
            connection.room_name()
        ))?;
        Ok(())
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        match message.as_text()? {
            "name" => from.send(format!("name:{}:{}", cx.room().name(), from.room_name()))?,
            _ => from.send(format!("counter:{}", self.counter))?,
        }
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, _: Request) -> Result<Response> {
        Ok(answer::text(http::StatusCode::OK, self.counter.to_string()))
    }
}

/// Fails to start the first time.
#[derive(Debug, Default)]
pub struct FailingStart {
    counter: u64,
    failures: u64,
}

impl Server for FailingStart {
    async fn on_start(&mut self, _: &Context) -> Result<()> {
        self.counter += 1;
        if self.counter == 1 {
            self.failures += 1;
            return Err(Error::msg("the first start fails"));
        }
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, _: Request) -> Result<Response> {
        answer::json(&value!({ "counter": self.counter, "failCount": self.failures }))
    }
}
