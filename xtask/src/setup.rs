//! The tools that the other commands need. Each is installed if it is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{run, run_quietly};
use crate::{Result, workspace::Workspace};

/// Installs everything that the other commands would install when needed.
pub(crate) fn all(workspace: &Workspace) -> Result<()> {
    run(&mut workspace.cargo(&["fetch", "--locked"]))?;
    wasm_target()?;
    cargo_deny(workspace)?;
    match nightly() {
        Ok(_) => {
            cargo_fuzz(workspace)?;
        }
        Err(reason) => println!("the fuzz targets can't run here: {reason}"),
    }
    kosoku(workspace)?;
    slowhttptest()?;
    match node() {
        Ok(()) => npm_packages(workspace)?,
        Err(reason) => println!("the Node suites can't run here: {reason}"),
    }
    if let Err(reason) = chromium() {
        println!("the suites of the page can't run here: {reason}");
    }
    Ok(())
}

/// The standard library for wasm32.
pub(crate) fn wasm_target() -> Result<()> {
    let installed = run_quietly(Command::new("rustup").args(["target", "list", "--installed"]))?;
    if installed.text.lines().any(|target| target == WASM) {
        return Ok(());
    }
    run(Command::new("rustup").args(["target", "add", WASM]))
}

/// cargo-deny in the version that `deny.toml` was written for.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    tool(workspace, "cargo-deny", CARGO_DENY)
}

/// cargo-fuzz. The [`nightly`] toolchain runs it.
pub(crate) fn cargo_fuzz(workspace: &Workspace) -> Result<PathBuf> {
    tool(workspace, "cargo-fuzz", CARGO_FUZZ)
}

/// The nightly toolchain that builds fuzz targets, or why they can't be built. If it is
/// missing, it is not installed, because that would be a different one every day.
pub(crate) fn nightly() -> std::result::Result<String, String> {
    cpp_compiler()?;
    let installed = run_quietly(Command::new("rustup").args(["toolchain", "list"]));
    let installed = installed.map_err(|error| error.to_string())?.text;
    installed
        .split_whitespace()
        .find(|word| word.starts_with("nightly"))
        .map(str::to_owned)
        .ok_or_else(|| "no nightly toolchain is installed".to_owned())
}

/// Whether the compiler that libFuzzer needs is here, or why the targets can't be
/// built.
pub(crate) fn cpp_compiler() -> std::result::Result<(), String> {
    match run_quietly(Command::new("c++").arg("--version")) {
        Ok(_) => Ok(()),
        Err(_) => Err("there is no C++ compiler (c++)".to_owned()),
    }
}

/// A program in this version. The one on the path is used if it has that version.
/// Otherwise the program is built into the target folder.
fn tool(workspace: &Workspace, name: &str, version: &str) -> Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let own = tools.join("bin").join(name);
    for program in [PathBuf::from(name), own.clone()] {
        if is_pinned(&program, version) {
            return Ok(program);
        }
    }
    run(workspace
        .cargo(&["install", name, "--locked", "--version", version])
        // It takes a third of the time of an optimized build, and the program runs for
        // only a second.
        .arg("--debug")
        .arg("--root")
        .arg(&tools)
        .arg("--target-dir")
        .arg(tools.join("build")))?;
    // Of about 700 MB, only the program is needed.
    std::fs::remove_dir_all(tools.join("build"))?;
    Ok(own)
}

fn is_pinned(program: &Path, version: &str) -> bool {
    run_quietly(Command::new(program).arg("--version")).is_ok_and(|output| {
        output.success && output.text.split_whitespace().nth(1) == Some(version)
    })
}

