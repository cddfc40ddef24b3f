//! What a load did, and what it cost the server.

use std::fmt;
use std::time::{Duration, Instant};

use crate::Result;
use crate::usage::Usage;

/// A finished measurement.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// How many requests, echoes, deliveries, rooms or sockets.
    pub(crate) operations: u64,
    elapsed: Duration,
    before: Usage,
    after: Usage,
}

/// A measurement that has begun.
pub(crate) struct Started {
    process: u32,
    before: Usage,
    at: Instant,
    elapsed: Option<Duration>,
}

impl Started {
    /// Reads the usage of the server process, and starts the clock.
    pub(crate) fn now(process: u32) -> Result<Self> {
        let before = Usage::of(process)?;
        Ok(Self {
            process,
            before,
            at: Instant::now(),
            elapsed: None,
        })
    }

    /// Stops the clock. The server's usage still counts until the end.
    pub(crate) fn stop_clock(&mut self) {
        self.elapsed = Some(self.at.elapsed());
    }

    pub(crate) fn finish(self, operations: u64) -> Result<Measurement> {
        let elapsed = self.elapsed.unwrap_or_else(|| self.at.elapsed());
        if operations == 0 {
            return Err("nothing was done in that time".into());
        }
        Ok(Measurement {
            operations,
            elapsed,
            before: self.before,
            after: Usage::of(self.process)?,
        })
    }
}

impl Measurement {
    /// Operations per second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    /// CPU time of the server per operation, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu_time().as_secs_f64() * 1e6 / self.operations as f64
    }

    /// Growth of the server's memory per operation, in bytes.
    pub(crate) fn memory(&self) -> f64 {
        (self.after.memory as f64 - self.before.memory as f64) / self.operations as f64
    }

    fn cpu_time(&self) -> Duration {
        self.after.cpu.saturating_sub(self.before.cpu)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in {:.2} s, {:.0}/s, {:.1} µs CPU each ({:.2} s in all",
            self.operations,
            self.elapsed.as_secs_f64(),
            self.rate(),
            self.cpu(),
            self.cpu_time().as_secs_f64(),
        )?;
        if let Some((name, time)) = self.after.busiest_thread(&self.before) {
            write!(f, ", {:.2} s in {name}", time.as_secs_f64())?;
        }
        write!(
            f,
            "), memory {:.1} MB to {:.1} MB",
            self.before.memory as f64 / 1e6,
            self.after.memory as f64 / 1e6,
        )
    }
}

/// The middle value. For an even number of values, the mean of the middle two.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}
