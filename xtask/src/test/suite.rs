//! The suites: where each comes from, how it is run, and whose output is counted.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Output, run_and_keep};
use crate::{Result, workspace::Workspace};

use super::counts::{self, Counts};

/// A part of the tests that is run and counted by itself.
pub(super) enum Suite {
    /// `cargo test`, with a name and the targets it selects.
    Cargo(&'static str, &'static [&'static str]),
    /// The conformance suite against the conformance server of a host.
    Conformance(Host),
    /// Autobahn's WebSocket cases against the conformance server of a host.
    Autobahn(Host),
    /// What must hold when there are faults around a native server.
    Faults,
    /// A file of `proof/interop/`, by its name without the extension.
    Node(String, Host),
    /// Each fuzz target for a few seconds.
    Fuzz,
}

/// The host that serves the rooms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Native,
    /// A Worker on workerd, which comes from npm.
    Workers,
    /// The test kit, behind a thin wire.
    Kit,
}

impl Suite {
    /// Every suite, in the order of running. Each `*.test.mjs` of `proof/interop/` is
    /// one. The suites in [`BOTH_HOSTS`] run on both hosts, and `workers-*` run on
    /// Workers alone.
    pub(super) fn all(workspace: &Workspace) -> Result<Vec<Self>> {
        let mut node = Vec::new();
        for entry in std::fs::read_dir(workspace.interop())? {
            let name = entry?.file_name();
            if let Some(name) = name.to_string_lossy().strip_suffix(NODE_SUFFIX) {
                node.push(name.to_owned());
            }
        }
        node.sort();
        let (workers, native): (Vec<_>, Vec<_>) = node
            .into_iter()
            .partition(|name| name.starts_with(WORKERS_PREFIX));
        let both = BOTH_HOSTS.map(|name| Self::Node(name.to_owned(), Host::Workers));
        let mut all = vec![
            Self::Cargo("unit", &["--lib", "--bins"]),
            Self::Cargo("integration", &["--test", "*"]),
            Self::Cargo("doc", &["--doc"]),
            Self::Cargo(
                "workers-host-unit",
                &["--package", "partyserver-workers", "--test", "*"],
            ),
            Self::Conformance(Host::Kit),
            Self::Conformance(Host::Native),
            Self::Autobahn(Host::Native),
            Self::Faults,
        ];
        all.extend(
            native
                .into_iter()
                .map(|name| Self::Node(name, Host::Native)),
        );
        all.push(Self::Conformance(Host::Workers));
        all.extend(both);
        all.extend(
            workers
                .into_iter()
                .map(|name| Self::Node(name, Host::Workers)),
        );
        all.push(Self::Fuzz);
        Ok(all)
    }

    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Cargo(name, _) => (*name).into(),
            Self::Conformance(Host::Native) => "conformance".into(),
            Self::Conformance(Host::Workers) => format!("{WORKERS_PREFIX}conformance").into(),
            Self::Conformance(Host::Kit) => "kit-conformance".into(),
            Self::Autobahn(Host::Native | Host::Kit) => "autobahn".into(),
            Self::Autobahn(Host::Workers) => format!("{WORKERS_PREFIX}autobahn").into(),
            Self::Faults => "faults".into(),
            Self::Node(name, Host::Workers) if !name.starts_with(WORKERS_PREFIX) => {
                format!("{WORKERS_PREFIX}{name}").into()
            }
            Self::Node(name, _) => name.into(),
            Self::Fuzz => "fuzz-smoke".into(),
        }
    }

    /// Whether it needs Node, or what npm installs.
    pub(super) fn needs_npm(&self) -> bool {
        matches!(self, Self::Node(..) | Self::Conformance(Host::Workers))
    }

    /// Whether the name asks for this suite. It may be the full name, or the beginning
    /// of several names.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name()
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// The host whose conformance server the suite tests.
    pub(super) fn black_box(&self) -> Option<Host> {
        match self {
            Self::Cargo(..) | Self::Faults | Self::Fuzz => None,
            Self::Node(..) if self.needs_browser() => None,
            Self::Conformance(host) | Self::Autobahn(host) | Self::Node(_, host) => Some(*host),
        }
    }

    /// Whether the suite tests the page, in a browser: the suites `page` and `page-…`.
    pub(super) fn needs_browser(&self) -> bool {
        matches!(self, Self::Node(..)) && self.is_called("page")
    }

    /// Runs the suite.
    ///
    /// # Errors
    /// When the suite can't be run, ran no test, or ended as a failure although no test
    /// failed. The error has the counts until then.
    pub(super) fn run(&self, workspace: &Workspace) -> std::result::Result<Counts, Problem> {
        let ran = run_and_keep(&mut self.command(workspace)).map_err(|error| Problem {
            counts: Counts::default(),
            reason: error.to_string(),
        })?;
        let counts = self.count(&ran);
        let reason = if counts.passed + counts.failed == 0 {
            "no test ran"
        } else if !ran.success && counts.failed == 0 {
            "it ended as a failure, but counted none"
        } else {
            return Ok(counts);
        };
        Err(Problem {
            counts,
            reason: reason.to_owned(),
        })
    }

    fn command(&self, workspace: &Workspace) -> Command {
        match self {
            Self::Cargo(_, targets) => {
                let mut command = workspace.cargo(&["test", "--locked", "--no-fail-fast"]);
                command.args(*targets);
                command
            }
            Self::Conformance(host) => {
                let name = match host {
                    Host::Native => "native",
                    Host::Workers => "workers",
                    Host::Kit => "kit",
                };
                let mut command = Command::new(workspace.target.join("debug/conformance"));
                command
                    .args(["--host", name, "--server"])
                    .arg(host.conformance_server(workspace))
                    .current_dir(&workspace.root);
                command
            }
            Self::Autobahn(host) => {
                let mut command = Command::new(workspace.target.join("debug/xtask"));
                command
                    .args(["autobahn", "--server"])
                    .arg(host.conformance_server(workspace))
                    .current_dir(&workspace.root);
                command
            }
            Self::Faults => {
                let mut command = Command::new(workspace.target.join("release/faults"));
                command.current_dir(&workspace.root);
                command
            }
            Self::Node(name, host) => {
                let mut command = Command::new("node");
                command
                    .args(["--test", "--test-reporter=spec"])
                    .arg(format!("{name}{NODE_SUFFIX}"))
                    .env("CARGO_TARGET_DIR", &workspace.target)
                    .current_dir(workspace.interop());
                if *host == Host::Workers {
                    command.env("CONFORMANCE_HOST", "workers");
                }
                command
            }
            Self::Fuzz => {
                let mut command = Command::new(workspace.target.join("debug/xtask"));
                command
                    .args(["fuzz", "--smoke", "--seconds", "5"])
                    .env("CARGO_TARGET_DIR", &workspace.target);
                command
            }
        }
    }

    fn count(&self, ran: &Output) -> Counts {
        match self {
            Self::Cargo(..) => counts::of_cargo(&ran.text),
            Self::Conformance(_) | Self::Autobahn(_) | Self::Faults | Self::Fuzz => {
                counts::of_last_line(&ran.text)
            }
            Self::Node(..) => counts::of_node(&ran.text),
        }
    }
}

