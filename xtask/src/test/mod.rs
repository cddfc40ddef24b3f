//! `cargo xtask test`: every suite, one after another, and a table of them.

mod build;
mod counts;
mod suite;
mod summary;

use std::process::ExitCode;
use std::time::Instant;

use crate::{Result, setup, workspace::Workspace};

use self::suite::Suite;
use self::summary::Row;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs only the suites of this name, or whose name begins with it and a hyphen;
    /// may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Leaves the suites out that need Node or npm, and says so.
    #[arg(long)]
    pub(crate) without_node: bool,
}

/// Runs the suites that were asked for and prints the summary.
///
/// # Errors
/// When a name was asked for that no suite has.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let wanted = select(Suite::all(workspace)?, &options.only)?;
    let (node, nightly) = (setup::node(), setup::nightly());
    let (mut suites, mut rows, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for suite in wanted {
        match &node {
            _ if matches!(suite, Suite::Fuzz) => match &nightly {
                Ok(_) => suites.push(suite),
                Err(reason) => notes.push(format!("{}: not run, {reason}", suite.name())),
            },
            _ if !suite.needs_npm() => suites.push(suite),
            _ if options.without_node => {
                let name = suite.name();
                notes.push(format!("{name}: left out, as --without-node asks"));
            }
            Err(reason) => {
                let problem = format!("{reason}; --without-node leaves this suite out");
                rows.push(Row::problem(&suite.name(), problem));
            }
            Ok(()) if suite.needs_browser() => match setup::chromium() {
                Ok(()) => suites.push(suite),
                Err(reason) => rows.push(Row::problem(&suite.name(), reason)),
            },
            Ok(()) => suites.push(suite),
        }
    }
    notes.extend(suite::missing_vectors(workspace));
    rows.extend(run_all(workspace, &suites));
    Ok(summary::print(&rows, &notes))
}

fn select(all: Vec<Suite>, names: &[String]) -> Result<Vec<Suite>> {
    for name in names {
        if !all.iter().any(|suite| suite.is_called(name)) {
            let all: Vec<_> = all.iter().map(Suite::name).collect();
            return Err(format!("no suite is called {name}; there are {}", all.join(", ")).into());
        }
    }
    let is_wanted =
        |suite: &Suite| names.is_empty() || names.iter().any(|name| suite.is_called(name));
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// Builds what the suites need, then runs them. If a suite fails, the others still run.
/// If a build fails, none runs.
fn run_all(workspace: &Workspace, suites: &[Suite]) -> Vec<Row> {
    let began = Instant::now();
    if let Err(error) = build::build(workspace, suites) {
        return vec![Row::problem("build", error.to_string())];
    }
    println!("\nbuilt in {:.0} s", began.elapsed().as_secs_f64());
    suites
        .iter()
        .map(|suite| {
            let began = Instant::now();
            let outcome = suite.run(workspace);
            Row::new(&suite.name(), outcome, began.elapsed())
        })
        .collect()
}
