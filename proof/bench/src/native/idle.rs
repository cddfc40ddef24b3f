//! How much memory is used when there is nothing to do.

use std::time::Duration;

use tokio::time::sleep;

use super::contenders::Contenders;
use super::report::{Aim, Comparison, Section, Series};
use super::server::Server;
use super::turns::Pace;
use crate::Result;
use crate::client::{Socket, Target, Wire, wire};
use crate::usage::Usage;

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let count = pace.size(5_000, 500);
    let token = Some(contenders.token.as_str());
    let (mut secured, mut open, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let (mut awake, mut asleep) = (Vec::new(), Vec::new());
    // Each figure is from a process that was just started, so that no memory was used
    // before.
    for _ in 0..ROUNDS {
        let server = contenders.rooms().await?;
        secured.push(sockets(&server, &server.party("secured", token), count, 1).await?);
        let server = contenders.rooms().await?;
        open.push(sockets(&server, &server.party("open", None), count, 1).await?);
        let server = contenders.bare("echo").await?;
        bare.push(sockets(&server, &server.party("any", None), count, 1).await?);
        let server = contenders.rooms().await?;
        awake.push(rooms(&server, token, count).await?);
        let server = contenders.rooms().await?;
        let together = sockets(&server, &server.party("sleeping", token), count, 1).await?;
        let server = contenders.rooms().await?;
        let apart = sockets(&server, &server.party("sleeping", token), count, count).await?;
        asleep.push(apart - together);
    }
    let of = Series::without_rates;
    Ok(Section {
        title: "Memory",
        cost: "KB each",
        note: format!(
            "Growth of the resident set, by {count} of them. A room that is awake has had a request\n\
             and has no connection. A room that sleeps has one; its cost is that of a connection in\n\
             a room of its own less that of a connection in a shared one."
        ),
        comparisons: vec![
            Comparison::of("idle connection", of("room, verified identity", secured))
                .aim(Aim::CostAtMost(10.0))
                .beside(of("the same room without auth", open), None)
                .beside(of("bare tokio-websockets", bare), None),
            Comparison::of("room that is awake", of("room, verified identity", awake)),
            Comparison::of("room that sleeps", of("room, verified identity", asleep))
                .aim(Aim::CostAtMost(2.0)),
        ],
    })
}

/// Kilobytes for each socket.
pub(super) async fn sockets(
    server: &Server,
    target: &Target,
    count: usize,
    rooms: usize,
) -> Result<f64> {
    // The first sockets pay for what is loaded only once.
    let warm = Socket::open_many(target, WARM_UP, 1).await?;
    sleep(SETTLE).await;
    let before = Usage::of(server.process()?)?;
    let mut sockets = Socket::open_many(target, count, rooms).await?;
    sleep(SETTLE).await;
    let after = Usage::of(server.process()?)?;
    // Every socket must still be open: dropped sockets would make the memory look too
    // small.
    for socket in &mut sockets {
        socket.send(TEXT).await?;
        socket.receive(TEXT).await?;
    }
    drop(warm);
    Ok(kilobytes(&before, &after, count))
}

/// Kilobytes for each room that has had a request.
async fn rooms(server: &Server, token: Option<&str>, count: usize) -> Result<f64> {
    let mut connection = Wire::connect(&server.address, 200).await?;
    let mut visit = async |room: String| {
        let path = format!("/parties/secured/{room}");
        let request = wire::get("localhost", &path, token);
        connection.exchange(&request).await
    };
    for room in 0..WARM_UP {
        visit(format!("warm-{room}")).await?;
    }
    let before = Usage::of(server.process()?)?;
    for room in 0..count {
        visit(format!("room-{room}")).await?;
    }
    let after = Usage::of(server.process()?)?;
    Ok(kilobytes(&before, &after, count))
}

fn kilobytes(before: &Usage, after: &Usage, count: usize) -> f64 {
    (after.memory as f64 - before.memory as f64) / count as f64 / 1e3
}

const ROUNDS: usize = 3;
const WARM_UP: usize = 64;
/// Longer than rooms of the party `sleeping` stay awake without events.
const SETTLE: Duration = Duration::from_millis(2500);
const TEXT: &str = "still open";
