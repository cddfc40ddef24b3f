//! A room that broadcasts everything, and counts who comes and goes.

use partyserver::{
    CloseEvent, Connection, Context, Handshake, Message, Request, Response, Result, Server, answer,
};
use serde_json::json as value;

/// Broadcasts each text. Answers a request with the counts.
#[derive(Default)]
pub(super) struct Crowd {
    joined: usize,
    left: usize,
}

impl Server for Crowd {
    async fn on_connect(&mut self, _: &Context, _: &Connection, _: &Handshake) -> Result<()> {
        self.joined += 1;
        Ok(())
    }

    async fn on_message(&mut self, cx: &Context, _: &Connection, message: Message) -> Result<()> {
        cx.room().broadcast(message);
        Ok(())
    }

    async fn on_close(&mut self, _: &Context, _: &Connection, _: CloseEvent) -> Result<()> {
        self.left += 1;
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        answer::json(&value!({
            "joined": self.joined,
            "left": self.left,
            "here": cx.room().connections().len(),
        }))
    }
}
