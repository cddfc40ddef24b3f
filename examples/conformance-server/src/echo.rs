//! `echo` and `small`: every frame comes back, type and bytes unchanged.

use partyserver::{Connection, Context, Message, Request, Response, Result, Server};

/// Returns each message, and each request body, to its sender.
#[derive(Debug, Default)]
pub struct Echo;

impl Server for Echo {
    async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
        from.send(message)?;
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        let body = request.into_body().bytes().await?;
        Ok(Response::new(body.into()))
    }
}
