//! Rooms that nobody has entered before, and that get an owner.

use std::sync::atomic::{AtomicU64, Ordering};

use super::contenders::Contenders;
use super::report::{Aim, Comparison, Section, Series};
use super::server::Server;
use super::turns::{Loaded, Pace, take_turns};
use crate::Result;
use crate::client::{Wire, wire};
use crate::load::Worker;

/// A connection that goes from room to room.
pub(super) struct Visitor<'a> {
    connection: Wire,
    token: &'a str,
    room: Box<dyn FnMut() -> String + 'a>,
}

impl<'a> Visitor<'a> {
    /// Visitors of rooms that never existed before.
    pub(super) async fn of_new_rooms(server: &Server, token: &'a str) -> Result<Loaded<Self>> {
        let room = |visitor: usize| {
            let mut visited = 0;
            move || {
                visited += 1;
                format!("new-{visitor}-{visited}")
            }
        };
        Self::many(server, token, CONNECTIONS, room).await
    }

    /// This many visitors of rooms on disk. There are `rooms` such rooms.
    pub(super) async fn of_rooms_on_disk(
        server: &Server,
        token: &'a str,
        visitors: usize,
        rooms: u64,
        next: &'a AtomicU64,
    ) -> Result<Loaded<Self>> {
        let room = |_| {
            // A stride that shares no factor with a power of ten reaches every room.
            move || {
                let visited = next.fetch_add(1, Ordering::Relaxed);
                format!("disk-{}", visited * STRIDE % rooms)
            }
        };
        Self::many(server, token, visitors, room).await
    }

    async fn many<F: FnMut() -> String + 'a>(
        server: &Server,
        token: &'a str,
        visitors: usize,
        room: impl Fn(usize) -> F,
    ) -> Result<Loaded<Self>> {
        let mut workers = Vec::new();
        for visitor in 0..visitors {
            workers.push(Self {
                connection: Wire::connect(&server.address, 200).await?,
                token,
                room: Box::new(room(visitor)),
            });
        }
        Ok(Loaded {
            process: server.process()?,
            workers,
        })
    }
}

impl Worker for Visitor<'_> {
    async fn step(&mut self) -> Result<u64> {
        let path = format!("/parties/owned/{}", (self.room)());
        let request = wire::get("localhost", &path, Some(self.token));
        self.connection.exchange(&request).await?;
        Ok(1)
    }
}

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let rooms = contenders.rooms_on_disk(contenders.folder()?, 0).await?;
    let visitors = Visitor::of_new_rooms(&rooms, &contenders.token).await?;
    let measured = take_turns(pace, &mut [visitors]).await?;
    let ours = Series::of("room, verified identity, owner on disk", &measured[0]);
    Ok(Section {
        title: "Cold rooms",
        cost: "CPU µs each",
        note: format!(
            "{CONNECTIONS} connections; each request is to a new room, which becomes its caller's.\n\
             It is answered after the sync of the transaction that holds the owner, on the disk of\n\
             the checkout."
        ),
        comparisons: vec![Comparison::of("first request", ours).aim(Aim::RateAtLeast(20_000.0))],
    })
}

pub(super) const CONNECTIONS: usize = 256;
const STRIDE: u64 = 7_919;
