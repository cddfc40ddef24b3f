//! Rooms whose hooks do what no hook should.

use std::fs::File;

use partyserver::{Connection, Context, Message, Result, Server};

/// Does as it is told to; any other text comes back.
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
            // Without waiting for anything, ever.
            "flood" => loop {
                cx.room().broadcast(FLOOD);
            },
            "flood one" => loop {
                // It is closed as too slow, and the hook does not care.
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
