//! The layers of ARCHITECTURE.md, compared with what cargo resolves.

use std::path::PathBuf;

use crate::process::run_quietly;
use crate::{Result, workspace::Workspace};

/// What a crate must never depend on, directly or indirectly.
struct Rule {
    package: &'static str,
    features: &'static str,
    absent: &'static [&'static str],
    reason: &'static str,
}

const RULES: [Rule; 8] = [
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
        features: "--features=axum",
        absent: &["tokio", "hyper", "rustls", "aws-lc-rs", "wasm-bindgen"],
        reason: "its middlewares run on any runtime",
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
        package: "partyserver-workers",
        features: "--all-features",
        absent: &[
            "tokio",
            "hyper",
            "oauth2-jwt-bearer",
            "agents-oauth2-jwt-bearer",
            "partyserver-native",
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
    let mut broken = targets_named(workspace)?;
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

/// Finds places where a crate for both hosts asks for its target. Only one file may do
/// that, because the same code runs on each host.
fn targets_named(workspace: &Workspace) -> Result<Vec<String>> {
    let mut named = Vec::new();
    let mut folders: Vec<PathBuf> = BOTH_TARGETS
        .map(|package| workspace.root.join("crates").join(package).join("src"))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("maybe_send.rs")
                && asks_for_target(&std::fs::read_to_string(&path)?)
            {
                named.push(format!("{} asks for its target", path.display()));
            }
        }
    }
    Ok(named)
}

fn asks_for_target(text: &str) -> bool {
    let is_cfg =
        |line: &str| line.contains("cfg(") || line.contains("cfg!(") || line.contains("cfg_attr(");
    text.lines()
        .filter(|line| is_cfg(line))
        .any(|line| line.contains("target_") || line.contains("(unix") || line.contains("wasm"))
}

/// The crates that the hosts share.
const BOTH_TARGETS: [&str; 3] = [
    "partyserver",
    "agents-oauth2-jwt-bearer",
    "oauth2-jwt-bearer",
];

/// The names of all crates that this one is built with, on any platform. Those for its
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
    fn features_are_no_targets() {
        assert!(asks_for_target("#[cfg(target_arch = \"wasm32\")]"));
        assert!(asks_for_target("if cfg!(target_os = \"linux\") {}"));
        assert!(!asks_for_target(
            "#[cfg(feature = \"native\")]\nmod target_x;"
        ));
    }

    #[test]
    fn a_name_is_a_whole_word() {
        let tree = "partyserver v0.1.0 (/checkout/partyserver)\ntokio-macros v2.5.0 (proc-macro)\n";
        assert_eq!(names(tree), ["partyserver", "tokio-macros"]);
    }
}
