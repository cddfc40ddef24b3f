//! The identity provider is down, slow, unstable or broken, and rotates its keys, while
//! clients come with good tokens and bad ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use local_issuer::{Fault, LocalIssuer};
use tokio::time::sleep;

use super::{Done, join};
use crate::client::{Received, Socket, request};
use crate::process::Start;

/// What the clients share.
struct Clients {
    address: String,
    issuer: LocalIssuer,
    /// Another issuer, whose keys the server never asks for.
    stranger: LocalIssuer,
    is_over: AtomicBool,
    serial: AtomicUsize,
    outcomes: Mutex<BTreeMap<&'static str, usize>>,
}

/// What is wrong with a token.
#[derive(Clone, Copy)]
enum Bad {
    Signature,
    Audience,
    Expired,
    AnotherIssuersKey,
}

pub(super) async fn an_issuer_in_trouble_refuses_no_valid_token_and_admits_no_bad_one() -> Done {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let stranger = LocalIssuer::builder().start().await.expect("an issuer");
    // All issuers have the same first key.
    stranger.rotate();
    let url = issuer.url();
    let start = Start {
        issuer: Some(&url),
        ..Start::default()
    };
    let server = start.run().await;
    let clients = Arc::new(Clients {
        address: server.address.clone(),
        issuer,
        stranger,
        is_over: AtomicBool::new(false),
        serial: AtomicUsize::new(0),
        outcomes: Mutex::default(),
    });
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(tokio::spawn(Arc::clone(&clients).request_well()));
        running.push(tokio::spawn(Arc::clone(&clients).open_well()));
    }
    for bad in [
        Bad::Signature,
        Bad::Audience,
        Bad::Expired,
        Bad::AnotherIssuersKey,
    ] {
        running.push(tokio::spawn(Arc::clone(&clients).come_badly(bad)));
    }
    clients.trouble().await;
    // When everything works again, everyone with the newest key is served.
    clients.issuer.fault(Fault::None);
    let began = Instant::now();
    let token = clients.valid();
    while clients.get(&token).await.0 != 200 {
        assert!(began.elapsed() < RECOVERY, "it does not recover");
        sleep(Duration::from_millis(100)).await;
    }
    let recovery = began.elapsed();
    clients.is_over.store(true, Ordering::SeqCst);
    join(running).await;
    let outcomes = clients.outcomes.lock().expect("nobody panics with it");
    for (outcome, needed) in [
        ("valid 200", 100),
        ("valid 503", 10),
        ("valid welcome", 50),
        ("valid 1013", 5),
        ("bad 401", 100),
        ("bad 1008", 50),
    ] {
        let count = outcomes.get(outcome).copied().unwrap_or_default();
        assert!(count >= needed, "{outcome}: {count} times; {outcomes:?}");
    }
    Done::Holds(format!("recovered in {recovery:.1?}; {outcomes:?}"))
}

