//! `slow` and `hibernating-slow`: hooks that take their time.

use std::time::Duration;

use partyserver::{
    CloseEvent, Connection, Context, Message, Request, Response, Result, Server, answer,
};

/// Keeps a list of what it saw, in order.
#[derive(Debug, Default)]
pub struct Slow {
    seen: Vec<String>,
}

impl Server for Slow {
    /// `wait` takes a second, `close` closes. For a long message, only its length is
    /// kept.
    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        let text = message.as_text()?;
        match text {
            "wait" => cx.room().sleep(A_WHILE).await,
            "close" => from.close(4000, "as asked"),
            _ => {}
        }
        self.seen.push(match text.len() {
            ..100 => text.to_owned(),
            long => long.to_string(),
        });
        Ok(())
    }

    async fn on_close(&mut self, _: &Context, _: &Connection, event: CloseEvent) -> Result<()> {
        self.seen.push(format!("closed {}", event.code));
        Ok(())
    }

    /// `/alarm` sets an alarm that is due while the hook runs, and removes it.
    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        if request.uri().path().ends_with("/alarm") {
            cx.room().set_alarm(cx.now() + A_WHILE / 4).await?;
            cx.room().sleep(A_WHILE).await;
            cx.room().delete_alarm().await?;
        }
        answer::json(&self.seen)
    }

    async fn on_alarm(&mut self, _: &Context) -> Result<()> {
        self.seen.push("alarm".to_owned());
        Ok(())
    }
}

const A_WHILE: Duration = Duration::from_secs(1);
