//! One member sends to the room, and every member receives it.

use super::contenders::Contenders;
use super::report::{Comparison, Section, Series};
use super::turns::{Loaded, Pace, take_turns};
use crate::Result;
use crate::load::{Size, fan_out};

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let token = Some(contenders.token.as_str());
    let mut comparisons = Vec::new();
    for members in [100, 1_000, pace.size(9_500, 2_000)] {
        let (rooms, bare) = (contenders.rooms().await?, contenders.bare("fan-out").await?);
        let mut servers = Vec::new();
        for (server, target) in [
            (&rooms, rooms.party("secured", token)),
            (&bare, bare.party("any", None)),
        ] {
            servers.push(Loaded {
                process: server.process()?,
                workers: fan_out::workers(&target, Size::of(members, 1)).await?,
            });
        }
        for in_flight in [1, 8] {
            for worker in servers.iter_mut().flat_map(|server| &mut server.workers) {
                worker.in_flight = in_flight;
            }
            let measured = take_turns(pace, &mut servers).await?;
            // With one message on the way, messages can't be combined.
            let asked = if in_flight == 1 { 1.2 } else { 1.0 };
            let ours = Series::of("room, verified identities", &measured[0]);
            let beside = Series::of("bare loop", &measured[1]);
            comparisons.push(
                Comparison::of(format!("{members} members, {in_flight} under way"), ours)
                    .beside(beside, (members == 1_000).then_some(asked)),
            );
        }
    }
    Ok(Section {
        title: "Fan-out",
        cost: "CPU µs a delivery",
        note: "A message of 32 bytes by one member; the next are sent when the last member has\n\
               those before. The bare loop makes one frame of a message, and writes it once to\n\
               each socket, without a task for each."
            .into(),
        comparisons,
    })
}