impl Clients {
    /// One fault after another, with good times in between.
    async fn trouble(&self) {
        let phase = Duration::from_millis(800);
        for fault in [
            Fault::None,
            Fault::Down,
            Fault::Slow(Duration::from_millis(500)),
            Fault::Status(500),
            Fault::Malformed,
            Fault::Slow(Duration::from_secs(5)),
        ] {
            self.issuer.fault(fault);
            sleep(phase).await;
            // This key can't be fetched while the fault lasts.
            self.issuer.rotate();
            sleep(phase).await;
            self.issuer.fault(Fault::None);
            sleep(phase).await;
        }
        for turn in 0..40 {
            let fault = if turn % 2 == 0 {
                Fault::Down
            } else {
                Fault::None
            };
            self.issuer.fault(fault);
            if turn % 10 == 0 {
                self.issuer.rotate();
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A token that the server has not seen before.
    fn valid(&self) -> String {
        let user = self.serial.fetch_add(1, Ordering::Relaxed);
        self.issuer.token().subject(&format!("user-{user}")).sign()
    }

    fn bad(&self, how: Bad) -> String {
        let user = self.serial.fetch_add(1, Ordering::Relaxed);
        let token = self.issuer.token().subject(&format!("user-{user}"));
        match how {
            Bad::Signature => {
                let token = token.sign();
                let (signed, signature) = token.rsplit_once('.').expect("three parts");
                let other = if signature.starts_with('A') { "B" } else { "A" };
                format!("{signed}.{other}{}", &signature[1..])
            }
            Bad::Audience => token.audience("another").sign(),
            Bad::Expired => token.expired_for(Duration::from_secs(60)).sign(),
            Bad::AnotherIssuersKey => {
                let key = self.issuer.keys().pop().expect("there is a key");
                let token = self.stranger.token().issuer(&self.issuer.url());
                token.header("kid", key).sign()
            }
        }
    }

    fn saw(&self, outcome: &'static str) {
        let mut outcomes = self.outcomes.lock().expect("nobody panics with it");
        *outcomes.entry(outcome).or_default() += 1;
    }

    /// Sends a request, which must be answered in time. Returns its status, whether it
    /// may be tried again, and whether the token is said to be bad.
    async fn get(&self, token: &str) -> (u16, bool, bool) {
        let began = Instant::now();
        let answer = request(&self.address, "GET", "/parties/chat/a", token).await;
        assert!(
            began.elapsed() < PATIENCE,
            "answered after {:?}",
            began.elapsed()
        );
        // An echo room answers no requests itself, so it answers 404.
        let status = if answer.status == 404 {
            200
        } else {
            answer.status
        };
        (
            status,
            answer.has("retry-after"),
            answer.has("www-authenticate"),
        )
    }

    async fn open(&self, token: &str) -> Received {
        let began = Instant::now();
        let path = format!("/parties/chat/a?access_token={token}");
        let opened = Socket::try_open(&self.address, &path)
            .await
            .expect("it listens");
        let first = match opened {
            Ok(mut socket) => {
                let first = socket.next().await;
                socket.close().await;
                first
            }
            // So many sockets are being refused that the HTTP form is sent.
            Err(401) => Received::Closed(1008, String::new()),
            Err(503) => Received::Closed(1013, String::new()),
            Err(status) => panic!("{status}"),
        };
        assert!(
            began.elapsed() < PATIENCE,
            "answered after {:?}",
            began.elapsed()
        );
        first
    }

    async fn request_well(self: Arc<Self>) {
        while !self.is_over.load(Ordering::SeqCst) {
            match self.get(&self.valid()).await {
                (200, _, false) => self.saw("valid 200"),
                (503, true, false) => self.saw("valid 503"),
                other => panic!("a valid token was answered with {other:?}"),
            }
        }
    }

    async fn open_well(self: Arc<Self>) {
        while !self.is_over.load(Ordering::SeqCst) {
            match self.open(&self.valid()).await {
                Received::Text(text) if text == "welcome" => self.saw("valid welcome"),
                Received::Closed(1013, _) => self.saw("valid 1013"),
                other => panic!("a valid token met {other:?}"),
            }
        }
    }

    async fn come_badly(self: Arc<Self>, how: Bad) {
        while !self.is_over.load(Ordering::SeqCst) {
            match self.get(&self.bad(how)).await {
                (401, _, true) => self.saw("bad 401"),
                (503, true, false) => self.saw("bad 503"),
                other => panic!("a bad token was answered with {other:?}"),
            }
            match self.open(&self.bad(how)).await {
                Received::Closed(1008, _) => self.saw("bad 1008"),
                Received::Closed(3000, _) if matches!(how, Bad::Expired) => self.saw("bad 3000"),
                Received::Closed(1013, _) => self.saw("bad 1013"),
                other => panic!("a bad token met {other:?}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Clients give up a handshake after 4 s.
const PATIENCE: Duration = Duration::from_secs(4);
const RECOVERY: Duration = Duration::from_secs(20);
