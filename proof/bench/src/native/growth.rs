//! Whether an operation costs the same when there is much more of everything.

use std::sync::atomic::AtomicU64;

use rustix::process::{Resource, getrlimit};

use super::cold::{self, Visitor};
use super::contenders::Contenders;
use super::report::{Aim, Comparison, Section, Series, counted};
use super::server::Server;
use super::turns::{Loaded, Pace, take_turns};
use crate::Result;
use crate::client::Socket;
use crate::load::{Size, echo};
use crate::serve::FILLING;
use crate::usage::Usage;

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    let (many, descriptors) = idle_sockets(pace);
    let mut comparisons = vec![connections(contenders, pace, many).await?];
    comparisons.extend(rooms_on_disk(contenders, pace).await?);
    Ok(Section {
        title: "Growth",
        cost: "CPU µs each",
        note: format!(
            "Idle sockets: 20,000, or as many as fit: a process may have {descriptors} descriptors here, of\n\
             which the host leaves sockets three quarters. Rooms are made by requests within the\n\
             server's process, {FILLING} under way, each answered after the sync that holds its owner;\n\
             making and opening include the start of the process. Opening reads and checks the\n\
             whole store. Each request reads the owner from the store. A room that nobody uses\n\
             leaves memory within a second: of 1,000 most are still there when their turn comes\n\
             again, of more hardly any. With one connection, the latency is a second divided by\n\
             the rate. New rooms add themselves to the store, some 100,000 in the course of the\n\
             rounds."
        ),
        comparisons,
    })
}

/// How many sockets may be idle, and how many descriptors a process may have.
fn idle_sockets(pace: Pace) -> (usize, usize) {
    let descriptors = getrlimit(Resource::Nofile).current;
    let descriptors = descriptors.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    // The load holds the other end of these sockets, and of all others.
    let fitting = descriptors / 20 * 14;
    (pace.size(20_000, 1_000).min(fitting), descriptors)
}

/// Echo over 16 sockets, while other sockets are idle.
async fn connections(contenders: &Contenders, pace: Pace, many: usize) -> Result<Comparison> {
    let token = Some(contenders.token.as_str());
    let few = pace.size(1_000, 100);
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
    let beside = |count| format!("beside {} idle sockets", grouped(count));
    let few = Series::of(beside(few as u64), &measured[1]);
    let many = Series::of(beside(many as u64), &measured[0]);
    Ok(Comparison::of("echo", many).beside(few, Some(1.2)))
}

/// A server, and how many rooms were on disk when it was started.
struct Stored {
    server: Server,
    rooms: u64,
}

async fn rooms_on_disk(contenders: &Contenders, pace: Pace) -> Result<Vec<Comparison>> {
    let mut stored = Vec::new();
    let (mut made, mut opened) = (Vec::new(), Vec::new());
    for (full, quick) in [(1_000_000, 20_000), (100_000, 5_000), (1_000, 1_000)] {
        let rooms = pace.size(full, quick) as u64;
        let folder = contenders.folder()?;
        let server = contenders.rooms_on_disk(folder, rooms).await?;
        made.push(start(&server, rooms)?);
        let folder = server.stop().await?.ok_or("rooms on disk have a folder")?;
        let server = contenders.rooms_on_disk(folder, 0).await?;
        opened.push(start(&server, rooms)?);
        stored.push(Stored { server, rooms });
    }
    let mut comparisons = vec![
        side_by_side("making rooms", made, None).aim(Aim::RateAtLeast(20_000.0)),
        side_by_side("opening a store", opened, None),
    ];
    let token = contenders.token.as_str();
    let next = AtomicU64::new(0);
    for visitors in [1, cold::CONNECTIONS] {
        let mut loaded = Vec::new();
        for Stored { server, rooms } in &stored {
            let visitors =
                Visitor::of_rooms_on_disk(server, token, visitors, *rooms, &next).await?;
            loaded.push(visitors);
        }
        let load = format!("a room on disk, {}", counted(visitors, "connection"));
        comparisons.push(visits(load, pace, &stored, loaded).await?);
    }
    let mut loaded = Vec::new();
    for Stored { server, .. } in &stored {
        loaded.push(Visitor::of_new_rooms(server, token).await?);
    }
    let load = format!("a new room, {}", counted(cold::CONNECTIONS, "connection"));
    comparisons.push(visits(load, pace, &stored, loaded).await?);
    Ok(comparisons)
}

/// The time until the server listened, divided by the number of its rooms.
fn start(server: &Server, rooms: u64) -> Result<Series> {
    let (time, usage) = (server.start_time, Usage::of(server.process()?)?);
    Ok(Series {
        server: format!("{}, in {:.2} s", beside(rooms), time.as_secs_f64()),
        costs: vec![usage.cpu.as_secs_f64() * 1e6 / rooms as f64],
        rates: vec![rooms as f64 / time.as_secs_f64()],
    })
}

async fn visits(
    load: String,
    pace: Pace,
    stored: &[Stored],
    mut loaded: Vec<Loaded<Visitor<'_>>>,
) -> Result<Comparison> {
    let measured = take_turns(pace, &mut loaded).await?;
    let series = stored.iter().zip(&measured);
    let series = series.map(|(stored, measured)| Series::of(beside(stored.rooms), measured));
    Ok(side_by_side(load, series, Some(1.25)))
}

/// The series with the most rooms comes first. The limit is for its ratio to a tenth of the
/// rooms.
fn side_by_side(
    load: impl Into<String>,
    series: impl IntoIterator<Item = Series>,
    mut asked: Option<f64>,
) -> Comparison {
    let mut series = series.into_iter();
    let Some(most) = series.next() else {
        unreachable!("there are stores of several sizes");
    };
    series.fold(Comparison::of(load, most), |comparison, series| {
        comparison.beside(series, asked.take())
    })
}

fn beside(rooms: u64) -> String {
    format!("{} rooms on disk", grouped(rooms))
}

/// A number with its thousands separated.
fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}
