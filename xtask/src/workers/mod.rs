//! `cargo xtask workers`: builds Workers, and runs them on workerd.
//!
//! Nothing is downloaded except from the registries: `wasm-bindgen-cli-support` makes
//! the bindings, and the runtime is npm's workerd, which is run directly.

mod build;
mod config;
mod runtime;
mod wrangler;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::Result;
use crate::test;
use crate::workspace::Workspace;

pub(crate) use self::build::build;
pub(crate) use self::runtime::workerd;

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Builds a Worker of `examples/` into `target/workers/`.
    Build {
        /// The example: private-chat or conformance-server.
        example: String,
    },
    /// Serves what `build` made, in place of this process.
    Serve {
        /// The example.
        example: String,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:8787")]
        listen: SocketAddr,
        /// The data folder; it is made where its parent exists.
        #[arg(long, default_value = "data")]
        data: PathBuf,
    },
    /// Runs the suites of `cargo xtask test` that are about Workers.
    Test,
}

/// Runs a command.
///
/// # Errors
/// When a build fails or the runtime can't be started.
pub(crate) fn run(workspace: &Workspace, command: &Command) -> Result<ExitCode> {
    match command {
        Command::Build { example } => {
            let built = build::build(workspace, example)?;
            println!("{built}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve {
            example,
            listen,
            data,
        } => Err(runtime::serve(workspace, example, *listen, data)),
        Command::Test => test::run(
            workspace,
            &test::Options {
                only: vec!["workers".to_owned()],
                without_node: false,
            },
        ),
    }
}

/// Where the built Worker of an example is.
pub(crate) fn folder(workspace: &Workspace, example: &str) -> PathBuf {
    workspace.target.join("workers").join(example)
}
