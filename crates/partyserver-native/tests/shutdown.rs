//! When the server stops, running work may finish, every socket is told, and the store
//! has everything that was written.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use http::StatusCode;
use partyserver::*;
use partyserver_native::{Limits, Parties, PartyService};
use support::{TestServer, closed, handshake, rest, text as next_text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore};
use tokio_websockets::Message as WsMessage;

/// Delays requests that ask to wait, and writes after the wait.
#[derive(Clone)]
struct Keeper {
    go: Arc<Semaphore>,
    begun: Arc<Notify>,
}

impl Keeper {
    fn new() -> Self {
        Self {
            go: Arc::new(Semaphore::new(0)),
            begun: Arc::default(),
        }
    }

    async fn wait(&self) {
        self.begun.notify_one();
        self.go.acquire().await.unwrap().forget();
    }

    fn parties(&self, folder: &std::path::Path) -> Parties {
        let keeper = self.clone();
        let limits = Limits::new().shutdown_time(Duration::from_secs(3));
        let parties = Parties::new().limits(limits).data(folder);
        parties.party("keeper", move || keeper.clone())
    }
}

impl Server for Keeper {
    async fn on_connect(&mut self, _: &Context, c: &Connection, _: &Handshake) -> Result<()> {
        if c.uri().path().ends_with("/wait") {
            self.wait().await;
        }
        Ok(())
    }

    async fn on_message(&mut self, _: &Context, from: &Connection, m: Message) -> Result<()> {
        match m.as_text()? {
            "wait" => self.wait().await,
            "much" => {
                for number in 0..100 {
                    from.send(format!("{number} {}", "x".repeat(10_000)))?;
                }
            }
            text => from.send(text)?,
        }
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        let storage = cx.room().storage();
        if request.uri().path().ends_with("/wait") {
            self.wait().await;
            storage.put("request", &true).await?;
        }
        let closes: u32 = storage.get("closes").await?.unwrap_or_default();
        let request: bool = storage.get("request").await?.unwrap_or_default();
        Ok(answer::text(StatusCode::OK, format!("{closes} {request}")))
    }

    async fn on_close(&mut self, cx: &Context, _: &Connection, _: CloseEvent) -> Result<()> {
        let count = |closes: Option<u32>| (Update::Put(closes.unwrap_or_default() + 1), ());
        cx.room().storage().update("closes", count).await?;
        Ok(())
    }
}

/// What the next server finds in the store.
async fn found(folder: &std::path::Path) -> String {
    let server = TestServer::start(Keeper::new().parties(folder)).await;
    server.get("/parties/keeper/a").await.1
}

fn stop(service: &PartyService) -> tokio::task::JoinHandle<()> {
    let service = service.clone();
    tokio::spawn(async move { service.shutdown().await })
}

#[tokio::test]
async fn sockets_are_closed_with_1001_after_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(Keeper::new().parties(folder.path())).await;
    let mut socket = server.open("/parties/keeper/a").await;
    let mut other = server.open("/parties/keeper/a").await;
    // The answers are queued, and read only when the server stops.
    socket.send(WsMessage::text("much")).await.unwrap();
    assert!(next_text(&mut socket).await.starts_with("0 "));
    let stopping = stop(&server.service);
    for number in 1..100 {
        assert!(
            next_text(&mut socket)
                .await
                .starts_with(&format!("{number} "))
        );
    }
    let told = (1001, "the server stops".to_owned());
    assert_eq!(closed(&mut socket).await, told);
    assert_eq!(closed(&mut other).await, told);
    // The clients answer, and the hooks of both still find the store open.
    socket.close().await.unwrap();
    other.close().await.unwrap();
    stopping.await.unwrap();
    assert_eq!(found(folder.path()).await, "2 false");
}

#[tokio::test]
async fn a_request_that_runs_is_answered_and_stored() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let parties = keeper.parties(folder.path());
    let serving = tokio::spawn(parties.serve_on(listener, async move { stopped.notified().await }));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = b"GET /parties/keeper/a/wait HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write_all(request).await.unwrap();
    keeper.begun.notified().await;
    stop.notify_one();
    // The server takes no new connections from here on.
    support::until("it stops listening", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    keeper.go.add_permits(1);
    let answer = String::from_utf8(rest(&mut client).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    serving.await.unwrap().unwrap();
    assert_eq!(found(folder.path()).await, "0 true");
}

#[tokio::test]
async fn a_refused_socket_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let hour = Duration::from_secs(3600);
    let limits = Limits::new()
        .max_sockets(0)
        .close_time(hour)
        .shutdown_time(hour);
    let parties = Parties::new().limits(limits).party("keeper", Keeper::new);
    let serving = tokio::spawn(parties.serve_on(listener, async move { stopped.notified().await }));
    let mut refused = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = handshake("/parties/keeper/a");
    refused.write_all(request.as_bytes()).await.unwrap();
    let head = support::read_head(&mut refused).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stop.notify_one();
    let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
    ended.expect("it stops").unwrap().unwrap();
}

#[tokio::test]
async fn a_turn_whose_client_has_left_may_still_write() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::new();
    let server = TestServer::start(keeper.parties(folder.path())).await;
    let mut client = server.tcp().await;
    let request = b"GET /parties/keeper/a/wait HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write_all(request).await.unwrap();
    keeper.begun.notified().await;
    drop(client);
    let stopping = stop(&server.service);
    keeper.go.add_permits(1);
    stopping.await.unwrap();
    assert_eq!(found(folder.path()).await, "0 true");
}

#[tokio::test]
async fn a_handshake_in_its_turn_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::new();
    let server = TestServer::start(keeper.parties(folder.path())).await;
    let mut client = server.tcp().await;
    let request = handshake("/parties/keeper/a/wait");
    client.write_all(request.as_bytes()).await.unwrap();
    keeper.begun.notified().await;
    let stopping = stop(&server.service);
    tokio::task::yield_now().await;
    keeper.go.add_permits(1);
    let told = support::closing(1001, "the server stops");
    let mut received = Vec::new();
    while !received.ends_with(&told) {
        received.push(client.read_u8().await.expect("the close frame comes"));
    }
    client
        .write_all(&support::close_frame(1001, ""))
        .await
        .unwrap();
    stopping.await.unwrap();
    assert_eq!(found(folder.path()).await, "1 false");
}

#[tokio::test]
async fn a_turn_without_end_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::new();
    let limits = Limits::new()
        .shutdown_time(Duration::from_millis(300))
        .close_time(Duration::from_millis(100));
    let server = TestServer::start(keeper.parties(folder.path()).limits(limits)).await;
    let mut socket = server.open("/parties/keeper/a").await;
    socket.send(WsMessage::text("wait")).await.unwrap();
    keeper.begun.notified().await;
    let began = Instant::now();
    server.service.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    // A second stop has nothing left to do.
    server.service.shutdown().await;
}

#[tokio::test]
async fn a_stopped_service_answers_503() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(Keeper::new().parties(folder.path())).await;
    server.service.shutdown().await;
    let mut service = server.service.clone();
    let request = http::Request::get("/parties/keeper/a").header("host", "localhost");
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
    let answer = tower_service::Service::call(&mut service, request.unwrap());
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
}
