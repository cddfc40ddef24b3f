//! A room handles one event at a time, each to its end. It starts again after a panic
//! or a turn past its limit.

mod support;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{self, Poll};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use partyserver::*;
use partyserver_native::{Limits, Parties};
use support::{
    TestServer, close_frame, closed, closing, frame, handshake, text as next_text, until,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::Semaphore;
use tokio_websockets::Message as WsMessage;

/// What the test sees of the room, and how it delays the room.
#[derive(Clone)]
struct Stage {
    go: Arc<Semaphore>,
    begun: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
    closed: Arc<AtomicU32>,
}

struct Actor {
    stage: Stage,
    events: u32,
    starts: u32,
}

impl Actor {
    /// Waits until the test lets one event pass.
    async fn wait(&mut self) -> Result<()> {
        self.stage.begun.fetch_add(1, Ordering::SeqCst);
        self.stage.go.acquire().await?.forget();
        self.stage.ended.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn play(&mut self, what: &str) -> Result<String> {
        self.events += 1;
        match what {
            "wait" => self.wait().await?,
            "panic" => panic!("as asked"),
            "error" => return Err(Error::msg("as asked")),
            "endless" => std::future::pending().await,
            "bomb" => {
                let _bomb = Bomb;
                std::future::pending().await
            }
            _ => {}
        }
        Ok(format!("{} {}", self.starts, self.events))
    }
}

/// Panics when it is dropped, which happens when its turn is cut off.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("as asked");
    }
}

impl Server for Actor {
    async fn on_start(&mut self, cx: &Context) -> Result<()> {
        self.starts += 1;
        if cx.room().name() == "fails-once" && self.starts == 1 {
            return Err(Error::msg("the first start fails"));
        }
        Ok(())
    }

    async fn on_connect(&mut self, _: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        let what = c.uri().path().rsplit('/').next().unwrap_or_default();
        self.play(what).await.map(drop)
    }

    async fn on_message(&mut self, cx: &Context, from: &Connection, m: Message) -> Result<()> {
        if m.as_text()? == "close" {
            self.events += 1;
            from.close(4000, "");
            return self.wait().await;
        }
        while m.as_text()? == "flood" {
            cx.room().broadcast("and again");
        }
        let answer = self.play(m.as_text()?).await?;
        from.send(format!("{answer} {}", cx.room().connections().len()))?;
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        let what = request.uri().path().rsplit('/').next().unwrap_or_default();
        let answer = self.play(what).await?;
        Ok(partyserver::answer::text(StatusCode::OK, answer))
    }

    async fn on_close(&mut self, _: &Context, _: &Connection, event: CloseEvent) -> Result<()> {
        let code = u32::from(event.code);
        self.stage.closed.fetch_add(code, Ordering::SeqCst);
        Ok(())
    }
}

async fn start() -> (TestServer, Stage) {
    let stage = Stage {
        go: Arc::new(Semaphore::new(0)),
        begun: Arc::default(),
        ended: Arc::default(),
        closed: Arc::default(),
    };
    let actor = {
        let stage = stage.clone();
        move || Actor {
            stage: stage.clone(),
            events: 0,
            starts: 0,
        }
    };
    let short = PartyOptions::new().turn_limit(Duration::from_millis(200));
    let limits = Limits::new().close_time(Duration::from_secs(600));
    let parties = Parties::new()
        .limits(limits)
        .party("actor", actor.clone())
        .party_with("short", short, actor);
    (TestServer::start(parties).await, stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_at_a_time() {
    let (server, stage) = start().await;
    let server = Arc::new(server);
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.get("/parties/actor/a/wait").await })
        })
        .collect();
    for turn in 1..=20 {
        until("the next begins", || {
            stage.begun.load(Ordering::SeqCst) == turn
        })
        .await;
        assert_eq!(stage.ended.load(Ordering::SeqCst), turn - 1);
        stage.go.add_permits(1);
    }
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap().1);
    }
    // The room started once, and no event was lost or counted twice.
    answers.sort_by_key(|answer| answer[2..].parse::<u32>().unwrap());
    let expected: Vec<_> = (1..=20).map(|event| format!("1 {event}")).collect();
    assert_eq!(answers, expected);
    assert_eq!(server.service.rooms_started(), 1);
}

#[tokio::test]
async fn other_rooms_are_not_held_up() {
    let (server, stage) = start().await;
    let (held, ()) = tokio::join!(server.get("/parties/actor/a/wait"), async {
        until("it runs", || stage.begun.load(Ordering::SeqCst) == 1).await;
        assert_eq!(server.get("/parties/actor/b/x").await.0, 200);
        stage.go.add_permits(1);
    });
    assert_eq!(held.0, 200);
}

#[tokio::test]
async fn a_room_that_fails_to_start_starts_again() {
    let (server, _) = start().await;
    assert_eq!(server.get("/parties/actor/fails-once").await.0, 500);
    let again = server.get("/parties/actor/fails-once").await;
    assert_eq!(again, (200, "2 1".to_owned()));
}

#[tokio::test]
async fn a_failure_is_answered_with_an_id_alone() {
    let (server, _) = start().await;
    for (path, next) in [
        // An error leaves the room as it is.
        ("/parties/actor/error/error", "1 2"),
        // After a panic or a turn without end, the room starts again.
        ("/parties/actor/panic/panic", "1 1"),
        ("/parties/short/endless/endless", "1 1"),
        ("/parties/short/bomb/bomb", "1 1"),
    ] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, 500);
        assert_is_an_id_alone(&body);
        let (room, _) = path.rsplit_once('/').unwrap();
        let again = server.get(&format!("{room}/x")).await;
        assert_eq!(again, (200, next.to_owned()), "{path}");
    }
}

