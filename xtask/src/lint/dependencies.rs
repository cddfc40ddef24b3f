//! cargo-deny: it always checks bans, licences and sources. It checks advisories if
//! their database can be reached.

use std::process::Command;
use std::time::Duration;

use crate::process::{run, run_limited};
use crate::{Result, setup, workspace::Workspace};

pub(super) fn check(workspace: &Workspace) -> Result<Option<String>> {
    let program = setup::cargo_deny(workspace)?;
    let deny = |checks: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(["--locked", "check", "--hide-inclusion-graph"])
            .args(checks)
            .current_dir(&workspace.root);
        command
    };
    run(&mut deny(&["bans", "licenses", "sources"]))?;
    println!("\nasking for the advisories");
    let Some(advisories) = run_limited(&mut deny(&["advisories"]), LIMIT)? else {
        return Ok(Some(format!(
            "advisories were not checked: no database within {} s",
            LIMIT.as_secs()
        )));
    };
    if advisories.success {
        return Ok(None);
    }
    if let Some(reason) = unreachable_database(&advisories.text) {
        return Ok(Some(format!("advisories were not checked: {reason}")));
    }
    Err(advisories.text.into())
}

/// Why the database could not be fetched, if that is what failed.
fn unreachable_database(text: &str) -> Option<&str> {
    let unfetched = text.lines().find(|line| line.contains(UNFETCHED))?;
    let cause = text.lines().rfind(|line| line.starts_with("fatal: "));
    Some(cause.unwrap_or(unfetched))
}

const UNFETCHED: &str = "failed to fetch advisory database";

/// A clone of the database takes some seconds.
const LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_from_an_advisory() {
        let outage = "[ERROR] failed to fetch advisory database https://db.example\n\
            Cloning into 'db'...\nfatal: could not resolve host\n";
        assert_eq!(
            unreachable_database(outage),
            Some("fatal: could not resolve host")
        );
        let advisory = "error[vulnerability]: fatal: a flaw\nadvisories FAILED\n";
        assert_eq!(unreachable_database(advisory), None);
    }
}
