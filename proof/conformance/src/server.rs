//! The server under test, in a process of its own.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::host::Host;

/// A running server. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    log: Log,
}

/// The last lines that a server has logged.
type Log = Arc<Mutex<VecDeque<String>>>;

/// The host, and the command that starts it.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    command: Vec<String>,
    pub(crate) host: Host,
}

impl Served {
    pub(crate) fn new(command: Vec<String>, host: Host) -> Self {
        Self { command, host }
    }
}

/// How to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) served: Served,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) data: PathBuf,
    pub(crate) listen: String,
}

impl Start {
    pub(crate) async fn run(&self) -> Result<Server, String> {
        let mut command = Command::new(&self.served.command[0]);
        command
            .args(&self.served.command[1..])
            .args(["--listen", &self.listen])
            .arg("--data")
            .arg(&self.data)
            .env_remove("OIDC_JWKS_URI")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for (name, value) in [
            ("OIDC_ISSUER_URL", &self.issuer),
            ("OIDC_AUDIENCE", &self.audience),
        ] {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut stderr = child.stderr.take().ok_or("no standard error")?;
        let mut lines = BufReader::new(stdout).lines();
        let announced = timeout(START_LIMIT, lines.next_line()).await;
        let line = announced.map_err(|_| "the server did not announce itself in time")?;
        let Some(line) = line.map_err(|error| error.to_string())? else {
            let mut text = String::new();
            // The text that was read says why the server did not start.
            let _ = stderr.read_to_string(&mut text).await;
            return Err(text);
        };
        let address = address(&line).ok_or_else(|| format!("no address in {line:?}"))?;
        // The log is read all the time, so that the server never waits for a reader.
        let log = Log::default();
        tokio::spawn(keep(BufReader::new(stderr), Arc::clone(&log)));
        Ok(Server {
            child,
            address,
            log,
        })
    }
}

impl Server {
    /// Whether a line of the log contains a text.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        let lines = self.log.lock().expect("nothing panics with the lock");
        lines.iter().any(|line| line.contains(text))
    }

    /// Asks the server to stop, and waits until it has. Returns whether it reports
    /// success.
    pub(crate) async fn stop(mut self) -> bool {
        self.signal("TERM").await;
        let status = timeout(START_LIMIT, self.child.wait()).await;
        matches!(status, Ok(Ok(status)) if status.success())
    }

    pub(crate) async fn signal(&self, signal: &str) {
        if let Some(id) = self.child.id() {
            let sent = Command::new("kill")
                .args([&format!("-{signal}"), &id.to_string()])
                .status();
            assert!(
                sent.await.is_ok_and(|status| status.success()),
                "kill -{signal} failed"
            );
        }
    }
}

async fn keep(stderr: BufReader<ChildStderr>, log: Log) {
    let mut lines = stderr.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().expect("nothing panics with the lock");
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }
}

/// The address that a server announces: after `http://`, or in workerd's form,
/// `{"event":"listen","socket":"http","port":8787}`.
fn address(line: &str) -> Option<String> {
    if let Some((_, url)) = line.rsplit_once("http://") {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(format!("127.0.0.1:{}", event["port"].as_u64()?))
}

/// How many bytes are in the files below a folder.
pub(crate) fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

const START_LIMIT: Duration = Duration::from_secs(20);
const LOG_LINES: usize = 1000;
