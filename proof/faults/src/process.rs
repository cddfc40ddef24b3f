//! The server as a process: how it is started, watched and ended.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A running server. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    log: Log,
}

/// The last lines that a server has logged.
type Log = Arc<Mutex<VecDeque<String>>>;

/// How a server is started.
#[derive(Clone, Copy, Default)]
pub(crate) struct Start<'a> {
    /// The issuer whose tokens it accepts. Without an issuer there are no parties that
    /// need authentication.
    pub(crate) issuer: Option<&'a str>,
    /// A folder that outlives the server.
    pub(crate) data: Option<&'a Path>,
    /// How many descriptors it may have. Default: as many as this process.
    pub(crate) descriptors: Option<u32>,
    /// Whether time limits are short enough for a test to wait for them.
    pub(crate) short_limits: bool,
}

impl Start<'_> {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When the server ends instead. The error is what it wrote to the standard error.
    pub(crate) async fn try_run(&self) -> Result<Server, String> {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = match self.descriptors {
            Some(count) => {
                let mut shell = Command::new("sh");
                shell
                    .arg("-c")
                    .arg(format!("ulimit -n {count} && exec \"$0\" \"$@\""))
                    .arg(program);
                shell
            }
            None => Command::new(program),
        };
        command
            .arg("serve")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(issuer) = self.issuer {
            command.args(["--issuer", issuer]);
        }
        if let Some(data) = self.data {
            command.arg("--data").arg(data);
        }
        if self.short_limits {
            command.arg("--short-limits");
        }
        let mut child = command.spawn().expect("the server is started");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let log = Log::default();
        let kept = Arc::clone(&log);
        let logging = tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if log.len() == LOG_LINES {
                    log.pop_front();
                }
                log.push_back(line);
            }
        });
        let mut lines = BufReader::new(stdout).lines();
        let announced = timeout(START_LIMIT, lines.next_line()).await;
        let announced = announced.expect("it starts or ends in time");
        let Ok(Some(line)) = announced else {
            logging.await.expect("the log is read");
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(log.iter().cloned().collect::<Vec<_>>().join("\n"));
        };
        let address = line.rsplit("http://").next().unwrap_or_default().to_owned();
        Ok(Server {
            child,
            address,
            log,
        })
    }

    /// Like [`Self::try_run`], but the server must start.
    pub(crate) async fn run(&self) -> Server {
        let started = self.try_run().await;
        started.unwrap_or_else(|error| panic!("no start: {error}"))
    }
}

impl Server {
    fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Kills it without a warning, and waits for its end.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let id = self.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(asked.is_ok_and(|status| status.success()), "kill -TERM");
        let ended = timeout(START_LIMIT, self.child.wait()).await;
        ended.expect("it stops in time").expect("it is waited for")
    }

    /// How many descriptors it has.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.id());
        fs::read_dir(folder).expect("it runs").count()
    }

    /// What it has in memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.and_then(|text| text.parse().ok()).expect("VmRSS");
        kilobytes * 1024
    }

    /// How many of the last lines of the log contain a text.
    pub(crate) fn logged(&self, text: &str) -> usize {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().filter(|line| line.contains(text)).count()
    }
}

/// A number of bytes in a readable form.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Waits for a condition that can only be polled.
pub(crate) async fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(limit, wait).await.is_ok(), "{what}");
}

const START_LIMIT: Duration = Duration::from_secs(20);
const LOG_LINES: usize = 2000;
