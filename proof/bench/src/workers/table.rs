//! The table of `WORKERS.md`.

use std::fmt::Write;

use crate::load::Load;
use crate::measurement::{Measurement, median};

use super::compare::{Outcome, WARM_UP};
use super::size::WasmSize;

/// The conditions of the measurement.
pub(super) struct Conditions {
    pub(super) machine: String,
    pub(super) workerd: String,
    pub(super) rounds: usize,
    pub(super) seconds: u64,
}

/// A line of the table: a figure of a load, and its format.
struct Row {
    load: Load,
    name: &'static str,
    figure: fn(&Measurement) -> f64,
    unit: &'static str,
    decimals: usize,
}

pub(super) fn render(
    conditions: &Conditions,
    outcomes: &[Outcome],
    wasm: Option<&WasmSize>,
) -> String {
    let Conditions {
        machine,
        workerd,
        rounds,
        seconds,
    } = conditions;
    let mut text = format!(
        "# The Rust worker beside the npm package\n\n\
         `agents-oauth2-jwt-bearer` 3.3.1 on `partyserver` 0.0.71, and the Rust worker, on the\n\
         same {workerd} binary. Written by `cargo xtask bench workers`.\n\n\
         {machine}. Medians of {rounds} rounds of {seconds} s, turn by turn, each on a\n\
         fresh process.\n\n\
         | | npm package | Rust | Rust / npm |\n|---|---:|---:|---:|\n"
    );
    for row in &ROWS {
        let measured = outcomes.iter().filter(|outcome| outcome.load == row.load);
        for Outcome { measured, .. } in measured {
            let figures = measured
                .each_ref()
                .map(|rounds| median(rounds.iter().map(row.figure).collect()));
            text += &row.line(figures);
        }
    }
    text.push('\n');
    if let Some(WasmSize { raw, gzip }) = wasm {
        let [raw, gzip] = [raw, gzip].map(|bytes| *bytes as f64 / 1024.0);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "The wasm of the Rust worker: {raw:.0} KiB, {gzip:.0} KiB by gzip.\n"
        );
    }
    let connections = |load| {
        let outcome = outcomes.iter().find(|outcome| outcome.load == load);
        outcome.map_or(0, |outcome| outcome.connections)
    };
    let _ = write!(
        text,
        "CPU is user and system time of the whole workerd process. Requests, echoes and cold\n\
         rooms: {} connections, one operation under way on each. Deliveries: one sender,\n\
         {} members of one room. Requests, echoes and deliveries are measured after\n\
         {WARM_UP} s of the same load, when V8 has compiled what is hot. Memory: growth of the\n\
         resident set by {} sockets of one room, read when the room had time to hibernate.\n",
        connections(Load::Get),
        connections(Load::FanOut),
        connections(Load::Idle),
    );
    text
}

impl Row {
    const fn cpu(load: Load, name: &'static str) -> Self {
        Self {
            load,
            name,
            figure: Measurement::cpu,
            unit: " µs",
            decimals: 1,
        }
    }

    fn line(&self, [npm, rust]: [f64; 2]) -> String {
        let Self {
            name,
            unit,
            decimals,
            ..
        } = self;
        format!(
            "| {name} | {npm:.decimals$}{unit} | {rust:.decimals$}{unit} | {:.2} |\n",
            rust / npm
        )
    }
}

const ROWS: [Row; 7] = [
    Row::cpu(Load::Get, "CPU per authenticated GET"),
    Row::cpu(Load::Echo, "CPU per echo"),
    Row::cpu(Load::FanOut, "CPU per delivery"),
    Row::cpu(Load::Cold, "CPU per cold room"),
    Row {
        load: Load::Cold,
        name: "cold rooms per second",
        figure: Measurement::rate,
        unit: "",
        decimals: 0,
    },
    Row::cpu(Load::Idle, "CPU per handshake"),
    Row {
        load: Load::Idle,
        name: "memory per idle connection",
        figure: |measurement| measurement.memory() / 1024.0,
        unit: " KiB",
        decimals: 1,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_below_one_says_that_rust_needs_less() {
        let line = Row::cpu(Load::Get, "CPU").line([200.0, 50.0]);
        assert_eq!(line, "| CPU | 200.0 µs | 50.0 µs | 0.25 |\n");
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }
}
