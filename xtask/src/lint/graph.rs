//! The layers of ARCHITECTURE.md, held against what cargo resolves.

use crate::process::run_quietly;
use crate::{Result, workspace::Workspace};

/// What a crate may never come to depend on, directly or not.
struct Rule {
    package: &'static str,
    features: &'static str,
    absent: &'static [&'static str],
    reason: &'static str,
}

const RULES: [Rule; 6] = [
    Rule {
        package: "oauth2-jwt-bearer",
        features: "--no-default-features",
        absent: &[
            "tokio",
            "hyper",
            "mio",
            "socket2",
            "rustls",
            "aws-lc-rs",
            "getrandom",
            "worker",
            "wasm-bindgen",
            "chrono",
            "time",
        ],
        reason: "without features it has no runtime, no network, no clock",
    },
    Rule {
        package: "oauth2-jwt-bearer",
        features: "--all-features",
        absent: &["partyserver", "partyserver-native", "local-issuer"],
        reason: "it verifies tokens for any server",
    },
    Rule {
        package: "partyserver",
        features: "--all-features",
        absent: &[
            "tokio",
            "hyper",
            "worker",
            "wasm-bindgen",
            "rusqlite",
            "oauth2-jwt-bearer",
            "agents-oauth2-jwt-bearer",
            "partyserver-native",
            "local-issuer",
        ],
        reason: "it knows no host and no OAuth",
    },
    Rule {
        package: "agents-oauth2-jwt-bearer",
        features: "--all-features",
        absent: &["partyserver-native", "worker", "rusqlite", "local-issuer"],
        reason: "the mixins know no host",
    },
    Rule {
        package: "partyserver-native",
        features: "--all-features",
        absent: &[
            "oauth2-jwt-bearer",
            "agents-oauth2-jwt-bearer",
            "local-issuer",
        ],
        reason: "hosts know no OAuth",
    },
    Rule {
        package: "local-issuer",
        features: "--all-features",
        absent: &[
            "oauth2-jwt-bearer",
            "agents-oauth2-jwt-bearer",
            "partyserver",
        ],
        reason: "what makes the tokens of tests shares no code with what verifies them",
    },
];

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    println!("\nchecking that the layers hold");
    let mut broken = Vec::new();
    for rule in RULES {
        let resolved = dependencies(workspace, &rule)?;
        for name in rule.absent {
            if resolved.iter().any(|resolved| resolved == name) {
                let Rule {
                    package, features, ..
                } = rule;
                broken.push(format!(
                    "{package} {features} depends on {name}, but {}",
                    rule.reason
                ));
            }
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("; ").into())
    }
}

/// The names of all crates that this one is built with, on any platform; those of its
/// tests are left out.
fn dependencies(workspace: &Workspace, rule: &Rule) -> Result<Vec<String>> {
    let tree = run_quietly(workspace.cargo(&["tree", "--quiet", "--locked"]).args([
        "--package",
        rule.package,
        rule.features,
        "--edges=normal",
        "--target=all",
        "--prefix=none",
        "--format={p}",
    ]))?;
    if !tree.success {
        return Err(tree.text.into());
    }
    Ok(names(&tree.text))
}

/// The first word of each line.
fn names(tree: &str) -> Vec<String> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_whole_word() {
        let tree = "partyserver v0.1.0 (/checkout/partyserver)\ntokio-macros v2.5.0 (proc-macro)\n";
        assert_eq!(names(tree), ["partyserver", "tokio-macros"]);
    }
}
