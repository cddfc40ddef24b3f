//! A room's own code panics, never returns, or sends without end.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::Done;
use crate::client::{Received, Socket, upgrade};
use crate::process::{Server, Start, mib};
use crate::serve::TURN_LIMIT;

pub(super) async fn a_hook_that_panics_hangs_or_floods_is_ended_and_others_are_served() -> Done {
    let server = Start::default().run().await;
    let mut measured = Vec::new();
    for what in ["panic", "never", "flood", "flood one", "flood and wait"] {
        let before = server.memory();
        let room = format!("/parties/hooks/{}", what.replace(' ', "-"));
        let mut sender = Socket::open(&server.address, &room).await;
        // Members of the room that read, and one that does not read.
        let mut readers = JoinSet::new();
        for _ in 0..4 {
            let mut reader = Socket::open(&server.address, &room).await;
            readers.spawn(async move { reader.end().await });
        }
        let deaf = upgrade(&server.address, &room).await.expect("it listens");
        sender.send(what).await;
        let began = Instant::now();
        let (end, (slowest, most)) = tokio::join!(sender.end(), others_are_served(&server));
        let limit = TURN_LIMIT * 3;
        assert!(
            began.elapsed() < limit,
            "{what} has no end: {:?}",
            began.elapsed()
        );
        // A member that was flooded and could not keep up was told so before.
        let Received::Closed(1011 | 1013, _) = end else {
            panic!("{what}: {end:?}")
        };
        assert!(slowest < SLOWEST, "{what}: others waited {slowest:?}");
        let grown = most.saturating_sub(before);
        assert!(grown < MEMORY, "{what}: {} more", mib(grown));
        drop((readers, deaf));
        // The room is available again.
        let mut again = Socket::open(&server.address, &room).await;
        again.echo("well").await;
        measured.push(format!("{what}: {slowest:.0?}, +{}", mib(grown)));
    }
    assert_eq!(server.logged("a hook panicked"), 1);
    assert_eq!(server.logged("past the turn limit"), 4);

    // A flood that never waits keeps a thread until its limit. If there are more floods
    // than threads, others wait, but not longer than that limit.
    let mut flooding = Vec::new();
    for room in 0..FLOODS {
        let path = format!("/parties/hooks/{room}");
        flooding.push(Socket::open(&server.address, &path).await);
    }
    for socket in &mut flooding {
        socket.send("flood").await;
    }
    let began = Instant::now();
    let mut other = Socket::open(&server.address, "/parties/echo/a").await;
    assert_eq!(other.next().await, Received::Text("welcome".into()));
    other.echo("after the floods").await;
    let waited = began.elapsed();
    assert!(waited < TURN_LIMIT * (FLOODS + 1), "{waited:?}");
    Done::Holds(format!(
        "the slowest answer to others, and memory: {}; with {FLOODS} floods at once others \
         waited {waited:.1?}",
        measured.join("; "),
    ))
}

/// Uses another party until the misbehaving turn must have ended. Returns the slowest
/// answer and the largest memory.
async fn others_are_served(server: &Server) -> (Duration, u64) {
    let mut other = Socket::open(&server.address, "/parties/echo/other").await;
    assert_eq!(other.next().await, Received::Text("welcome".into()));
    let (mut slowest, mut most) = (Duration::ZERO, 0);
    let until = Instant::now() + TURN_LIMIT + Duration::from_millis(300);
    while Instant::now() < until {
        let began = Instant::now();
        other.echo("served").await;
        let mut newcomer = Socket::open(&server.address, "/parties/echo/other").await;
        assert_eq!(newcomer.next().await, Received::Text("welcome".into()));
        slowest = slowest.max(began.elapsed());
        most = most.max(server.memory());
        newcomer.close().await;
    }
    (slowest, most)
}

/// More floods than a small machine has threads.
const FLOODS: u32 = 4;
/// The limit for a message there and back, and for a new socket. It is less than if
/// they had to wait for the end of the turn.
const SLOWEST: Duration = Duration::from_secs(2);
/// Six members may each be 4 MiB behind, in messages of a few bytes.
const MEMORY: u64 = 64 << 20;
