//! `cargo xtask lint`: everything that can be checked without running the product.

mod dependencies;
mod graph;
mod links;
mod modules;
mod package;

use std::process::ExitCode;
use std::time::Instant;

use crate::process;
use crate::{Result, setup, workspace::Workspace};

/// What to check.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs only the checks of this name; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// A check, and the name to ask for it. If part of it could not be done here, it
/// returns the reason for the summary.
struct Check {
    name: &'static str,
    run: fn(&Workspace) -> Result<Option<String>>,
}

/// The checks in the order of running. Those that fail often and cost little come
/// first.
const CHECKS: [Check; 11] = [
    Check {
        name: "fmt",
        run: |workspace| done(fmt(workspace)),
    },
    Check {
        name: "graph",
        run: |workspace| done(graph::check(workspace)),
    },
    Check {
        name: "links",
        run: |workspace| done(links::check(workspace)),
    },
    Check {
        name: "modules",
        run: |workspace| done(modules::check(workspace)),
    },
    Check {
        name: "clippy",
        run: |workspace| done(clippy(workspace, &["--all-targets"])),
    },
    Check {
        name: "fuzz",
        run: fuzz,
    },
    Check {
        name: "wasm",
        run: |workspace| done(wasm(workspace)),
    },
    Check {
        name: "readme",
        run: |workspace| done(clippy(workspace, &["--package", "minimal"])),
    },
    Check {
        name: "doc",
        run: |workspace| done(doc(workspace)),
    },
    Check {
        name: "package",
        run: |workspace| done(package::check(workspace)),
    },
    Check {
        name: "dependencies",
        run: dependencies::check,
    },
];

/// Runs the checks. If one fails, the others still run.
///
/// # Errors
/// When a name was asked for that no check has.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    for name in &options.only {
        if !CHECKS.iter().any(|check| check.name == name) {
            let names = CHECKS.map(|check| check.name);
            return Err(
                format!("no check is called {name}; there are {}", names.join(", ")).into(),
            );
        }
    }
    let mut lines = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    for check in CHECKS {
        if !options.only.is_empty() && !options.only.iter().any(|name| name == check.name) {
            continue;
        }
        let began = Instant::now();
        let outcome = (check.run)(workspace);
        let (mark, remark) = match outcome {
            Ok(remark) => {
                passed += 1;
                ("ok", remark)
            }
            Err(error) => {
                failed += 1;
                ("FAILED", Some(error.to_string()))
            }
        };
        let seconds = began.elapsed().as_secs_f64();
        lines.push(format!("{:12}  {mark:6}  {seconds:7.1}", check.name));
        lines.extend(remark.map(|remark| format!("              {remark}")));
    }
    println!("\ncheck         result  seconds\n{}", lines.join("\n"));
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn done(outcome: Result<()>) -> Result<Option<String>> {
    outcome.map(|()| None)
}

fn fmt(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    process::run(&mut workspace.cargo(&["fmt", "--manifest-path", FUZZ, "--check"]))
}

/// The fuzz targets are not members of the workspace.
fn fuzz(workspace: &Workspace) -> Result<Option<String>> {
    if let Err(reason) = setup::cpp_compiler() {
        return Ok(Some(format!("the fuzz targets were not checked: {reason}")));
    }
    done(clippy(workspace, &["--manifest-path", FUZZ]))
}

fn clippy(workspace: &Workspace, selection: &[&str]) -> Result<()> {
    let mut command = workspace.cargo(&["clippy", "--locked"]);
    process::run(command.args(selection).args(["--", "--deny", "warnings"]))
}

/// Crates for any web runtime must compile for it without a host. So must the crates
/// for Workers alone.
fn wasm(workspace: &Workspace) -> Result<()> {
    setup::wasm_target()?;
    for (package, features) in [
        ("oauth2-jwt-bearer", ""),
        ("oauth2-jwt-bearer", "verifier"),
        ("oauth2-jwt-bearer", "web"),
        ("partyserver", ""),
        ("agents-oauth2-jwt-bearer", ""),
        ("agents-oauth2-jwt-bearer", "web"),
        ("partyserver-workers", ""),
        ("conformance-server-worker", ""),
        ("private-chat-worker", ""),
        ("bench-worker", ""),
    ] {
        let mut command = workspace.cargo(&["clippy", "--locked", "--package", package]);
        command.args(["--no-default-features", "--features", features]);
        command.args(["--target", setup::WASM, "--", "--deny", "warnings"]);
        // There is only one thread there, so the content of an `Arc` need not be
        // `Send`.
        command.args(["--allow", "clippy::arc_with_non_send_sync"]);
        process::run(&mut command)?;
    }
    Ok(())
}

fn doc(workspace: &Workspace) -> Result<()> {
    let on_the_web = ["--package", "partyserver-workers", "--target", setup::WASM];
    for selection in [&[][..], &on_the_web] {
        let mut command = workspace.cargo(&["doc", "--no-deps", "--locked"]);
        command.args(selection);
        process::run(command.env("RUSTDOCFLAGS", "--deny warnings"))?;
    }
    Ok(())
}

const FUZZ: &str = "proof/fuzz/Cargo.toml";
