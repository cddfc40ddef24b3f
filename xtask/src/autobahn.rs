//! `cargo xtask autobahn`: Autobahn's cases for WebSocket servers, driven by kosoku from
//! PyPI.
//!
//! Any server can be tested that takes `--listen` and `--data`, and echoes at the path
//! `/`.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::run_limited;
use crate::{Result, setup, workspace::Workspace};

/// What to run the cases against.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The server's command, split at spaces; `--listen` and `--data` are added to it.
    #[arg(long, default_value = "target/release/conformance-server")]
    server: String,
}

/// Starts the server, runs every case against it, and prints those that did not fully
/// pass. Afterwards the output of the server and kosoku is in `target/autobahn`. The
/// last line is `N passed, N failed`.
///
/// # Errors
/// When the server does not start, or the cases were not all run in time.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let mut words = options.server.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    let folder = workspace.target.join("autobahn");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&folder)?,
    }
    let server = Server::start(command, &folder)?;
    let reports = folder.join("reports");
    let mut kosoku = Command::new(setup::kosoku(workspace)?);
    kosoku
        // The cases about compression. Some of them never end with a server that does
        // not support it.
        .args(["--exclude", "12.*", "--exclude", "13.*"])
        .arg("--outdir")
        .arg(&reports)
        .arg(server.address.to_string());
    let Some(ran) = run_limited(&mut kosoku, LIMIT)? else {
        return Err(format!("the cases did not end within {} s", LIMIT.as_secs()).into());
    };
    drop(server);
    let index = fs::read(reports.join("index.json"));
    let index = index.map_err(|error| format!("there is no report: {error}\n{}", ran.text))?;
    let verdicts = verdicts(&serde_json::from_slice(&index)?);
    for (case, verdict) in &verdicts {
        if *verdict != Verdict::Passed {
            println!("{case}: {verdict:?}");
        }
    }
    if verdicts.len() != CASES {
        return Err(format!("{} of {CASES} cases have a result", verdicts.len()).into());
    }
    let failed = failed(&verdicts);
    println!("{} passed, {failed} failed", CASES - failed);
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A running server. It is killed when this is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(mut command: Command, folder: &Path) -> Result<Self> {
        // Hosts announce their address in different ways, so the address is chosen
        // here.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = folder.join("server.log");
        let child = command
            .args(["--listen", &address.to_string()])
            .arg("--data")
            .arg(folder.join("data"))
            // The echo party needs no issuer, but the others require one to be named.
            .env("OIDC_ISSUER_URL", "http://127.0.0.1:1")
            .env("OIDC_AUDIENCE", "api")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .map_err(|error| format!("the server can't be started: {error}"))?;
        let mut server = Self { child, address };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            if server.child.try_wait()?.is_some() || began.elapsed() > START_LIMIT {
                let log = fs::read_to_string(&log)?;
                return Err(format!("the server does not listen:\n{log}").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Autobahn's verdict on a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// It passed, though not as strictly as it could.
    NonStrict,
    /// The case is neither right nor wrong.
    Informational,
    Failed,
}

/// The verdict on each case, in the report's order. It is the worse of two: on what the
/// server did, and on how it closed.
fn verdicts(index: &Value) -> Vec<(String, Verdict)> {
    let verdict = |value: &Value| match value.as_str() {
        Some("OK") => Verdict::Passed,
        Some("NON-STRICT") => Verdict::NonStrict,
        Some("INFORMATIONAL") => Verdict::Informational,
        _ => Verdict::Failed,
    };
    let servers = index.as_object().into_iter().flat_map(|map| map.values());
    let cases = servers.filter_map(Value::as_object).flatten();
    let mut verdicts: Vec<_> = cases
        .map(|(case, result)| {
            let (did, closed) = (&result["behavior"], &result["behaviorClose"]);
            let worse = match (verdict(did), verdict(closed)) {
                (Verdict::Failed, _) | (_, Verdict::Failed) => Verdict::Failed,
                (Verdict::Passed, closed) => closed,
                (did, _) => did,
            };
            (case.clone(), worse)
        })
        .collect();
    verdicts.sort_by_cached_key(|(case, _)| in_numbers(case));
    verdicts
}

/// Sorts cases by number: 9.3.1 comes before 10.1.1.
fn in_numbers(case: &str) -> Vec<u32> {
    case.split('.')
        .map(|number| number.parse().unwrap_or_default())
        .collect()
}

fn failed(verdicts: &[(String, Verdict)]) -> usize {
    let is_failed = |(_, verdict): &&(String, Verdict)| *verdict == Verdict::Failed;
    verdicts.iter().filter(is_failed).count()
}

/// How many cases there are in sections 1 to 7, 9 and 10; section 8 is empty.
const CASES: usize = 301;
const START_LIMIT: Duration = Duration::from_secs(20);
/// The cases take 10 s.
const LIMIT: Duration = Duration::from_secs(180);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_did_and_closed_well_has_passed() {
        let result = |did, closed| json!({ "behavior": did, "behaviorClose": closed });
        let index = json!({ "127.0.0.1:9001": {
            "10.1.1": result("OK", "OK"),
            "1.1.1": result("OK", "UNCLEAN"),
            "2.1": result("FAILED", "OK"),
            "7.1": result("INFORMATIONAL", "INFORMATIONAL"),
            "6.4.1": result("NON-STRICT", "OK"),
            "9.1.1": result("OK", "WRONG CODE"),
            "9.1.2": json!({}),
        }});
        let verdicts = verdicts(&index);
        let expected = [
            ("1.1.1", Verdict::Failed),
            ("2.1", Verdict::Failed),
            ("6.4.1", Verdict::NonStrict),
            ("7.1", Verdict::Informational),
            ("9.1.1", Verdict::Failed),
            ("9.1.2", Verdict::Failed),
            ("10.1.1", Verdict::Passed),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(case, verdict)| ((*case).to_owned(), *verdict))
            .collect();
        assert_eq!(verdicts, expected);
        assert_eq!(failed(&verdicts), 4);
    }
}
