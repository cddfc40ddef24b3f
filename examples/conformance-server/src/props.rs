//! `props`: a value from the router, known from the start.

use partyserver::{Connection, Context, Handshake, Request, Response, Result, Server, answer};
use serde_json::Value;

/// Answers with the props that it was started with.
#[derive(Debug, Default)]
pub struct Props {
    at_start: Value,
}

impl Server for Props {
    async fn on_start(&mut self, cx: &Context) -> Result<()> {
        self.at_start = cx.props().unwrap_or_default();
        Ok(())
    }

    async fn on_connect(
        &mut self,
        _: &Context,
        connection: &Connection,
        _: &Handshake,
    ) -> Result<()> {
        connection.send(self.at_start.clone())?;
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, _: Request) -> Result<Response> {
        answer::json(&self.at_start)
    }
}
