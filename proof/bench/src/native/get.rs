//! A GET of a room that is awake.

use super::contenders::Contenders;
use super::report::{Comparison, Section, Series, counted};
use super::server::Server;
use super::turns::{Loaded, Pace, take_turns};
use crate::Result;
use crate::client::{Wire, wire};
use crate::load::Worker;

/// One connection, and the request that it sends again and again.
pub(super) struct Get {
    connection: Wire,
    request: Vec<u8>,
}

impl Get {
    /// Connections that are answered with this status.
    pub(super) async fn many(
        server: &Server,
        connections: usize,
        request: &[u8],
        status: u16,
    ) -> Result<Loaded<Self>> {
        let mut workers = Vec::new();
        for _ in 0..connections {
            workers.push(Self {
                connection: Wire::connect(&server.address, status).await?,
                request: request.to_vec(),
            });
        }
        Ok(Loaded {
            process: server.process()?,
            workers,
        })
    }
}

impl Worker for Get {
    async fn step(&mut self) -> Result<u64> {
        self.connection.exchange(&self.request).await?;
        Ok(1)
    }
}

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let (rooms, http) = (contenders.rooms().await?, contenders.bare("http").await?);
    let token = Some(contenders.token.as_str());
    let request = |party: &str, token| {
        let path = format!("/parties/{party}/room");
        wire::get("localhost", &path, token)
    };
    let mut comparisons = Vec::new();
    for connections in [1, 16, 64] {
        let load = |server, request: Vec<u8>| async move {
            Get::many(server, connections, &request, 200).await
        };
        let measured = take_turns(
            pace,
            &mut [
                load(&rooms, request("secured", token)).await?,
                load(&rooms, request("open", None)).await?,
                load(&rooms, request("open", token)).await?,
                load(&http, request("secured", token)).await?,
            ],
        )
        .await?;
        let is_asked = connections == 64;
        let of = |index: usize, name| Series::of(name, &measured[index]);
        comparisons.push(
            Comparison::of(counted(connections, "connection"), of(0, "room, hot token"))
                .beside(of(1, "the same room without auth"), Some(1.15))
                .beside(of(2, "the same, with the token's bytes to read"), None)
                .beside(
                    of(3, "bare hyper, with the token's bytes to read"),
                    is_asked.then_some(1.6),
                ),
        );
    }
    Ok(Section {
        title: "GET of a room",
        cost: "CPU µs each",
        note: "One request under way on each connection; every server answers with the same\n\
               15 bytes of JSON under the same headers. A hot token was verified before."
            .into(),
        comparisons,
    })
}
