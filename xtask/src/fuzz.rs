//! `cargo xtask fuzz`: the targets of `proof/fuzz/`, one after another, for as long as
//! you like.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::process::{run, run_limited, run_quietly};
use crate::{Result, setup, workspace::Workspace};

/// What to run, and how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs only this target, a file of proof/fuzz/targets.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Shows one line of each target, unless it finds something; the same seed each
    /// time.
    #[arg(long)]
    smoke: bool,
}

/// Runs the targets that were asked for. Each target begins with its seeds and with the
/// inputs that earlier runs have found, which are kept in the target folder. An input
/// that breaks a rule is kept beside it.
///
/// # Errors
/// When no target has that name, or the targets can't be built here.
pub(crate) fn run_targets(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let all = targets(workspace)?;
    if let Some(name) = &options.target
        && !all.contains(name)
    {
        return Err(format!("no target is called {name}; there are {}", all.join(", ")).into());
    }
    build(workspace)?;
    let (mut passed, mut failed) = (0, 0);
    for name in &all {
        if options.target.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let mut command = target(workspace, name, options.seconds)?;
        let outcome = if options.smoke {
            smoke(&mut command, name, options.seconds)
        } else {
            run(&mut command)
        };
        match outcome {
            Ok(()) => passed += 1,
            Err(error) => {
                println!("{name}: {error}");
                failed += 1;
            }
        }
    }
    println!("\n{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The names of the targets.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(workspace.fuzz().join("targets"))? {
        let name = entry?.file_name();
        names.extend(
            name.to_string_lossy()
                .strip_suffix(".rs")
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

/// Builds all targets, with the locked dependencies.
///
/// # Errors
/// For example when this machine has no toolchain for it.
fn build(workspace: &Workspace) -> Result<()> {
    let nightly = setup::nightly()?;
    let program = setup::cargo_fuzz(workspace)?;
    // cargo-fuzz has no option for using the lock file.
    let manifest = [
        "fetch",
        "--locked",
        "--manifest-path",
        "proof/fuzz/Cargo.toml",
    ];
    run(&mut workspace.cargo(&manifest))?;
    run(Command::new("rustup")
        .args(["run", &nightly])
        .arg(program)
        .args(["build", "--fuzz-dir", "proof/fuzz", "--target-dir"])
        .arg(folder(workspace))
        .current_dir(&workspace.root)
        // `CARGO` names the cargo of the toolchain that runs this.
        .env_remove("CARGO"))
}

/// Runs a target quietly, and says how many inputs it checked against its rules.
///
/// # Errors
/// When the target found something. The error has everything that it printed.
fn smoke(command: &mut Command, name: &str, seconds: u64) -> Result<()> {
    command.args(["-seed=1", "-print_final_stats=1"]);
    let limit = Duration::from_secs(seconds) + SLACK;
    let output = run_limited(command, limit)?
        .ok_or_else(|| format!("had to be ended after {} s", limit.as_secs()))?;
    if !output.success {
        return Err(output.text.into());
    }
    let count = output
        .text
        .lines()
        .find_map(|line| line.strip_prefix(EXECUTED));
    println!(
        "{name}: {} inputs",
        count.ok_or("says nothing of its inputs")?.trim()
    );
    Ok(())
}

/// A target that was built, ready to run.
fn target(workspace: &Workspace, name: &str, seconds: u64) -> Result<Command> {
    let inside = |part: &str| -> Result<PathBuf> {
        let folder = folder(workspace).join(part).join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    };
    let mut command = Command::new(folder(workspace).join(host()?).join("release").join(name));
    command
        // New inputs go to the first folder. The second is only read.
        .arg(inside("corpus")?)
        .arg(workspace.fuzz().join("seeds").join(name))
        .arg(format!(
            "-artifact_prefix={}/",
            inside("findings")?.display()
        ))
        .arg(format!("-max_total_time={seconds}"))
        .arg("-timeout=10");
    let dictionary = workspace
        .fuzz()
        .join("dictionaries")
        .join(format!("{name}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    Ok(command)
}

/// The triple of this machine, under which cargo-fuzz builds.
fn host() -> Result<String> {
    let version = run_quietly(Command::new("rustc").arg("--verbose").arg("--version"))?;
    let line = version
        .text
        .lines()
        .find_map(|line| line.strip_prefix("host: "));
    Ok(line.ok_or("rustc names no host")?.to_owned())
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("fuzz")
}

/// Extra time for reading the corpus, and for a machine that is busy with other work.
const SLACK: Duration = Duration::from_secs(60);
const EXECUTED: &str = "stat::number_of_executed_units:";
