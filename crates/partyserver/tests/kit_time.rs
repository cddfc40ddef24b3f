//! The kit's clock: what is due happens in order, each at its own time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use partyserver::host::life::to_millis;
use partyserver::testing::TestRoom;
use partyserver::*;

/// What happened, and how many seconds after the start it happened.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(u64, String)>>>);

impl Log {
    fn add(&self, room: &Room, what: impl Into<String>) {
        let since = room.now().duration_since(START).unwrap();
        self.0.lock().unwrap().push((since.as_secs(), what.into()));
    }

    fn take(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Checks that exactly these things happened since the last check.
    #[track_caller]
    fn expect(&self, what: &[(u64, &str)]) {
        let seen = self.take();
        let seen: Vec<_> = seen.iter().map(|(at, what)| (*at, &**what)).collect();
        assert_eq!(seen, what);
    }
}

const START: SystemTime = SystemTime::UNIX_EPOCH;

/// Does what its messages ask for.
struct Timed(Log);

impl Server for Timed {
    async fn on_start(&mut self, cx: &Context) -> Result<()> {
        self.0.add(cx.room(), "start");
        Ok(())
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        let (what, seconds) = message.as_text()?.split_once(' ').unwrap_or_default();
        let time = Duration::from_secs(seconds.parse()?);
        let at = cx.now() + time;
        match what {
            "end" => from.close_at(at, Close::new(4000, "")),
            "alarm" => cx.room().set_alarm(at).await?,
            "sleep" => {
                cx.room().sleep(time).await;
                self.0.add(cx.room(), "slept");
            }
            "tick" => {
                let (room, log) = (cx.room().clone(), self.0.clone());
                cx.room().spawn(async move {
                    loop {
                        room.sleep(time).await;
                        log.add(&room, "tick");
                    }
                });
            }
            _ => unreachable!("{what}"),
        }
        Ok(())
    }

    async fn on_close(&mut self, cx: &Context, _: &Connection, _: CloseEvent) -> Result<()> {
        self.0.add(cx.room(), "closed");
        Ok(())
    }

