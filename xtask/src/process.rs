//! Other programs: run with visible output, quietly, or for a limited time.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Result;

/// What a program printed and how it ended.
pub(crate) struct Output {
    /// Its standard output. In a quiet run, the standard error follows it.
    pub(crate) text: String,
    /// Whether its exit code was 0.
    pub(crate) success: bool,
}

/// Runs a program with visible output.
///
/// # Errors
/// When it does not start, or its exit code is not 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` failed: {status}", line(command)).into())
    }
}

/// Runs a program with visible output, and keeps its standard output.
///
/// # Errors
/// When it does not start.
pub(crate) fn run_and_keep(command: &mut Command) -> Result<Output> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            std::io::stdout().write_all(&bytes)?;
            text.push_str(&String::from_utf8_lossy(&bytes));
            bytes.clear();
        }
    }
    let success = child.wait()?.success();
    Ok(Output { text, success })
}

/// Runs a program and shows none of its output.
///
/// # Errors
/// When it does not start.
pub(crate) fn run_quietly(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(Output {
        text,
        success: output.status.success(),
    })
}

/// Runs a program quietly. `None` when it had to be ended at the limit. The program
/// leads its own process group, so that the programs that it started end with it.
///
/// # Errors
/// When it does not start.
pub(crate) fn run_limited(command: &mut Command, limit: Duration) -> Result<Option<Output>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    let mut stderr = child.stderr.take().ok_or("the standard error is piped")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stderr.read_to_end(&mut bytes);
        // The receiver is gone if the limit came first.
        let _ = sender.send(read.map(|_| String::from_utf8_lossy(&bytes).into_owned()));
    });
    let Ok(text) = receiver.recv_timeout(limit) else {
        let group = format!("-{}", child.id());
        Command::new("kill")
            .args(["-TERM", "--", &group])
            .status()?;
        child.wait()?;
        return Ok(None);
    };
    let success = child.wait()?.success();
    Ok(Some(Output {
        text: text?,
        success,
    }))
}

fn announce(command: &Command) {
    println!("\n$ {}", line(command));
}

/// The command as one would type it, without the path of the program.
fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("can't start `{}`: {error}", line(command))
}
