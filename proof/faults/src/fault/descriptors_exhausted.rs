//! The process has no descriptor left, because too many clients connect, or because
//! something else in it has taken them.

use std::time::{Duration, Instant};

use local_issuer::LocalIssuer;
use tokio::net::TcpStream;

use super::Done;
use crate::client::{Http, Received, Socket, request};
use crate::process::{Server, Start, until};

pub(super) async fn without_descriptors_accepting_pauses_and_recovers() -> Done {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let url = issuer.url();
    let start = Start {
        issuer: Some(&url),
        descriptors: Some(DESCRIPTORS),
        short_limits: true,
        ..Start::default()
    };
    let server = start.run().await;
    let mut member = Member::join(&server, issuer.token().sign()).await;
    let at_first = server.descriptors();

    // Clients connect until all places are taken, and then leave.
    let mut idle = connect_all(&server, at_first).await;
    member.is_served().await;
    let began = Instant::now();
    idle.clear();
    newcomer(&server, &member.token).await;
    let by_leaving = began.elapsed();
    member.reconnect(&server).await;
    until("they are let go", LIMIT, || {
        server.descriptors() <= at_first
    })
    .await;

    // Clients stay and send nothing. The time limit for headers frees their places.
    let idle = connect_all(&server, at_first).await;
    member.is_served().await;
    let began = Instant::now();
    newcomer(&server, &member.token).await;
    let by_limit = began.elapsed();
    drop(idle);
    member.reconnect(&server).await;
    until("they are let go", LIMIT, || {
        server.descriptors() <= at_first
    })
    .await;

    // Something else takes every descriptor. Connections wait, and nothing is lost.
    let mut thief = Socket::open(&server.address, "/parties/hooks/a").await;
    thief.send("take descriptors").await;
    assert_eq!(thief.next().await, Received::Text("taken".into()));
    assert!(server.descriptors() >= DESCRIPTORS as usize);
    let token = issuer.token().sign();
    let mut waiting = Box::pin(newcomer(&server, &token));
    let early = tokio::time::timeout(Duration::from_secs(1), &mut waiting).await;
    assert!(early.is_err(), "it was answered without a descriptor");
    member.is_served().await;
    thief.send("give descriptors").await;
    let began = Instant::now();
    waiting.await;
    let by_giving = began.elapsed();
    assert_eq!(thief.next().await, Received::Text("given".into()));
    member.is_served().await;
    let complaints = server.logged("accepting connections fails");
    assert_eq!(complaints, 1, "one line in the log");
    Done::Holds(format!(
        "{DESCRIPTORS} descriptors; served again {by_leaving:.1?} after clients left, \
         {by_limit:.1?} with clients that stay and send nothing, {by_giving:.1?} after EMFILE"
    ))
}

/// A client that was there before: a socket, and a connection for requests.
struct Member {
    socket: Socket,
    http: Http,
    token: String,
    written: usize,
}

impl Member {
    async fn join(server: &Server, token: String) -> Self {
        let mut socket = Socket::open(&server.address, "/parties/echo/a").await;
        assert_eq!(socket.next().await, Received::Text("welcome".into()));
        let mut http = Http::connect(&server.address).await.expect("it listens");
        let claim = http.request("POST", "/parties/private/a/claim", Some(&token));
        assert_eq!(claim.await.expect("an answer").status, 200);
        Self {
            socket,
            http,
            token,
            written: 0,
        }
    }

    async fn is_served(&mut self) {
        for _ in 0..20 {
            self.socket.echo("still here").await;
            self.written += 1;
            let path = format!("/parties/private/a?key={}&value=1", self.written);
            for method in ["PUT", "GET"] {
                let path = if method == "PUT" {
                    &*path
                } else {
                    "/parties/private/a?key=1"
                };
                let answer = self.http.request(method, path, Some(&self.token)).await;
                assert_eq!(answer.expect("an answer").status, 200, "{method}");
            }
        }
    }

    /// A connection that is kept between requests counts as idle too, so it may have
    /// been closed.
    async fn reconnect(&mut self, server: &Server) {
        self.http = Http::connect(&server.address).await.expect("it listens");
        self.is_served().await;
    }
}

/// Connects more clients than there are places, and waits until all are taken.
async fn connect_all(server: &Server, before: usize) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for _ in 0..DESCRIPTORS {
        // The system completes connections even if nobody accepts them.
        let connected = TcpStream::connect(&server.address).await;
        idle.push(connected.expect("it is in the queue"));
    }
    until("all places are taken", LIMIT, || {
        server.descriptors() >= before + FREE
    })
    .await;
    idle
}

/// Checks that a client that comes now is answered.
async fn newcomer(server: &Server, token: &str) {
    let path = "/parties/private/a?key=1";
    let answer = request(&server.address, "GET", path, token).await;
    assert_eq!((answer.status, &*answer.body), (200, "1"));
}

const DESCRIPTORS: u32 = 64;
/// The free places for connections: half of the descriptors, minus the member's two.
const FREE: usize = DESCRIPTORS as usize / 2 - 2;
const LIMIT: Duration = Duration::from_secs(10);
