//! Opening sockets.

use super::contenders::Contenders;
use super::report::{Aim, Comparison, Section, Series};
use super::turns::Pace;
use crate::Result;
use crate::client::{Socket, Target};
use crate::measurement::{Measurement, Started};

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let (rooms, bare) = (contenders.rooms().await?, contenders.bare("echo").await?);
    let token = Some(contenders.token.as_str());
    let targets = [
        (&rooms, rooms.party("secured", token)),
        (&rooms, rooms.party("open", None)),
        (&bare, bare.party("any", None)),
    ];
    let count = pace.size(1_000, 200);
    let mut measured = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=pace.rounds {
        for ((server, target), measured) in targets.iter().zip(&mut measured) {
            let opened = open(target, server.process()?, count).await?;
            // The first round pays for what is loaded only once.
            if round > 0 {
                measured.push(opened);
            }
        }
    }
    let of = |index: usize, name| Series::of(name, &measured[index]);
    Ok(Section {
        title: "Socket set-up",
        cost: "CPU µs each",
        note: format!(
            "{count} sockets, 32 handshakes under way; from the TCP connection to the first echo\n\
             of one of them. The token comes in the query and is hot."
        ),
        comparisons: vec![
            Comparison::of("set-up", of(0, "room, verified identity"))
                .aim(Aim::CostAtMost(80.0))
                .beside(of(1, "the same room without auth"), None)
                .beside(of(2, "bare tokio-websockets"), None),
        ],
    })
}

/// Closing the sockets is not measured: it happens after the measurement has ended.
async fn open(target: &Target, process: u32, count: usize) -> Result<Measurement> {
    let started = Started::now(process)?;
    let mut sockets = Socket::open_many(target, count, 100).await?;
    if let Some(socket) = sockets.last_mut() {
        socket.send(TEXT).await?;
        socket.receive(TEXT).await?;
    }
    let measured = started.finish(count as u64)?;
    drop(sockets);
    // The server must notice the closed sockets before the next turn begins.
    tokio::time::sleep(SETTLE).await;
    Ok(measured)
}

const TEXT: &str = "open";
const SETTLE: std::time::Duration = std::time::Duration::from_millis(300);
