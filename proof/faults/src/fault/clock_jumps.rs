//! The wall clock is set forward or back while sockets are open.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use local_issuer::LocalIssuer;
use oauth2_jwt_bearer::native;
use oauth2_jwt_bearer::port::{BoxFuture, Ports, Runtime};
use partyserver_native::{Clock, Limits, Parties};
use tokio::net::TcpListener;

use super::Done;
use crate::client::{Received, Socket, request};
use crate::serve::{auth, authenticated};

/// The system's clock, wrong by some seconds.
#[derive(Clone, Default)]
struct Wrong(Arc<AtomicI64>);

impl Wrong {
    fn jump(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Wrong {
    fn now(&self) -> SystemTime {
        let offset = self.0.load(Ordering::SeqCst);
        let distance = Duration::from_secs(offset.unsigned_abs());
        if offset < 0 {
            SystemTime::now() - distance
        } else {
            SystemTime::now() + distance
        }
    }
}

/// The verifier's runtime, with the same clock.
struct Native(Wrong, Arc<dyn Runtime>);

impl Runtime for Native {
    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.1.sleep(duration)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> bool {
        self.1.spawn(task)
    }
}

const HOUR: i64 = 3600;

fn expired() -> Received {
    Received::Closed(3000, "token expired".into())
}

pub(super) async fn a_clock_that_jumps_extends_nothing() -> Done {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let clock = Wrong::default();
    let options = auth(issuer.url()).build_with(|verifier| {
        let ports = native::ports();
        let runtime = Arc::new(Native(clock.clone(), Arc::clone(&ports.runtime)));
        verifier.build_with(Ports { runtime, ..ports })
    });
    // A jump is noticed at the next frame, and at the next ping.
    let limits = Limits::new().ping(Duration::from_millis(200), Duration::from_secs(60));
    let parties = Parties::new().limits(limits).clock(clock.clone());
    let parties = authenticated(parties, options.expect("the options are whole").into());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let service = parties.build().expect("it can be served");
    let serving = tokio::spawn(async move {
        service.serve_on(listener, std::future::pending()).await;
    });

    let hours = |hours: u64| {
        let lifetime = Duration::from_secs(hours * HOUR as u64);
        issuer.token().expires_in(lifetime).sign()
    };
    let (short, long) = (hours(1), hours(10));
    let path = |token: &str| format!("/parties/chat/a?access_token={token}");
    let status = async |token: &str| request(&address, "GET", "/parties/chat/a", token).await;
    let join = async |token: &str| {
        let mut socket = Socket::open(&address, &path(token)).await;
        let first = socket.next().await;
        (first == Received::Text("welcome".into()))
            .then_some(socket)
            .ok_or(first)
    };
    let admitted = async |token: &str| join(token).await.unwrap_or_else(|end| panic!("{end:?}"));

    // Forward, but not beyond the token's end: nothing happens.
    let (mut idle, mut hearing, mut speaking) = (
        admitted(&short).await,
        admitted(&short).await,
        admitted(&short).await,
    );
    let mut other = admitted(&long).await;
    clock.jump(HOUR / 2);
    hearing.echo("half an hour later").await;
    // Beyond the token's end: each socket is closed, whatever is on its way to it or
    // from it.
    clock.jump(HOUR / 2 + 1);
    other.send("b:after the jump").await;
    speaking.send("b:from an expired socket").await;
    for socket in [&mut hearing, &mut speaking, &mut idle] {
        assert_eq!(socket.next().await, expired());
    }
    assert_eq!(
        other.next().await,
        Received::Text("b:after the jump".into())
    );
    other.echo("and nothing else").await;
    // The token is not accepted again either, although it was verified a moment ago.
    assert_eq!(status(&short).await.status, 401);
    assert_eq!(join(&short).await.err(), Some(expired()));
    assert_ne!(status(&long).await.status, 401);

    // Back: the wall clock decides, so the token is good again, until its end by that
    // clock.
    clock.jump(-HOUR);
    let mut again = admitted(&short).await;
    clock.jump(-5 * HOUR);
    let mut since_then = admitted(&short).await;
    again.echo("five hours back").await;
    clock.jump(5 * HOUR);
    again.echo("and here again").await;
    clock.jump(HOUR);
    for socket in [&mut again, &mut since_then] {
        assert_eq!(socket.next().await, expired());
    }
    // If the clock was set back, a token is not valid before its time by that clock.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    let later = issuer
        .token()
        .claim("nbf", now)
        .claim("exp", now + 36_000)
        .sign();
    assert!(join(&later).await.is_ok());
    clock.jump(-3 * HOUR);
    assert_eq!(
        status(&later).await.status,
        401,
        "also when it was verified before"
    );
    serving.abort();
    Done::Holds("forward past the end, and back".into())
}
