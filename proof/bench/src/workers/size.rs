//! The size of a module, as it is and as it is sent.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::Result;

/// In bytes.
pub(super) struct WasmSize {
    pub(super) raw: u64,
    /// By `gzip -9`.
    pub(super) gzip: u64,
}

impl WasmSize {
    pub(super) async fn of(path: &Path) -> Result<Self> {
        let at = |error| format!("{}: {error}", path.display());
        let raw = fs::metadata(path).map_err(at)?.len();
        let output = Command::new("gzip")
            .args(["-9", "--no-name", "--stdout", "--"])
            .arg(path)
            .stderr(Stdio::inherit())
            .output()
            .await?;
        if !output.status.success() {
            return Err(format!("gzip: {}", output.status).into());
        }
        Ok(Self {
            raw,
            gzip: output.stdout.len() as u64,
        })
    }
}
