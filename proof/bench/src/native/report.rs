//! Tables with ratios.

use std::fmt::{self, Write};

use crate::measurement::{Measurement, median};

use super::turns::Pace;

/// The results of one server under one load, one per round.
pub(super) struct Series {
    pub(super) server: String,
    /// The costs, in the unit of the section.
    pub(super) costs: Vec<f64>,
    /// Operations per second, if they are meaningful.
    pub(super) rates: Vec<f64>,
}

/// A load: our result, and the results that it is compared with.
pub(super) struct Comparison {
    pub(super) load: String,
    pub(super) ours: Series,
    /// A limit for our result alone.
    pub(super) aim: Option<Aim>,
    /// The results beside ours, each with the largest ratio of ours to it that is
    /// allowed.
    pub(super) beside: Vec<(Series, Option<f64>)>,
}

/// A limit for our result alone.
#[derive(Clone, Copy)]
pub(super) enum Aim {
    CostAtMost(f64),
    RateAtLeast(f64),
}

/// The loads of one table.
pub(super) struct Section {
    pub(super) title: &'static str,
    /// What a cost is, with its unit. It is the head of the column.
    pub(super) cost: &'static str,
    /// How it was measured.
    pub(super) note: String,
    pub(super) comparisons: Vec<Comparison>,
}

impl Series {
    /// CPU time per operation, and operations per second.
    pub(super) fn of(server: impl Into<String>, measured: &[Measurement]) -> Self {
        Self {
            server: server.into(),
            costs: measured.iter().map(Measurement::cpu).collect(),
            rates: measured.iter().map(Measurement::rate).collect(),
        }
    }

    /// A result that has no rate, such as memory.
    pub(super) fn without_rates(server: impl Into<String>, costs: Vec<f64>) -> Self {
        Self {
            server: server.into(),
            costs,
            rates: Vec::new(),
        }
    }

    fn cost(&self) -> f64 {
        median(self.costs.clone())
    }

    fn rate(&self) -> f64 {
        median(self.rates.clone())
    }
}

impl Comparison {
    /// Our result alone.
    pub(super) fn of(load: impl Into<String>, ours: Series) -> Self {
        Self {
            load: load.into(),
            ours,
            aim: None,
            beside: Vec::new(),
        }
    }

    #[must_use]
    pub(super) fn aim(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    #[must_use]
    pub(super) fn beside(mut self, series: Series, at_most: Option<f64>) -> Self {
        self.beside.push((series, at_most));
        self
    }

    fn lines(&self) -> String {
        let asked = match self.aim {
            Some(Aim::CostAtMost(limit)) => verdict(self.ours.cost(), limit, "≤"),
            Some(Aim::RateAtLeast(limit)) => verdict(self.ours.rate(), limit, "≥"),
            None => String::new(),
        };
        let mut text = line(&self.load, &self.ours, "", &asked);
        for (series, at_most) in &self.beside {
            let ratio = ratio(&self.ours, series);
            let asked = at_most.map_or(String::new(), |limit| verdict(ratio, limit, "≤"));
            text += &line("", series, &format!("{ratio:.2}"), &asked);
        }
        text
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            title, cost, note, ..
        } = self;
        writeln!(f, "## {title}\n\n{note}\n")?;
        writeln!(f, "| load | server | {cost} | per second | ratio | asked |")?;
        writeln!(f, "|---|---|---:|---:|---:|---:|")?;
        for comparison in &self.comparisons {
            f.write_str(&comparison.lines())?;
        }
        Ok(())
    }
}

pub(super) fn render(machine: &str, pace: Pace, sections: &[Section]) -> String {
    let Pace { rounds, turn, .. } = pace;
    let mut text = format!(
        "# What rooms cost on the native host\n\n\
         Written by `cargo xtask bench`. {machine}.\n\n\
         CPU is user and system time of the server's process, which runs beside the load on\n\
         the same cores. Servers of one table take turns of {} ms, {rounds} rounds; figures are\n\
         medians of the rounds. A ratio is the median of the rounds' ratios of the first\n\
         server of a load to the one in its line: under 1, the first costs less. \"Asked\" is\n\
         the limit that the project sets itself, and whether it is met.\n",
        turn.as_millis(),
    );
    for section in sections {
        // Writing to a string does not fail.
        let _ = write!(text, "\n{section}");
    }
    text
}

/// A number of things. `thing` is in the singular.
pub(super) fn counted(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

fn line(load: &str, series: &Series, ratio: &str, asked: &str) -> String {
    let rate = if series.rates.is_empty() {
        String::new()
    } else {
        format!("{:.0}", series.rate())
    };
    let Series { server, .. } = series;
    let cost = series.cost();
    format!("| {load} | {server} | {cost:.2} | {rate} | {ratio} | {asked} |\n")
}

/// The ratio of results that were taken one after the other, so that the machine was in
/// the same state for both.
fn ratio(ours: &Series, beside: &Series) -> f64 {
    let pairs = ours.costs.iter().zip(&beside.costs);
    median(pairs.map(|(ours, beside)| ours / beside).collect())
}

fn verdict(figure: f64, limit: f64, sign: &str) -> String {
    let is_met = if sign == "≤" {
        figure <= limit
    } else {
        figure >= limit
    };
    let word = if is_met { "met" } else { "**missed**" };
    format!("{sign} {limit}, {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(costs: &[f64]) -> Series {
        Series::without_rates("server", costs.to_vec())
    }

    #[test]
    fn a_ratio_is_that_of_neighbours() {
        // The machine was three times slower in the second round.
        let ratio = ratio(&series(&[12.0, 36.0, 12.0]), &series(&[10.0, 30.0, 10.0]));
        assert!((ratio - 1.2).abs() < 1e-9);
    }

    #[test]
    fn what_is_missed_says_so() {
        let missed = Comparison::of("load", series(&[3.0])).beside(series(&[2.0]), Some(1.2));
        assert!(missed.lines().contains("| 1.50 | ≤ 1.2, **missed** |"));
        let met = Comparison::of("load", series(&[3.0])).aim(Aim::CostAtMost(4.0));
        assert!(met.lines().contains("≤ 4, met"));
        let slow = Comparison::of("load", series(&[3.0])).aim(Aim::RateAtLeast(4.0));
        assert!(slow.lines().contains("**missed**"));
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }
}
