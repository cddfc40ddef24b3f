//! An alarm runs when it is due, and once, whatever the store or another room does.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::StatusCode;
use partyserver::*;
use partyserver_native::Parties;
use support::{TestClock, TestServer, until};

/// Sets its alarm for now on request, and counts its runs.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU32>);

impl Counting {
    fn runs(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Server for Counting {
    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        cx.room().set_alarm(cx.now()).await?;
        Ok(answer::text(StatusCode::OK, "set"))
    }

    async fn on_alarm(&mut self, _: &Context) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_does_not_make_an_alarm_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::default();
    let server = {
        let counting = counting.clone();
        let parties = Parties::new().data(folder.path());
        TestServer::start(parties.party("counting", move || counting.clone())).await
    };
    // From here on no alarm can be removed, as when the disk is full.
    let db = rusqlite::Connection::open(folder.path().join("rooms.sqlite3")).unwrap();
    db.execute_batch(
        "CREATE TRIGGER full BEFORE DELETE ON alarms
         BEGIN SELECT RAISE(FAIL, 'the disk is full'); END",
    )
    .unwrap();
    assert_eq!(server.get("/parties/counting/a").await.0, 200);
    until("it runs", || counting.runs() > 0).await;
    // The room goes on meanwhile.
    assert_eq!(server.get("/parties/counting/b").await.0, 200);
    until("another's runs", || counting.runs() > 1).await;
    db.execute_batch("DROP TRIGGER full").unwrap();
    until("what came of them is stored", || {
        let left = db.query_row("SELECT count(*) FROM alarms", [], |row| row.get(0));
        left == Ok(0)
    })
    .await;
    assert_eq!(counting.runs(), 2, "each ran once");
}

/// Like `Counting`, but the alarms of its slow rooms run until the test ends.
struct Slow(Counting);

impl Server for Slow {
    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        self.0.on_request(cx, request).await
    }

    async fn on_alarm(&mut self, cx: &Context) -> Result<()> {
        self.0.on_alarm(cx).await?;
        if cx.room().name().starts_with("slow") {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_alarms_hold_up_no_other() {
    let counting = Counting::default();
    let server = {
        let counting = counting.clone();
        TestServer::start(Parties::new().party("slow", move || Slow(counting.clone()))).await
    };
    for room in 0..200 {
        server.get(&format!("/parties/slow/slow-{room}")).await;
    }
    until("the slow ones run", || counting.runs() == 200).await;
    for room in 0..3 {
        server.get(&format!("/parties/slow/quick-{room}")).await;
    }
    until("the quick ones run", || counting.runs() == 203).await;
}

/// Its alarm always fails. The room `other` sets its alarm for much later.
struct Failing(Counting);

impl Server for Failing {
    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        let room = cx.room();
        if room.name() == "other" {
            let years = Duration::from_secs(1 << 30);
            room.set_alarm(cx.now() + years).await?;
        } else if self.0.runs() == 0 {
            room.set_alarm(cx.now()).await?;
        }
        answer::json(&room.alarm().await?.is_some())
    }

    async fn on_alarm(&mut self, cx: &Context) -> Result<()> {
        self.0.on_alarm(cx).await?;
        Err(Error::msg("as always"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_that_always_fails_is_given_up_after_six_more_tries() {
    let counting = Counting::default();
    let clock = TestClock::new();
    let server = {
        let counting = counting.clone();
        let parties = Parties::new().clock(clock.clone());
        TestServer::start(parties.party("failing", move || Failing(counting.clone()))).await
    };
    server.get("/parties/failing/a").await;
    until("it runs", || counting.runs() == 1).await;
    // The time moves past the longest pause. An alarm of another room makes the timer
    // look.
    let pass = async || {
        clock.advance(Duration::from_secs(65));
        server.get("/parties/failing/other").await
    };
    let given_up = async {
        while server.get("/parties/failing/a").await.1 != "false" || counting.runs() < 7 {
            pass().await;
        }
    };
    let given_up = tokio::time::timeout(Duration::from_secs(10), given_up).await;
    assert!(given_up.is_ok(), "it ran {} times", counting.runs());
    for _ in 0..10 {
        pass().await;
    }
    assert_eq!(counting.runs(), 7);
    assert_eq!(server.get("/parties/failing/a").await.1, "false");
}
