//! Whether an operation costs the same when there is much more of everything.

use std::sync::atomic::AtomicU64;

use super::cold::Visitor;
use super::contenders::Contenders;
use super::report::{Comparison, Section, Series};
use super::turns::{Loaded, Pace, take_turns};
use crate::Result;
use crate::client::Socket;
use crate::load::{Size, echo};

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let mut comparisons = vec![connections(contenders, pace).await?];
    comparisons.extend(rooms_on_disk(contenders, pace).await?);
    Ok(Section {
        title: "Growth",
        cost: "CPU µs each",
        note: "The first line of a load is with many, the second with few. Rooms on disk have an\n\
               owner there. A new room adds itself to the store, so the few become some 100,000\n\
               in the course of the rounds."
            .into(),
        comparisons,
    })
}

/// Echo over 16 sockets, beside others that are idle.
async fn connections(contenders: &Contenders, pace: Pace) -> Result<Comparison> {
    let token = Some(contenders.token.as_str());
    // A process may have 20,000 descriptors where this is measured, of which the host
    // leaves sockets three quarters.
    let (few, many) = (pace.size(1_000, 100), pace.size(14_000, 1_000));
    let (small, large) = (contenders.rooms().await?, contenders.rooms().await?);
    let mut servers = Vec::new();
    let mut idle = Vec::new();
    for (server, count) in [(&large, many), (&small, few)] {
        let target = server.party("secured", token);
        idle.push(Socket::open_many(&target, count, 100).await?);
        servers.push(Loaded {
            process: server.process()?,
            workers: echo::workers(&target, Size::of(16, 16)).await?,
        });
    }
    let measured = take_turns(pace, &mut servers).await?;
    let load = format!("echo beside {many} idle sockets, and beside {few}");
    Ok(Comparison::of(load, Series::of(MANY, &measured[0]))
        .beside(Series::of(FEW, &measured[1]), None))
}

async fn rooms_on_disk(contenders: &Contenders, pace: Pace) -> Result<Vec<Comparison>> {
    let (few, many) = (1_000, pace.size(1_000_000, 20_000) as u64);
    let small = contenders.rooms_on_disk(few).await?;
    let large = contenders.rooms_on_disk(many).await?;
    let token = contenders.token.as_str();
    let new = take_turns(
        pace,
        &mut [
            Visitor::of_new_rooms(&large, token).await?,
            Visitor::of_new_rooms(&small, token).await?,
        ],
    )
    .await?;
    let next = AtomicU64::new(0);
    let known = Visitor::of_rooms_on_disk(&large, token, many, &next).await?;
    let known = take_turns(pace, &mut [known]).await?;
    Ok(vec![
        Comparison::of(
            format!("a new room, beside {many} on disk, and beside {few}"),
            Series::of(MANY, &new[0]),
        )
        .beside(Series::of(FEW, &new[1]), None),
        Comparison::of(
            format!("a cold room, one of {many} on disk"),
            Series::of(MANY, &known[0]),
        ),
    ])
}

const MANY: &str = "room, many";
const FEW: &str = "room, few";
