//! Every crate that is published must be ready for that.

use serde_json::Value;

use crate::process::{run, run_quietly};
use crate::{Result, workspace::Workspace};

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let published = published(workspace)?;
    let missing: Vec<_> = published.iter().flat_map(missing).collect();
    if !missing.is_empty() {
        return Err(missing.join("; ").into());
    }
    // The checks above have compiled the same code, so the packages are not built
    // again. Uncommitted changes do not fail this check: CI has none.
    let mut command = workspace.cargo(&[
        "package",
        "--quiet",
        "--locked",
        "--no-verify",
        "--allow-dirty",
    ]);
    for package in &published {
        command.arg("--package").arg(name(package));
    }
    run(&mut command)
}

/// The fields that crates.io shows or requires and that the manifest of a crate lacks.
fn missing(package: &Value) -> Vec<String> {
    [
        "description",
        "license",
        "readme",
        "rust_version",
        "keywords",
        "categories",
    ]
    .into_iter()
    .filter(|field| match &package[*field] {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    })
    .map(|field| format!("{} has no {field}", name(package)))
    .collect()
}

/// The members of the workspace without `publish = false`.
fn published(workspace: &Workspace) -> Result<Vec<Value>> {
    let metadata = run_quietly(&mut workspace.cargo(&[
        "metadata",
        "--quiet",
        "--locked",
        "--no-deps",
        "--format-version=1",
    ]))?;
    if !metadata.success {
        return Err(metadata.text.into());
    }
    let mut metadata: Value = serde_json::from_str(metadata.text.trim())?;
    let Value::Array(packages) = metadata["packages"].take() else {
        return Err("cargo metadata names no packages".into());
    };
    let is_published = |package: &Value| package["publish"].is_null();
    Ok(packages.into_iter().filter(is_published).collect())
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_absent_or_empty_is_missing() {
        let package = json!({
            "name": "a", "description": "", "license": "MIT", "readme": "README.md",
            "rust_version": null, "keywords": ["rooms"], "categories": [],
        });
        let expected = [
            "a has no description",
            "a has no rust_version",
            "a has no categories",
        ];
        assert_eq!(missing(&package), expected);
    }
}
