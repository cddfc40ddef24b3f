//! Rooms inside an application that this crate's listener serves.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::SinkExt;
use hyper::body::Incoming;
use partyserver::*;
use partyserver_native::{Limits, Parties, PartyService, PeerAddress};
use support::{Answer, TestServer, closed, handshake, rest, text as next_text};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tower_service::Service;

struct Echo;

impl Server for Echo {
    async fn on_before_connect(&self, _: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        if handshake.uri().query() == Some("no") {
            let answer = partyserver::answer::text(http::StatusCode::FORBIDDEN, "no");
            let refusal = Refusal::closing(answer, Close::new(1008, "no"));
            return Ok(ConnectGate::Refuse(refusal));
        }
        Ok(ConnectGate::Admit(handshake))
    }

    async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
        from.send(message)?;
        Ok(())
    }
}

/// An application with a path that says the client's address, a path that takes time,
/// and rooms everywhere else.
#[derive(Clone)]
struct App {
    rooms: PartyService,
    arrived: Arc<Notify>,
    go: Arc<Notify>,
}

impl Service<http::Request<Incoming>> for App {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, std::result::Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        let mut app = self.clone();
        Box::pin(async move {
            let body = match request.uri().path() {
                "/address" => {
                    let address = request
                        .extensions()
                        .get()
                        .map(|PeerAddress(peer)| peer.ip());
                    address.map_or_else(|| "unknown".into(), |address| address.to_string())
                }
                "/slow" => {
                    app.arrived.notify_one();
                    app.go.notified().await;
                    "at last".into()
                }
                _ => return app.rooms.call(request).await,
            };
            Ok(partyserver::answer::text(http::StatusCode::OK, body))
        })
    }
}

struct Mounted {
    server: TestServer,
    app: App,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn start(parties: Parties) -> Mounted {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let rooms = parties.party("echo", || Echo).build().unwrap();
    let app = App {
        rooms: rooms.clone(),
        arrived: Arc::default(),
        go: Arc::default(),
    };
    let (stop, stopped) = oneshot::channel();
    let (service, serving) = (rooms.clone(), app.clone());
    let served = tokio::spawn(async move {
        let stopped = async {
            // Only a test that asks for the end sees it.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        rooms.serve_with(serving, listener, stopped).await;
    });
    Mounted {
        server: TestServer { service, address },
        app,
        stop,
        served,
    }
}

#[tokio::test]
async fn the_application_and_its_rooms_share_a_listener() {
    let mounted = start(Parties::new()).await;
    let mut socket = mounted.server.open("/parties/echo/a").await;
    socket
        .send(tokio_websockets::Message::text("hello"))
        .await
        .unwrap();
    assert_eq!(next_text(&mut socket).await, "hello");
    assert_eq!(
        mounted.server.get("/address").await,
        (200, "127.0.0.1".into())
    );
    assert_eq!(mounted.server.get("/readyz").await.0, 200);
    assert_eq!(mounted.server.service.sockets(), 1);
}

#[tokio::test]
async fn the_listeners_limits_hold_for_the_application() {
    let limits = Limits::new()
        .max_head(8192)
        .head_time(Duration::from_millis(200));
    let server = start(Parties::new().limits(limits)).await.server;
    let long = "x".repeat(10_000);
    assert_eq!(
        server
            .send("GET /address HTTP/1.1", &[("X", &long)])
            .await
            .status,
        431
    );
    let mut slow = server.tcp().await;
    slow.write_all(b"GET /address HTTP/1.1\r\nHost: ")
        .await
        .unwrap();
    assert_eq!(rest(&mut slow).await, b"");
}

#[tokio::test]
async fn a_strange_host_gets_no_room_on_loopback() {
    let server = start(Parties::new()).await.server;
    let strange = [("Host", "evil.example")];
    assert_eq!(
        server
            .send("GET /parties/echo/a HTTP/1.1", &strange)
            .await
            .status,
        421
    );
}

#[tokio::test]
async fn refused_sockets_are_counted_per_address() {
    let limits = Limits::new().max_refused(100, 1);
    let proxy = "127.0.0.1".parse().unwrap();
    let server = start(Parties::new().limits(limits).trusted_proxies([proxy]))
        .await
        .server;
    let mut sockets = Vec::new();
    for (client, status) in [
        ("203.0.113.1", 101),
        ("203.0.113.1", 403),
        ("203.0.113.2", 101),
    ] {
        let from = format!("\r\nX-Forwarded-For: {client}\r\n\r\n");
        let request = handshake("/parties/echo/a?no").replace("\r\n\r\n", &from);
        let mut socket = server.tcp().await;
        socket.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(Answer::read(&mut socket).await.status, status, "{client}");
        sockets.push(socket);
    }
}

#[tokio::test]
async fn at_a_stop_sockets_are_told_at_once_and_the_last_answer_is_waited_for() {
    let Mounted {
        server,
        app,
        stop,
        served,
    } = start(Parties::new()).await;
    let mut socket = server.open("/parties/echo/a").await;
    let mut slow = server.tcp().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    app.arrived.notified().await;
    stop.send(()).unwrap();
    assert_eq!(closed(&mut socket).await.0, 1001);
    assert!(!served.is_finished());
    app.go.notify_one();
    assert_eq!(Answer::read(&mut slow).await.body, "at last");
    drop((socket, slow));
    served.await.unwrap();
}
