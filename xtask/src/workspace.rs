//! Where things are in the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// The folders of the checkout.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds; absolute.
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or("this package is not in a workspace")?
            .to_owned();
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self { root, target })
    }

    /// Cargo, at the root and with the workspace's target folder.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        // Cargo sets this variable for the programs that it runs, so the toolchain
        // stays the same.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// The folder of the fuzz targets, a workspace of its own.
    pub(crate) fn fuzz(&self) -> PathBuf {
        self.root.join("proof/fuzz")
    }

    /// The folder of the Node suites.
    pub(crate) fn interop(&self) -> PathBuf {
        self.root.join("proof/interop")
    }
}