fn assert_is_an_id_alone(text: &str) {
    let id = text.strip_prefix("Internal server error (");
    let id = id.and_then(|id| id.strip_suffix(')')).expect(text);
    let is_id = id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit());
    assert!(is_id, "{text}");
}

#[tokio::test]
async fn a_failure_closes_its_socket_and_no_other() {
    let (server, stage) = start().await;
    let mut bystander = server.open("/parties/short/a").await;
    for what in ["error", "panic", "endless", "bomb"] {
        let mut socket = server.open("/parties/short/a").await;
        socket.send(WsMessage::text(what)).await.unwrap();
        // The same for a new connection.
        let mut fresh = server.open(&format!("/parties/short/a/{what}")).await;
        for socket in [&mut socket, &mut fresh] {
            let (code, reason) = closed(socket).await;
            assert_eq!(code, 1011, "{what}");
            assert_is_an_id_alone(&reason);
        }
    }
    bystander.send(WsMessage::text("?")).await.unwrap();
    assert!(next_text(&mut bystander).await.ends_with(" 1"));
    // A connection that joined before its hook failed was in the room too.
    until("the room is told of each", || {
        stage.closed.load(Ordering::SeqCst) == 8 * 1011
    })
    .await;
}

/// The hook never waits, so a timer alone would not end it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_broadcasts_without_end_is_ended() {
    let (server, _) = start().await;
    let mut socket = server.open("/parties/short/a").await;
    socket.send(WsMessage::text("flood")).await.unwrap();
    // The client may first be told that it reads too slowly.
    let end = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Some((code, _)) = message.as_close() {
                return u16::from(code);
            }
        }
        0
    };
    let code = tokio::time::timeout(Duration::from_secs(10), end).await;
    assert!(matches!(code, Ok(1011 | 1013)), "{code:?}");
    // The room has started again.
    let again = server.get("/parties/short/a/x").await;
    assert_eq!(again, (200, "1 1".to_owned()));
}

#[tokio::test]
async fn a_turn_that_has_begun_ends_without_its_client() {
    let (server, stage) = start().await;
    let mut client = server.tcp().await;
    let request = b"GET /parties/actor/a/wait HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write_all(request).await.unwrap();
    until("it begins", || stage.begun.load(Ordering::SeqCst) == 1).await;
    drop(client);
    stage.go.add_permits(1);
    until("it ends", || stage.ended.load(Ordering::SeqCst) == 1).await;
    assert_eq!(server.get("/parties/actor/a/x").await.1, "1 2");
}

/// A stream whose end can't be written.
struct Endless(DuplexStream);

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_turn_goes_on_while_its_socket_ends() {
    let (server, stage) = start().await;
    let (mut client, stream) = tokio::io::duplex(4096);
    support::mount(&server.service, Endless(stream));
    let request = handshake("/parties/actor/a");
    client.write_all(request.as_bytes()).await.unwrap();
    support::read_head(&mut client).await;
    client.write_all(&frame(1, b"close")).await.unwrap();
    let mut told = vec![0; closing(4000, "").len()];
    client.read_exact(&mut told).await.unwrap();
    assert_eq!(told, closing(4000, ""));
    client.write_all(&close_frame(4000, "")).await.unwrap();
    // When all other tasks have had their turn, the socket's task has seen it.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    // The socket's end may take all the time it is allowed. The room is not delayed by
    // it.
    assert_eq!(stage.begun.load(Ordering::SeqCst), 1);
    stage.go.add_permits(1);
    assert_eq!(server.get("/parties/actor/a/x").await.1, "1 3");
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_leaves_the_queue() {
    let (server, stage) = start().await;
    let request = b"GET /parties/actor/a/wait HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut first = server.tcp().await;
    first.write_all(request).await.unwrap();
    until("the first runs", || stage.begun.load(Ordering::SeqCst) == 1).await;
    let mut impatient = server.tcp().await;
    impatient.write_all(request).await.unwrap();
    impatient.shutdown().await.unwrap();
    // The server ends its half when it has forgotten the request.
    assert_eq!(support::rest(&mut impatient).await, b"");
    stage.go.add_permits(1);
    assert_eq!(server.get("/parties/actor/a/x").await.1, "1 2");
    assert_eq!(stage.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_leaves_during_its_handshake_is_gone_from_the_room() {
    let (server, stage) = start().await;
    let mut client = server.tcp().await;
    let request = handshake("/parties/actor/a/wait");
    client.write_all(request.as_bytes()).await.unwrap();
    until("it joins", || stage.begun.load(Ordering::SeqCst) == 1).await;
    drop(client);
    let mut other = None;
    let ((), ()) = tokio::join!(
        async { other = Some(server.open("/parties/actor/a").await) },
        async {
            stage.go.add_permits(1);
        }
    );
    until("it is told to the room", || {
        stage.closed.load(Ordering::SeqCst) == 1006
    })
    .await;
    let mut other = other.unwrap();
    other.send(WsMessage::text("?")).await.unwrap();
    assert!(next_text(&mut other).await.ends_with(" 1"));
    assert_eq!(server.service.sockets(), 1);
}
