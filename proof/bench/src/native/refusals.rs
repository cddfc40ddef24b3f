//! Requests and sockets that are refused: the work that a stranger can cause.

use std::time::Duration;

use super::contenders::Contenders;
use super::get::Get;
use super::report::{Comparison, Section, Series};
use super::server::Server;
use super::turns::{Loaded, Pace, take_turns};
use crate::Result;
use crate::client::{Socket, Target, wire};
use crate::load::Worker;

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let (rooms, http) = (contenders.rooms().await?, contenders.bare("http").await?);
    let expired = contenders.issuer.token();
    let expired = expired.expired_for(Duration::from_secs(3600)).sign();
    let forged = forged(&contenders.token);
    let mut comparisons = Vec::new();
    for (load, token) in [
        ("no token", None),
        ("not a token", Some("not.a.token")),
        ("a wrong signature", Some(forged.as_str())),
        ("an expired token", Some(expired.as_str())),
    ] {
        let request = wire::get("localhost", "/parties/secured/room", token);
        let measured = take_turns(
            pace,
            &mut [
                Get::many(&rooms, CONNECTIONS, &request, 401).await?,
                Get::many(&http, CONNECTIONS, &request, 200).await?,
            ],
        )
        .await?;
        comparisons.push(
            Comparison::of(load, Series::of("refused with 401", &measured[0]))
                .beside(Series::of("answered by bare hyper", &measured[1]), None),
        );
    }
    let refused = rooms.party("secured", None);
    let admitted = rooms.party("secured", Some(&contenders.token));
    let measured = take_turns(
        pace,
        &mut [
            Visit::many(&rooms, &refused, Welcome::Refused)?,
            Visit::many(&rooms, &admitted, Welcome::Admitted)?,
        ],
    )
    .await?;
    comparisons.push(
        Comparison::of(
            "a socket without a token",
            Series::of("refused with 1008", &measured[0]),
        )
        .beside(
            Series::of("admitted, and closed by its client", &measured[1]),
            None,
        ),
    );
    Ok(Section {
        title: "Refusals",
        cost: "CPU µs each",
        note: format!(
            "{CONNECTIONS} connections; the sockets come over a new one each time. The log is on,\n\
             as in the examples."
        ),
        comparisons,
    })
}

/// The token with a wrong signature of the right length.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let signature: String = signature.chars().rev().collect();
    // The last character contains spare bits, which must be zero. In A they are zero.
    let end = signature.len().saturating_sub(1);
    format!("{signed}.{}A", &signature[..end])
}

/// Opens one socket after another.
struct Visit {
    target: Target,
    welcome: Welcome,
}

#[derive(Clone, Copy)]
enum Welcome {
    Admitted,
    Refused,
}

impl Visit {
    fn many(server: &Server, target: &Target, welcome: Welcome) -> Result<Loaded<Self>> {
        let visit = || Self {
            target: target.clone(),
            welcome,
        };
        Ok(Loaded {
            process: server.process()?,
            workers: std::iter::repeat_with(visit).take(CONNECTIONS).collect(),
        })
    }
}

impl Worker for Visit {
    async fn step(&mut self) -> Result<u64> {
        let socket = Socket::open(&self.target, "room").await?;
        match self.welcome {
            Welcome::Admitted => socket.close().await?,
            Welcome::Refused => socket.refused().await?,
        }
        Ok(1)
    }
}

const CONNECTIONS: usize = 16;