/// kosoku in the version that the Autobahn suite was written for, in its own virtual
/// environment.
///
/// # Errors
/// When no Python is new enough, or the package can't be installed.
pub(crate) fn kosoku(workspace: &Workspace) -> Result<PathBuf> {
    let environment = workspace.target.join("tools/kosoku");
    let program = environment.join("bin/kosoku");
    let installed = run_quietly(
        Command::new(environment.join("bin/python"))
            .arg("-c")
            .arg("from importlib import metadata; print(metadata.version('kosoku'))"),
    );
    if installed.is_ok_and(|output| output.success && output.text.trim() == KOSOKU) {
        return Ok(program);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&environment))
    .map_err(|error| format!("{error} (Python {OLDEST_PYTHON} or newer is needed)"))?;
    run(Command::new(environment.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .arg(format!("kosoku=={KOSOKU}")))?;
    Ok(program)
}

/// Installs slowhttptest from Debian's package, if this user may do that. The faults
/// that need it say so when it is missing.
///
/// # Errors
/// When the package can't be installed.
pub(crate) fn slowhttptest() -> Result<()> {
    let is_there = |program, argument| run_quietly(Command::new(program).arg(argument)).is_ok();
    if is_there("slowhttptest", "-h") {
        return Ok(());
    }
    let is_root = run_quietly(Command::new("id").arg("-u"))?.text.trim() == "0";
    if !is_root || !is_there("apt-get", "--version") {
        println!("slowhttptest is not installed, and this user can't install it");
        return Ok(());
    }
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    run(Command::new("apt-get").args([
        "install",
        "--quiet",
        "--yes",
        "--no-install-recommends",
        "slowhttptest",
    ]))
}

/// Whether Node and npm are here and new enough, or why the Node suites can't run.
pub(crate) fn node() -> std::result::Result<(), String> {
    let version = |program: &str| {
        run_quietly(Command::new(program).arg("--version"))
            .map(|output| output.text.trim().to_owned())
            .map_err(|_| {
                format!("{program} is not installed (Node {OLDEST_NODE} or newer is needed)")
            })
    };
    let node = version("node")?;
    version("npm")?;
    let major = node.trim_start_matches('v').split('.').next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= OLDEST_NODE => Ok(()),
        _ => Err(format!("Node is {node}; {OLDEST_NODE} or newer is needed")),
    }
}

/// The packages of the Node suites, exactly as locked. wrangler's packages are
/// separate, because it needs other versions of packages that the npm original needs.
pub(crate) fn npm_packages(workspace: &Workspace) -> Result<()> {
    let interop = workspace.interop();
    for folder in [interop.join("wrangler"), interop] {
        npm_ci(&folder)?;
    }
    Ok(())
}

fn npm_ci(folder: &Path) -> Result<()> {
    let modified = |path: PathBuf| std::fs::metadata(path).and_then(|file| file.modified());
    let locked = modified(folder.join("package-lock.json"))?;
    // npm writes this copy of the lock file when an installation is complete.
    if modified(folder.join("node_modules/.package-lock.json")).is_ok_and(|done| done >= locked) {
        return Ok(());
    }
    run(Command::new("npm").arg("ci").current_dir(folder))
}

/// Debian's Chromium, installed if it is missing, or why the suites that need a browser
/// can't run.
pub(crate) fn chromium() -> std::result::Result<(), String> {
    if Path::new(CHROMIUM).exists() {
        return Ok(());
    }
    let is_root = run_quietly(Command::new("id").arg("-u")).is_ok_and(|id| id.text.trim() == "0");
    if !is_root || run_quietly(Command::new("apt-get").arg("--version")).is_err() {
        return Err(format!(
            "{CHROMIUM} is not installed; on Debian: apt-get install chromium"
        ));
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command).map_err(|error| error.to_string())
    };
    apt(&["update"])?;
    apt(&["install", "--yes", "--no-install-recommends", "chromium"])
}

/// The triple of the wasm target.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

const CARGO_DENY: &str = "0.20.2";
const CARGO_FUZZ: &str = "0.13.2";
/// Where Debian installs it. The suites look for it there.
const CHROMIUM: &str = "/usr/bin/chromium";
const KOSOKU: &str = "0.1.0";
const OLDEST_PYTHON: &str = "3.10";
const OLDEST_NODE: u32 = 20;
