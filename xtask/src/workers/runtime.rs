//! workerd, from npm.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::Workspace;

/// Serves a built Worker. This process is replaced by workerd, so ending it ends the
/// server. When it listens, it prints `{"event":"listen",…,"port":N}`.
pub(super) fn serve(
    workspace: &Workspace,
    example: &str,
    listen: SocketAddr,
    data: &Path,
) -> Box<dyn std::error::Error> {
    let config = super::folder(workspace, example).join("config.capnp");
    if !config.exists() {
        return format!("{example} is not built: cargo xtask workers build {example}").into();
    }
    let workerd = match workerd(workspace) {
        Ok(workerd) => workerd,
        Err(error) => return error.into(),
    };
    if let Err(error) = std::fs::create_dir(data)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return format!("{}: {error}", data.display()).into();
    }
    Command::new(workerd)
        .arg("serve")
        .arg(config)
        .arg(format!("--socket-addr=http={listen}"))
        .arg(format!("--directory-path=storage={}", data.display()))
        .arg("--control-fd=1")
        .exec()
        .into()
}

/// The program in npm's package for this platform.
pub(crate) fn workerd(workspace: &Workspace) -> Result<PathBuf, String> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "64",
        "aarch64" => "arm64",
        other => return Err(format!("there is no workerd for {other}")),
    };
    let package = format!("@cloudflare/workerd-linux-{architecture}");
    let program = workspace
        .interop()
        .join("node_modules")
        .join(package)
        .join("bin/workerd");
    if program.exists() {
        Ok(program)
    } else {
        Err("workerd is not installed: cargo xtask setup".into())
    }
}
