//! Builds what the suites run, beforehand. The fuzz targets build themselves, with
//! another toolchain.
//!
//! Every native build selects all default members. cargo unites the features of the
//! selected packages, so building single packages would compile many dependencies
//! again.

use crate::process::run;
use crate::{Result, setup, workers, workspace::Workspace};

use super::suite::{Host, Suite};

pub(super) fn build(workspace: &Workspace, suites: &[Suite]) -> Result<()> {
    if suites.iter().all(|suite| matches!(suite, Suite::Fuzz)) {
        return Ok(());
    }
    run(&mut workspace.cargo(&["build", "--bins", "--tests", "--locked"]))?;
    let serves = |host| suites.iter().any(|suite| suite.black_box() == Some(host));
    let has_faults = suites.iter().any(|suite| matches!(suite, Suite::Faults));
    let mut optimized = Vec::new();
    if serves(Host::Native) {
        optimized.extend(["--bin", "conformance-server"]);
    }
    if has_faults {
        optimized.extend(["--bin", "faults"]);
        if let Err(error) = setup::slowhttptest() {
            println!("slowhttptest is not here: {error}");
        }
    }
    if !optimized.is_empty() {
        run(workspace
            .cargo(&["build", "--release", "--locked"])
            .args(optimized))?;
    }
    if serves(Host::Workers) {
        for example in ["conformance-server", "private-chat"] {
            println!("{example}: {}", workers::build(workspace, example)?);
        }
    }
    if suites.iter().any(Suite::needs_npm) {
        setup::npm_packages(workspace)?;
    }
    Ok(())
}
