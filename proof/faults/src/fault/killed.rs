//! The server is killed in the middle of writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use local_issuer::LocalIssuer;
use tokio::sync::Notify;

use super::{Done, join};
use crate::client::Http;
use crate::process::Start;

/// What clients were told, and what they asked for last.
#[derive(Default)]
struct Told {
    /// Counters by name: the last number that was acknowledged, and the number that was
    /// asked for after it.
    counters: BTreeMap<String, (u64, u64)>,
    /// Rooms that a user was told to own: the room and the user.
    owned: BTreeSet<(String, usize)>,
    acknowledged: usize,
}

/// What the clients of all rounds share.
struct Clients {
    told: Mutex<Told>,
    progress: Notify,
    tokens: Vec<String>,
}

/// 200 times: clients write and claim, and the server is killed. It starts again with
/// everything that it had acknowledged, and with nothing that nobody asked for.
pub(super) async fn a_server_that_is_killed_loses_nothing_acknowledged() -> Done {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let url = issuer.url();
    let start = Start {
        issuer: Some(&url),
        data: Some(&data),
        ..Start::default()
    };
    let tokens = (0..USERS).map(|user| issuer.token().subject(&format!("user-{user}")).sign());
    let clients = Arc::new(Clients {
        told: Mutex::default(),
        progress: Notify::new(),
        tokens: tokens.collect(),
    });
    for round in 0..ROUNDS {
        let server = start.run().await;
        verify(&clients, &server.address, Since::Round(round)).await;
        let writers: Vec<_> = (0..USERS)
            .flat_map(|user| {
                let (clients, address) = (Arc::clone(&clients), server.address.clone());
                let claims = Arc::clone(&clients).claim(address.clone(), round, user);
                [
                    tokio::spawn(clients.count(address, user)),
                    tokio::spawn(claims),
                ]
            })
            .collect();
        // The server is killed in the middle of the work, at a different point each
        // time.
        let enough = clients.acknowledged() + 1 + (round * 37) % 50;
        while clients.acknowledged() < enough {
            clients.progress.notified().await;
        }
        server.kill().await;
        join(writers).await;
    }
    let server = start.run().await;
    verify(&clients, &server.address, Since::Ever).await;
    let told = clients.told.lock().expect("nobody panics with it");
    let (writes, owners) = (told.acknowledged, told.owned.len());
    Done::Holds(format!(
        "{ROUNDS} kills; {writes} acknowledged writes are there, {owners} claims of rooms among them"
    ))
}

impl Clients {
    fn acknowledged(&self) -> usize {
        self.with(|told| told.acknowledged)
    }

    fn with<R>(&self, change: impl FnOnce(&mut Told) -> R) -> R {
        change(&mut self.told.lock().expect("nobody panics with it"))
    }

    /// Counts up under a key of the user's own room, until the server is gone.
    async fn count(self: Arc<Self>, address: String, user: usize) {
        let room = format!("counter-{user}");
        let Ok(mut http) = Http::connect(&address).await else {
            return;
        };
        let token = Some(&*self.tokens[user]);
        let claim = format!("/parties/private/{room}/claim");
        if http.request("POST", &claim, token).await.is_err() {
            return;
        }
        loop {
            let next = self.with(|told| {
                let (acknowledged, asked) = told.counters.entry(room.clone()).or_default();
                *asked = *acknowledged + 1;
                *asked
            });
            let path = format!("/parties/private/{room}?key=count&value={next}");
            let Ok(answer) = http.request("PUT", &path, token).await else {
                return;
            };
            assert_eq!(answer.status, 200, "{answer:?}");
            self.with(|told| {
                told.counters.insert(room.clone(), (next, next));
                told.acknowledged += 1;
            });
            self.progress.notify_one();
        }
    }

    /// Claims rooms that another user claims at the same time.
    async fn claim(self: Arc<Self>, address: String, round: usize, user: usize) {
        let Ok(mut http) = Http::connect(&address).await else {
            return;
        };
        for room in 0.. {
            let room = format!("{round}-{}-{room}", user / 2);
            let path = format!("/parties/private/{room}/claim");
            let token = Some(&*self.tokens[user]);
            let Ok(answer) = http.request("POST", &path, token).await else {
                return;
            };
            match answer.status {
                200 => self.with(|told| {
                    told.owned.insert((room, user));
                    told.acknowledged += 1;
                }),
                409 => {}
                _ => panic!("{answer:?}"),
            }
            self.progress.notify_one();
        }
    }
}

enum Since {
    /// The round before this one.
    Round(usize),
    Ever,
}

async fn verify(clients: &Clients, address: &str, since: Since) {
    let (counters, owned) = clients.with(|told| (told.counters.clone(), told.owned.clone()));
    let mut http = Http::connect(address).await.expect("it listens");
    for (room, (acknowledged, asked)) in counters {
        let user: usize = room["counter-".len()..].parse().expect("a user");
        let path = format!("/parties/private/{room}?key=count");
        let token = Some(&*clients.tokens[user]);
        let answer = http.request("GET", &path, token).await.expect("an answer");
        let count = match answer.status {
            404 => 0,
            _ => answer.body.parse().unwrap_or_else(|_| panic!("{answer:?}")),
        };
        assert!(
            (acknowledged..=asked).contains(&count),
            "{room}: {count} is stored, {acknowledged} was acknowledged, {asked} asked for"
        );
        // A write that was not acknowledged may still have been carried out.
        clients.with(|told| told.counters.insert(room, (count, count)));
    }
    let mut owners = BTreeMap::new();
    for (room, user) in owned {
        let other = owners.insert(room.clone(), user);
        assert_eq!(other, None, "{room} was given to two users");
        if let Since::Round(round) = since
            && !room.starts_with(&format!("{}-", round.wrapping_sub(1)))
        {
            continue;
        }
        let path = format!("/parties/private/{room}?key=none");
        for (caller, status) in [(user, 404), (user ^ 1, 403)] {
            let token = Some(&*clients.tokens[caller]);
            let answer = http.request("GET", &path, token).await.expect("an answer");
            assert_eq!(answer.status, status, "{room} is user {user}'s");
        }
    }
}

const ROUNDS: usize = 200;
const USERS: usize = 4;
