//! Rooms whose hooks do what no hook should.

use std::fs::File;

use partyserver::{Connection, Context, Message, Result, Server};

/// Does what a text asks for. Any other text is echoed.
#[derive(Default)]
pub(super) struct Misbehaving {
    opened: Vec<File>,
}

impl Server for Misbehaving {
    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        match message.as_text()? {
            "panic" => panic!("as told"),
            "never" => std::future::pending().await,
            // This never waits for anything.
            "flood" => loop {
                cx.room().broadcast(FLOOD);
            },
            "flood one" => loop {
                // The client is closed because it is too slow, and the hook ignores
                // that.
                let _ = from.send(FLOOD);
            },
            "flood and wait" => loop {
                cx.room().broadcast(FLOOD);
                tokio::task::yield_now().await;
            },
            "take descriptors" => {
                while let Ok(file) = File::open("/dev/null") {
                    self.opened.push(file);
                }
                from.send("taken")?;
            }
            "give descriptors" => {
                self.opened.clear();
                from.send("given")?;
            }
            _ => from.send(message)?,
        }
        Ok(())
    }
}

const FLOOD: &str = "more and more and more and more and more and more and more and more";