    async fn on_alarm(&mut self, cx: &Context) -> Result<()> {
        let room = cx.room();
        self.0.add(room, "alarm");
        match room.name() {
            "fails" => Err(Error::msg("as asked")),
            "repeats" => Ok(room.set_alarm(cx.now() + Duration::from_secs(10)).await?),
            "at-once" => Ok(room.set_alarm(cx.now()).await?),
            _ => Ok(()),
        }
    }
}

fn room(name: &str, options: PartyOptions) -> (TestRoom, Log) {
    let log = Log::default();
    let own = log.clone();
    let room = TestRoom::with_options("timed", name, options, move || Timed(own.clone()));
    (room.starting_at(START), log)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_clock_begins_at_the_present() {
    let present = || to_millis(SystemTime::now());
    let before = present();
    let room = TestRoom::new("timed", "a", || Timed(Log::default()));
    let began = to_millis(room.now());
    assert!(before <= began && began <= present());
}

#[tokio::test]
async fn all_that_is_due_happens_in_order() {
    let (mut room, log) = room("a", PartyOptions::new());
    let first = room.connect("/").await.unwrap();
    let second = room.connect("/").await.unwrap();
    let third = room.connect("/").await.unwrap();
    room.send(&first, "end 30").await.unwrap();
    room.send(&second, "end 10").await.unwrap();
    room.send(&third, "alarm 20").await.unwrap();
    room.advance(secs(25)).await.unwrap();
    log.expect(&[(0, "start"), (10, "closed"), (20, "alarm")]);
    assert!(first.closed().is_none() && second.closed().is_some());
    room.advance(secs(60)).await.unwrap();
    log.expect(&[(30, "closed")]);
    assert_eq!(room.now(), START + secs(85));
}

#[tokio::test]
async fn a_hook_that_sleeps_moves_the_clock_through_what_is_due() {
    let (mut room, log) = room("a", PartyOptions::new());
    let brief = room.connect("/").await.unwrap();
    let sleeper = room.connect("/").await.unwrap();
    room.send(&sleeper, "tick 4").await.unwrap();
    room.send(&brief, "end 5").await.unwrap();
    room.send(&sleeper, "sleep 10").await.unwrap();
    assert!(brief.closed().is_some(), "no frame is sent past a deadline");
    // The room is told in its turn, and the sleep has delayed that turn.
    log.expect(&[
        (0, "start"),
        (4, "tick"),
        (8, "tick"),
        (10, "slept"),
        (10, "closed"),
    ]);
}

#[tokio::test]
async fn what_is_spawned_waits_for_the_clock() {
    let (mut room, log) = room("a", PartyOptions::new());
    let socket = room.connect("/").await.unwrap();
    room.send(&socket, "tick 10").await.unwrap();
    log.expect(&[(0, "start")]);
    room.advance(secs(25)).await.unwrap();
    log.expect(&[(10, "tick"), (20, "tick")]);
}

#[tokio::test]
async fn an_alarm_that_fails_is_tried_again_as_time_goes_by() {
    let (mut room, log) = room("fails", PartyOptions::new().idle_time(secs(600)));
    let socket = room.connect("/").await.unwrap();
    room.send(&socket, "alarm 1").await.unwrap();
    let error = room.advance(secs(10)).await.unwrap_err();
    assert_eq!(error.to_string(), "as asked");
    log.expect(&[(0, "start"), (1, "alarm"), (3, "alarm"), (7, "alarm")]);
    let _ = room.advance(secs(3600)).await;
    log.expect(&[(15, "alarm"), (31, "alarm"), (63, "alarm"), (127, "alarm")]);
    assert_eq!(room.room().alarm().await.unwrap(), None);
}

#[tokio::test]
async fn one_that_is_set_while_another_runs_is_a_new_one() {
    let (mut room, log) = room("repeats", PartyOptions::new());
    let socket = room.connect("/").await.unwrap();
    room.send(&socket, "alarm 5").await.unwrap();
    room.advance(secs(30)).await.unwrap();
    log.expect(&[(0, "start"), (5, "alarm"), (15, "alarm"), (25, "alarm")]);
    assert_eq!(room.room().alarm().await.unwrap(), Some(START + secs(35)));
    room.room().delete_alarm().await.unwrap();
    room.advance(secs(30)).await.unwrap();
    log.expect(&[]);
}

#[tokio::test]
async fn an_alarm_that_is_due_runs_at_once_and_once() {
    let (mut room, log) = room("at-once", PartyOptions::new());
    let socket = room.connect("/").await.unwrap();
    room.send(&socket, "alarm 0").await.unwrap();
    log.expect(&[(0, "start"), (0, "alarm")]);
    // The clock stands still, so the alarm that the hook has set waits.
    room.advance(Duration::ZERO).await.unwrap();
    log.expect(&[]);
    room.advance(Duration::from_millis(2)).await.unwrap();
    log.expect(&[(0, "alarm"), (0, "alarm")]);
}

#[tokio::test]
async fn rooms_leave_memory_as_their_options_say() {
    let hibernating = PartyOptions::new().hibernation(Hibernation::After(secs(10)));
    let (mut sleeping, log) = room("sleeps", hibernating);
    let socket = sleeping.connect("/").await.unwrap();
    sleeping.send(&socket, "alarm 25").await.unwrap();
    sleeping.advance(secs(30)).await.unwrap();
    log.expect(&[(0, "start"), (25, "start"), (25, "alarm")]);

    let (mut staying, log) = room("stays", PartyOptions::new().idle_time(secs(10)));
    let socket = staying.connect("/").await.unwrap();
    staying.send(&socket, "alarm 30").await.unwrap();
    staying.advance(secs(40)).await.unwrap();
    log.expect(&[(0, "start"), (30, "alarm")]);
    staying.close(&socket, 1000, "").await.unwrap();
    staying.advance(secs(11)).await.unwrap();
    staying.connect("/").await.unwrap();
    log.expect(&[(40, "closed"), (51, "start")]);
}
