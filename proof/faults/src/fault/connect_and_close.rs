//! Very many connections that come and go, and very many bad tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use local_issuer::{Algorithm, LocalIssuer};

use super::{Done, join};
use crate::client::{Http, Received, Socket};
use crate::process::{Server, Start, mib, until};

pub(super) async fn connections_and_bad_tokens_leave_nothing_behind() -> Done {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let url = issuer.url();
    let start = Start {
        issuer: Some(&url),
        ..Start::default()
    };
    let server = start.run().await;
    let tokens = Arc::new(Tokens::new(issuer));
    // This runs until the tables are full and the allocator has the memory that it
    // needs.
    connect(&server, 2_000).await;
    present(&server, &tokens, 20_000).await;
    let (memory, descriptors) = settled(&server, None).await;
    connect(&server, 10_000).await;
    present(&server, &tokens, 100_000).await;
    let (memory_after, descriptors_after) = settled(&server, Some(descriptors)).await;
    assert_eq!(descriptors_after, descriptors, "descriptors");
    let grown = memory_after.saturating_sub(memory);
    let text = format!("{} before, {} after", mib(memory), mib(memory_after));
    assert!(grown <= TOLERANCE, "{text}");
    Done::Holds(format!(
        "10,000 sockets and 100,000 bad tokens: {text} (tolerance {}); {descriptors} descriptors",
        mib(TOLERANCE)
    ))
}

/// Bad tokens. Each is different.
struct Tokens {
    issuer: LocalIssuer,
    /// A good token, which is then made wrong.
    good: String,
    serial: AtomicUsize,
}

impl Tokens {
    fn new(issuer: LocalIssuer) -> Self {
        // A kind of key that signs fast.
        issuer.add_key(Algorithm::EdDsa);
        let good = issuer.token().sign();
        Self {
            issuer,
            good,
            serial: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let token = self.issuer.token().subject(&format!("user-{serial}"));
        match serial % 6 {
            0 => format!("nothing-like-a-token-{serial}"),
            // The claims of one token with the signature of another.
            1 => {
                let token = token.sign();
                let (signed, _) = token.rsplit_once('.').expect("three parts");
                let (_, signature) = self.good.rsplit_once('.').expect("three parts");
                format!("{signed}.{signature}")
            }
            2 => token.audience("another").sign(),
            3 => token.header("kid", format!("key-{serial}")).sign(),
            // Everything else about it is right.
            4 => token.expired_for(Duration::from_secs(60)).sign(),
            _ => token.without("exp").sign(),
        }
    }
}

/// Opens and closes sockets: some with a close frame, some without, and some in the
/// middle of one.
async fn connect(server: &Server, count: usize) {
    let left = Arc::new(AtomicUsize::new(count));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (left, address) = (Arc::clone(&left), server.address.clone());
            tokio::spawn(async move {
                while let Some(number) = take(&left) {
                    let path = format!("/parties/echo/{}", number % 100);
                    let mut socket = Socket::open(&address, &path).await;
                    if number % 3 == 0 {
                        continue;
                    }
                    assert_eq!(socket.next().await, Received::Text("welcome".into()));
                    socket.echo("x").await;
                    if number % 3 == 1 {
                        socket.close().await;
                    }
                }
            })
        })
        .collect();
    join(clients).await;
}

async fn present(server: &Server, tokens: &Arc<Tokens>, count: usize) {
    let left = Arc::new(AtomicUsize::new(count));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (left, address) = (Arc::clone(&left), server.address.clone());
            let tokens = Arc::clone(tokens);
            tokio::spawn(async move {
                let mut http = Http::connect(&address).await.expect("it listens");
                while take(&left).is_some() {
                    let token = tokens.next();
                    let answer = http.request("GET", "/parties/chat/a", Some(&token)).await;
                    let status = answer.expect("an answer").status;
                    assert!(matches!(status, 401 | 503), "{status}");
                }
            })
        })
        .collect();
    join(clients).await;
}

fn take(left: &AtomicUsize) -> Option<usize> {
    let one_less = |left: usize| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
        .ok()
}

/// Memory and descriptors when the last connection has gone.
async fn settled(server: &Server, descriptors: Option<usize>) -> (u64, usize) {
    let mut last = usize::MAX;
    until("connections end", Duration::from_secs(20), || {
        let now = server.descriptors();
        let is_settled = descriptors.map_or(now == last, |expected| now <= expected);
        last = now;
        is_settled
    })
    .await;
    (server.memory(), server.descriptors())
}

const CLIENTS: usize = 16;
/// An allocator does not give all memory back. But a leak grows with the count: 80
/// bytes for each token would be more than this.
const TOLERANCE: u64 = 8 << 20;
