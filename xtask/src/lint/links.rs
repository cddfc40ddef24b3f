//! Whatever the documents point at must exist: links, paths, and the code and tests
//! that they name.
//!
//! * A relative link leads to a file or folder of the checkout. A link with a `#` leads
//!   to a heading of that document.
//! * A link whose text is code, `[`name`](file)`, leads to a file that has the name in it.
//! * Code that looks like a source file's path, `store/writer.rs`, is the end of such a
//!   path.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::{Result, workspace::Workspace};

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let mut files = Vec::new();
    collect(&workspace.root, &mut files)?;
    let documents = files.iter().filter(|file| file.ends_with(".md"));
    let mut problems = Vec::new();
    for document in documents {
        let text = fs::read_to_string(workspace.root.join(document))?;
        let checked = Document {
            root: &workspace.root,
            path: Path::new(document),
            files: &files,
        };
        problems.extend(checked.problems(&text));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n              ").into())
    }
}

/// The files below a folder, by their paths from the root. Files that are built or
/// installed are left out.
fn collect(folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let mut pending = vec![folder.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_file() {
                files.push(path.strip_prefix(folder)?.to_string_lossy().into_owned());
            } else if !name.starts_with('.') && !NOT_OURS.contains(&&*name) {
                pending.push(path);
            }
        }
    }
    Ok(())
}

/// A document, and the things that it may point at.
struct Document<'w> {
    root: &'w Path,
    path: &'w Path,
    files: &'w [String],
}

impl Document<'_> {
    fn problems(&self, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let mut is_program = false;
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                is_program = !is_program;
            } else if !is_program {
                let found = links(line)
                    .filter_map(|link| self.follow(&link, text))
                    .chain(spans(line).filter_map(|span| self.look_up(span)));
                let place = format!("{}:{}", self.path.display(), index + 1);
                problems.extend(found.map(|problem| format!("{place}: {problem}")));
            }
        }
        problems
    }

    /// What is wrong with a link.
    fn follow(&self, link: &Link<'_>, own: &str) -> Option<String> {
        if link.target.contains("://") {
            return None;
        }
        let (path, heading) = match link.target.split_once('#') {
            Some((path, heading)) => (path, Some(heading)),
            None => (link.target, None),
        };
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let target = self.root.join(normal(&folder.join(path)));
        if !path.is_empty() && !target.exists() {
            return Some(format!("{path} is not there"));
        }
        if let Some(heading) = heading {
            let document = if path.is_empty() {
                own.to_owned()
            } else {
                fs::read_to_string(&target).unwrap_or_default()
            };
            let is_there = document
                .lines()
                .filter(|line| line.starts_with('#'))
                .any(|line| anchor(line) == heading);
            if !is_there {
                return Some(format!("{} leads to no heading", link.target));
            }
        }
        let name = link.text.strip_prefix('`')?.strip_suffix('`')?;
        let name = name.rsplit("::").next().unwrap_or(name);
        if path.ends_with(name) || !target.is_file() {
            return None;
        }
        let is_named = fs::read_to_string(&target).is_ok_and(|text| has_name(&text, name));
        (!is_named).then(|| format!("{name} is not in {path}"))
    }

    /// What is wrong with a piece of code in the text.
    fn look_up(&self, span: &str) -> Option<String> {
        let is_source = SOURCES.iter().any(|ending| span.ends_with(ending))
            && !span.contains(|c: char| c.is_whitespace() || "*{}:<".contains(c));
        let is_there = |file: &String| {
            file.strip_suffix(span)
                .is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        (is_source && !self.files.iter().any(is_there)).then(|| format!("{span} is not there"))
    }
}

/// `[text](target)`.
struct Link<'l> {
    text: &'l str,
    target: &'l str,
}

fn links(line: &str) -> impl Iterator<Item = Link<'_>> {
    line.match_indices("](").filter_map(|(middle, _)| {
        let text = line[..middle]
            .rfind('[')
            .map(|start| &line[start + 1..middle])?;
        let target = &line[middle + 2..];
        let target = &target[..target.find(')')?];
        Some(Link { text, target })
    })
}

/// The pieces of code in a line.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a name occurs in a text as a whole word.
fn has_name(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(start, _)| {
        !text[..start].ends_with(is_part) && !text[start + name.len()..].starts_with(is_part)
    })
}

/// The anchor of a heading where Markdown is rendered.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            normal.pop();
        } else {
            normal.push(component);
        }
    }
    normal
}

const NOT_OURS: [&str; 2] = ["target", "node_modules"];
const SOURCES: [&str; 5] = [".rs", ".mjs", ".js", ".md", ".toml"];

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of a document of this crate that has this text.
    fn problems(text: &str) -> Vec<String> {
        let document = Document {
            root: Path::new(env!("CARGO_MANIFEST_DIR")),
            path: Path::new("src/said.md"),
            files: &["src/lint/links.rs".to_owned()],
        };
        document.problems(text)
    }

    #[test]
    fn what_is_there_is_no_problem() {
        for text in [
            "[this](lint/links.rs), [the manifest](../Cargo.toml), [a folder](lint)",
            "[`Document::follow`](lint/links.rs) and [`has_name`](lint/links.rs)",
            "`links.rs`, `lint/links.rs`, `src/lint/links.rs`, `*.rs`, `a::b.rs`",
            "[elsewhere](https://crates.example/none.rs)",
            "## Where it is, now\n[below](#where-it-is-now)",
            "```\n[in a program](none.rs)\n```",
        ] {
            assert_eq!(problems(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_named_with_its_place() {
        for (text, expected) in [
            ("a\n[b](none.rs)", "src/said.md:2: none.rs is not there"),
            ("[b](#none)", "src/said.md:1: #none leads to no heading"),
            (
                "[`none_of_it`](../Cargo.toml)",
                "src/said.md:1: none_of_it is not in ../Cargo.toml",
            ),
            ("`inks.rs`", "src/said.md:1: inks.rs is not there"),
        ] {
            assert_eq!(problems(text), [expected], "{text}");
        }
    }

    #[test]
    fn a_part_of_a_name_is_not_the_name() {
        assert!(has_name("fn one_two()", "one_two"));
        assert!(!has_name("fn one_two_three()", "one_two"));
        assert!(!has_name("fn not_one_two()", "one_two"));
    }
}
