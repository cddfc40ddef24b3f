//! The table at the end of a test run.

use std::process::ExitCode;
use std::time::Duration;

use super::counts::Counts;
use super::suite::Problem;

/// The result of a suite.
pub(super) struct Row {
    name: String,
    counts: Counts,
    elapsed: Duration,
    problem: Option<String>,
}

impl Row {
    pub(super) fn new(
        name: &str,
        outcome: std::result::Result<Counts, Problem>,
        elapsed: Duration,
    ) -> Self {
        let (counts, problem) = match outcome {
            Ok(counts) => (counts, None),
            Err(Problem { counts, reason }) => (counts, Some(reason)),
        };
        Self {
            name: name.to_owned(),
            counts,
            elapsed,
            problem,
        }
    }

    /// A suite that could not be run.
    pub(super) fn problem(name: &str, reason: String) -> Self {
        let problem = Problem {
            counts: Counts::default(),
            reason,
        };
        Self::new(name, Err(problem), Duration::ZERO)
    }

    /// The failed tests. A suite that failed as a whole counts as at least one.
    fn failed(&self) -> usize {
        self.counts.failed.max(usize::from(self.problem.is_some()))
    }
}

/// Prints the table, the notes and the line of totals, which is the last.
pub(super) fn print(rows: &[Row], notes: &[String]) -> ExitCode {
    println!("\n{}", table(rows, notes));
    let failed = rows.iter().any(|row| row.failed() > 0);
    if rows.is_empty() || failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn table(rows: &[Row], notes: &[String]) -> String {
    let widest = rows.iter().map(|row| row.name.len()).max();
    let width = widest.unwrap_or_default().max("suite".len());
    let mut lines = vec![format!(
        "{:width$}  passed  failed  ignored  seconds",
        "suite"
    )];
    for row in rows {
        let Counts {
            passed, ignored, ..
        } = row.counts;
        lines.push(format!(
            "{:width$}  {passed:6}  {:6}  {ignored:7}  {:7.1}",
            row.name,
            row.failed(),
            row.elapsed.as_secs_f64(),
        ));
    }
    let problems = rows.iter().filter_map(|row| {
        let problem = row.problem.as_ref()?;
        Some(format!("{}: {problem}", row.name))
    });
    lines.extend(problems);
    lines.extend(notes.iter().cloned());
    let passed: usize = rows.iter().map(|row| row.counts.passed).sum();
    let failed: usize = rows.iter().map(Row::failed).sum();
    lines.push(format!("{passed} passed, {failed} failed"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_that_failed_as_a_whole_is_a_failure_in_the_totals() {
        let counts = Counts {
            passed: 3,
            ..Counts::default()
        };
        let rows = [
            Row::new("unit", Ok(counts), Duration::from_millis(1300)),
            Row::problem("conformance", "no test ran".to_owned()),
        ];
        let expected = "\
suite        passed  failed  ignored  seconds
unit              3       0        0      1.3
conformance       0       1        0      0.0
conformance: no test ran
a note
3 passed, 1 failed";
        assert_eq!(table(&rows, &["a note".to_owned()]), expected);
    }
}
