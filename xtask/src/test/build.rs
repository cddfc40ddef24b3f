//! What the suites run, built beforehand.
//!
//! Every build selects the whole workspace: cargo unites the features of what is
//! selected, so builds of single packages would compile many dependencies again.

use crate::process::run;
use crate::{Result, setup, workspace::Workspace};

use super::suite::Suite;

pub(super) fn build(workspace: &Workspace, suites: &[Suite]) -> Result<()> {
    if suites.is_empty() {
        return Ok(());
    }
    run(&mut workspace.cargo(&["build", "--bins", "--tests", "--locked"]))?;
    if suites.iter().any(Suite::is_black_box) {
        run(&mut workspace.cargo(&[
            "build",
            "--release",
            "--locked",
            "--bin",
            "conformance-server",
        ]))?;
    }
    if suites.iter().any(|suite| matches!(suite, Suite::Node(_))) {
        setup::npm_packages(workspace)?;
    }
    Ok(())
}
