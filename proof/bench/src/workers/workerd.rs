//! A workerd process with storage of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, copy, stderr};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::Result;

/// It is killed when this is dropped. In production it ends in the same way.
pub(super) struct Workerd {
    child: Child,
    port: u64,
    _storage: TempDir,
}

impl Workerd {
    /// Starts it and waits until it listens. Its storage is a new folder in `storage`.
    pub(super) async fn start(
        binary: &Path,
        configuration: &Path,
        storage: &Path,
        issuer: &str,
    ) -> Result<Self> {
        let storage = TempDir::with_prefix_in("bench-", storage)?;
        let mut directory = std::ffi::OsString::from("--directory-path=storage=");
        directory.push(storage.path());
        let mut child = Command::new(binary)
            .arg("serve")
            .arg(configuration)
            .arg("--socket-addr=http=127.0.0.1:0")
            .arg(directory)
            // It goes to the standard output, together with the worker's own lines.
            .arg("--control-fd=1")
            .env_clear()
            .env("OIDC_ISSUER_URL", issuer)
            .env("OIDC_AUDIENCE", AUDIENCE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let stdout = child.stdout.take().ok_or("the standard output is piped")?;
        let mut stdout = BufReader::new(stdout);
        let port = timeout(PATIENCE, port(&mut stdout))
            .await
            .map_err(|_| format!("workerd did not listen within {PATIENCE:?}"))??;
        // A pipe that nobody reads would stop a worker that logs.
        tokio::spawn(async move { copy(&mut stdout, &mut stderr()).await });
        Ok(Self {
            child,
            port,
            _storage: storage,
        })
    }

    /// The URL of a party.
    pub(super) fn party(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/parties/{name}", self.port)
    }

    /// The id of the process, while it runs.
    pub(super) fn process(&self) -> Result<u32> {
        self.child
            .id()
            .ok_or_else(|| "workerd has ended by itself".into())
    }

    /// Ends it and waits until it has gone.
    pub(super) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// The version that a binary says it has.
pub(super) async fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output().await?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The port in `{"event":"listen","socket":"http","port":…}`.
async fn port(stdout: &mut BufReader<ChildStdout>) -> Result<u64> {
    let mut line = String::new();
    while stdout.read_line(&mut line).await? > 0 {
        if let Some(port) = port_of(&line) {
            return Ok(port);
        }
        line.clear();
    }
    Err("workerd ended before it listened".into())
}

fn port_of(line: &str) -> Option<u64> {
    let event: Value = serde_json::from_str(line).ok()?;
    let is_ours = event["event"] == "listen" && event["socket"] == "http";
    event["port"].as_u64().filter(|_| is_ours)
}

/// The audience that the workers are told to accept.
pub(super) const AUDIENCE: &str = "https://rooms.example";

const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_http_socket_is_ours() {
        let line = |socket| format!(r#"{{"event":"listen","socket":"{socket}","port":8080}}"#);
        assert_eq!(port_of(&line("http")), Some(8080));
        assert_eq!(port_of(&line("debug")), None);
        assert_eq!(port_of("a line of the worker"), None);
    }
}
