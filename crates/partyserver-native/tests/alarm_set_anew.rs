//! An alarm that runs no longer counts as set. If its hook sets an alarm, even for the
//! same time, that is another alarm.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use partyserver::{Context, Request, Response, Result, Server};
use partyserver_native::{Clock, Parties};
use tokio::sync::mpsc;
use tower_service::Service as _;

struct Still;

impl Clock for Still {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000)
    }
}

/// Sets its alarm three times in all, always for the same time.
struct Repeating {
    runs: u32,
    seen: mpsc::UnboundedSender<Option<SystemTime>>,
}

impl Server for Repeating {
    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        cx.room().set_alarm(cx.room().now()).await?;
        Ok(partyserver::answer::text(http::StatusCode::OK, "set"))
    }

    async fn on_alarm(&mut self, cx: &Context) -> Result<()> {
        self.seen.send(cx.room().alarm().await?)?;
        self.runs += 1;
        if self.runs < 3 {
            cx.room().set_alarm(cx.room().now()).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn an_alarm_that_is_set_by_its_own_hook_runs() {
    let (seen, mut runs) = mpsc::unbounded_channel();
    let mut service = Parties::new()
        .party("repeating", move || Repeating {
            runs: 0,
            seen: seen.clone(),
        })
        .clock(Still)
        .build()
        .unwrap();
    let request = http::Request::get("/parties/repeating/a")
        .header("host", "localhost")
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = service.call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    for _ in 0..3 {
        let run = tokio::time::timeout(Duration::from_secs(10), runs.recv());
        // The alarm is not set while it runs.
        assert_eq!(run.await.unwrap(), Some(None));
    }
}
