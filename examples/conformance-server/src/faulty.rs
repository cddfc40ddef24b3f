//! `faulty`: hooks that fail, panic, or never end.

use partyserver::{Connection, Context, Error, Message, Request, Response, Result, Server, json};
use serde_json::json as value;

use crate::instance::instance_id;

/// Fails as it is told to.
#[derive(Debug)]
pub struct Faulty {
    instance: String,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            instance: instance_id(),
        }
    }
}

impl Server for Faulty {
    async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
        fail(message.as_text()?).await?;
        from.send(value!({ "instance": self.instance }))?;
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        fail(request.uri().path().rsplit('/').next().unwrap_or_default()).await?;
        json(&value!({ "instance": self.instance }))
    }
}

async fn fail(how: &str) -> Result<()> {
    match how {
        "panic" => panic!("the hook panics, as it was told to"),
        "error" => Err(Error::msg("the hook fails, as it was told to")),
        "slow" => std::future::pending().await,
        _ => Ok(()),
    }
}
