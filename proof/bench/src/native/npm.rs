//! What a user would choose instead: the npm package on workerd, and `ws` with `jose`
//! on Node.

use super::contenders::Contenders;
use super::get::Get;
use super::idle;
use super::report::{Comparison, Section, Series};
use super::server::Server;
use super::turns::{Loaded, Pace, take_turns};
use crate::Result;
use crate::client::wire;
use crate::load::{Size, echo, fan_out};
use crate::measurement::Measurement;

pub(super) async fn measure(contenders: &Contenders, pace: Pace) -> Result<Section> {
    if !contenders.interop.join("node_modules").exists() {
        return Ok(section(
            "Not measured: the Node packages are not installed.",
            vec![],
        ));
    }
    let servers = all(contenders).await?;
    let token = Some(contenders.token.as_str());
    let request = wire::get("localhost", "/parties/secured/room", token);
    let mut comparisons = Vec::new();

    let mut loaded = Vec::new();
    for server in &servers {
        loaded.push(Get::many(server, CONNECTIONS, &request, 200).await?);
    }
    let measured = take_turns(pace, &mut loaded).await?;
    comparisons.push(comparison("GET with a token, 16 connections", &measured));

    let mut loaded = Vec::new();
    for server in &servers {
        let target = server.party("secured", token);
        loaded.push(Loaded {
            process: server.process()?,
            workers: echo::workers(&target, Size::of(CONNECTIONS, 1)).await?,
        });
    }
    let measured = take_turns(pace, &mut loaded).await?;
    comparisons.push(comparison("echo, 16 sockets of one room", &measured));
    drop(loaded);

    let mut loaded = Vec::new();
    for server in &servers {
        let target = server.party("secured", token);
        loaded.push(Loaded {
            process: server.process()?,
            workers: fan_out::workers(&target, Size::of(MEMBERS, 1)).await?,
        });
    }
    let measured = take_turns(pace, &mut loaded).await?;
    comparisons.push(comparison("delivery, 100 members of one room", &measured));
    drop((loaded, servers));

    let servers = all(contenders).await?;
    let count = pace.size(2_000, 200);
    let mut memory = Vec::new();
    for server in &servers {
        memory.push(idle::sockets(server, &server.party("secured", token), count, 1).await?);
    }
    let of = |index: usize| Series::without_rates(NAMES[index], vec![memory[index]]);
    comparisons.push(
        Comparison::of("idle connection, KB in place of µs", of(0))
            .beside(of(1), None)
            .beside(of(2), None),
    );
    let note = "The npm package `agents-oauth2-jwt-bearer` on `partyserver` and workerd, as\n\
                `proof/interop/npm-package` builds it, and `ws` with `jose` on Node, as\n\
                `proof/interop/ws-jose` does it. Both verify a token each time it comes.";
    Ok(section(note, comparisons))
}

async fn all(contenders: &Contenders) -> Result<[Server; 3]> {
    Ok([
        contenders.rooms().await?,
        contenders.workerd().await?,
        contenders.node().await?,
    ])
}

fn section(note: &str, comparisons: Vec<Comparison>) -> Section {
    Section {
        title: "Beside npm",
        cost: "CPU µs each",
        note: note.into(),
        comparisons,
    }
}

fn comparison(load: &str, measured: &[Vec<Measurement>]) -> Comparison {
    let of = |index: usize| Series::of(NAMES[index], &measured[index]);
    Comparison::of(load, of(0))
        .beside(of(1), None)
        .beside(of(2), None)
}

const NAMES: [&str; 3] = [
    "room, native host",
    "npm package, workerd",
    "ws + jose, Node",
];
const CONNECTIONS: usize = 16;
const MEMBERS: usize = 100;
