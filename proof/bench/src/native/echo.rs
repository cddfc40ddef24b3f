//! A message to the room and its echo.

use super::contenders::Contenders;
use super::report::{Comparison, Section, Series, counted};
use super::turns::{Loaded, Pace, take_turns};
use crate::Result;
use crate::load::{Size, echo};

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let (rooms, bare) = (contenders.rooms().await?, contenders.bare("echo").await?);
    let token = Some(contenders.token.as_str());
    let mut comparisons = Vec::new();
    for sockets in [1, 16, 64] {
        // Each socket is in a room of its own. A shared room is a lock that sockets
        // wait for, and the bare loop has nothing like that.
        let size = Size::of(sockets, sockets);
        let mut servers = Vec::new();
        for (server, target) in [
            (&rooms, rooms.party("secured", token)),
            (&rooms, rooms.party("open", None)),
            (&bare, bare.party("any", None)),
        ] {
            servers.push(Loaded {
                process: server.process()?,
                workers: echo::workers(&target, size).await?,
            });
        }
        let measured = take_turns(pace, &mut servers).await?;
        let of = |index: usize, name| Series::of(name, &measured[index]);
        comparisons.push(
            Comparison::of(counted(sockets, "socket"), of(0, "room, verified identity"))
                .beside(of(1, "the same room without auth"), None)
                .beside(of(2, "bare tokio-websockets"), Some(1.3)),
        );
    }
    Ok(Section {
        title: "Echo",
        cost: "CPU µs each",
        note: "32 bytes, one message under way on each socket, each socket in a room of its own."
            .into(),
        comparisons,
    })
}