impl Host {
    /// The command of its conformance server, to be split at spaces.
    fn conformance_server(self, workspace: &Workspace) -> String {
        let (program, arguments) = match self {
            Self::Native => ("release/conformance-server", ""),
            Self::Workers => ("debug/xtask", " workers serve conformance-server"),
            Self::Kit => ("debug/kit-server", ""),
        };
        let program = workspace.target.join(program);
        format!("{}{arguments}", from_root(workspace, &program).display())
    }
}

/// Why a suite failed as a whole, and the counts until then.
pub(super) struct Problem {
    pub(super) counts: Counts,
    pub(super) reason: String,
}

/// The signature vectors are not part of this repository. Without them, the tests that
/// read them pass, so the summary says that they did nothing.
pub(super) fn missing_vectors(workspace: &Workspace) -> Option<String> {
    let folder = std::env::var_os("JOSE_VECTORS")
        .map_or_else(|| workspace.root.join("../shared/vectors"), PathBuf::from);
    let is_there = folder.join("json_web_signature_test.json").is_file();
    (!is_there).then(|| {
        "vectors: ignored, they are not beside the checkout; JOSE_VECTORS names their folder".into()
    })
}

/// A path below the root, without the root. Commands are split at spaces, and only the
/// part below the root is known to have none.
fn from_root<'a>(workspace: &Workspace, path: &'a Path) -> &'a Path {
    path.strip_prefix(&workspace.root).unwrap_or(path)
}

const NODE_SUFFIX: &str = ".test.mjs";
const WORKERS_PREFIX: &str = "workers-";
/// The test files that make the same claims about any host.
const BOTH_HOSTS: [&str; 4] = [
    "oidc-provider",
    "partysocket",
    "partysocket-refusals",
    "partysocket-scenarios",
];
