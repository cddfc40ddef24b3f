//! `tags` and `hibernating-tags`: what a connection carries.

use partyserver::{Connection, Context, Handshake, Message, Result, Server};
use serde_json::json as value;

use crate::instance::instance_id;

/// Gives each connection two tags. Answers what a connection has, and which connections
/// have a tag.
#[derive(Debug)]
pub struct Tags {
    instance: String,
}

impl Default for Tags {
    fn default() -> Self {
        Self {
            instance: instance_id(),
        }
    }
}

impl Server for Tags {
    async fn connection_tags(&mut self, _: &Context, _: &Handshake) -> Result<Vec<String>> {
        Ok(vec!["role-a".into(), "role-b".into()])
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        match message.as_text()? {
            "tags" => from.send(value!(from.tags()))?,
            "instance" => from.send(value!(self.instance))?,
            "uri" => from.send(from.uri().to_string())?,
            text => {
                if let Some(tag) = text.strip_prefix("tagged ") {
                    let tagged = cx.room().connections_tagged(tag);
                    let ids: Vec<_> = tagged.iter().map(Connection::id).collect();
                    from.send(value!(ids))?;
                }
            }
        }
        Ok(())
    }
}
