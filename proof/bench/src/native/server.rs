//! A server in a process of its own, so that its CPU time can be measured by itself.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, copy, sink};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::Result;
use crate::client::Target;

/// It is killed when this is dropped.
pub(super) struct Server {
    child: Child,
    /// Host and port.
    pub(super) address: String,
    /// The time from its start until it listened.
    pub(super) start_time: Duration,
    storage: Option<TempDir>,
}

impl Server {
    /// Starts a server and waits until it says where it listens.
    pub(super) async fn start(mut command: Command, storage: Option<TempDir>) -> Result<Self> {
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let stdout = child.stdout.take().ok_or("the standard output is piped")?;
        let mut stdout = BufReader::new(stdout);
        let port = timeout(PATIENCE, port(&mut stdout))
            .await
            .map_err(|_| format!("{command:?} did not listen within {PATIENCE:?}"))??;
        // A pipe that nobody reads would stop a server that prints.
        tokio::spawn(async move { copy(&mut stdout, &mut sink()).await });
        Ok(Self {
            child,
            address: format!("127.0.0.1:{port}"),
            start_time: began.elapsed(),
            storage,
        })
    }

    /// The id of the process, while it runs.
    pub(super) fn process(&self) -> Result<u32> {
        let id = self.child.id();
        id.ok_or_else(|| "a server has ended by itself".into())
    }

    /// Stops it as an operator does, and returns its folder, if it has one.
    pub(super) async fn stop(mut self) -> Result<Option<TempDir>> {
        let process = Pid::from_raw(self.process()?.try_into()?).ok_or("no process has id 0")?;
        kill_process(process, Signal::TERM)?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let status = ended.map_err(|_| format!("a server did not stop within {PATIENCE:?}"))??;
        if status.success() {
            Ok(self.storage.take())
        } else {
            Err(format!("a server ended with {status}").into())
        }
    }

    /// A party of the server, for callers with this token.
    pub(super) fn party(&self, name: &str, token: Option<&str>) -> Target {
        let url = format!("http://{}/parties/{name}", self.address);
        token.map_or_else(|| Target::open(&url), |token| Target::new(&url, token))
    }
}

async fn port(stdout: &mut BufReader<ChildStdout>) -> Result<u16> {
    let mut line = String::new();
    while stdout.read_line(&mut line).await? > 0 {
        if let Some(port) = port_of(&line) {
            return Ok(port);
        }
        line.clear();
    }
    Err("a server ended before it listened".into())
}

/// The port in `listening on http://127.0.0.1:8787`, and in workerd's
/// `{"event":"listen","socket":"http","port":8787}`.
fn port_of(line: &str) -> Option<u16> {
    let (_, rest) = line
        .split_once("http://127.0.0.1:")
        .or_else(|| line.split_once(r#""socket":"http","port":"#))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit());
    rest[..digits.unwrap_or(rest.len())].parse().ok()
}

/// The longest start is the one that makes a million rooms.
const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_either_form() {
        assert_eq!(port_of("listening on http://127.0.0.1:8787\n"), Some(8787));
        let workerd = r#"{"event":"listen","socket":"http","port":8787}"#;
        assert_eq!(port_of(workerd), Some(8787));
        assert_eq!(port_of("a line of the server"), None);
    }
}
