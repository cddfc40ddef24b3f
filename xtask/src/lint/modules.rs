//! The modules of the product's crates. None may be too long, and they must not import
//! each other in a circle, except inside one folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Result, workspace::Workspace};

/// The modules of a crate by name, each with its imports. A module is a file at the
/// root, or a folder.
type Imports = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    println!("\nchecking the modules of the product's crates");
    let mut broken = Vec::new();
    let mut crates: Vec<PathBuf> = fs::read_dir(workspace.root.join("crates"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    crates.sort();
    for folder in crates {
        let source = folder.join("src");
        let mut files = Vec::new();
        rust_files(&source, &mut files)?;
        let root = fs::read_to_string(source.join("lib.rs")).unwrap_or_default();
        let exported = exports(&root);
        let mut imports = Imports::new();
        for file in files {
            let text = fs::read_to_string(&file)?;
            let code = without_tests(&text);
            let length = code.lines().count();
            if length > MAX_LINES && !is_of_tests(&file) {
                broken.push(format!("{} has {length} lines", shown(workspace, &file)));
            }
            let module = module_of(&source, &file);
            if module != "lib" && module != "main" && !is_of_tests(&file) {
                let named = imported(code, &exported);
                imports.entry(module).or_default().extend(named);
            }
        }
        if let Some(circle) = circle(&imports) {
            let name = shown(workspace, &folder);
            broken.push(format!("{name}: {} is a circle", circle.join(" → ")));
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("; ").into())
    }
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn shown(workspace: &Workspace, path: &Path) -> String {
    let path = path.strip_prefix(&workspace.root).unwrap_or(path);
    path.display().to_string()
}

fn is_of_tests(file: &Path) -> bool {
    file.components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

/// A file's text up to its tests, which come last.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests")
        .map_or(text, |tests| &text[..tests])
}

/// The first part of a file's path below `src`, without an ending.
fn module_of(source: &Path, file: &Path) -> String {
    let below = file.strip_prefix(source).unwrap_or(file);
    let first = below.components().next().map(|part| part.as_os_str());
    let first = first.and_then(|name| name.to_str()).unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first).to_owned()
}

/// The names that a crate's root exports, with the modules that they come from.
fn exports(root: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let uses = root.split("pub use ").skip(1);
    for path in uses.filter_map(|rest| rest.split(';').next()) {
        let Some((module, list)) = path.split_once("::") else {
            continue;
        };
        let last = list.rsplit("::").next().unwrap_or(list);
        let list = last.trim_matches(|c: char| "{} \n".contains(c));
        for name in list.split(',').map(str::trim) {
            names.insert(name.to_owned(), module.trim().to_owned());
        }
    }
    names
}

/// The modules of its own crate that a file names.
fn imported(code: &str, exported: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for line in code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for rest in line.split("crate::").skip(1) {
            let name = |text: &str| -> String {
                let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
                text.chars().take_while(is_part).collect()
            };
            let firsts: Vec<String> = match rest.strip_prefix('{') {
                // Nested lists stand behind the first name of a path.
                Some(list) => list.split(", ").map(name).collect(),
                None => vec![name(rest)],
            };
            for first in firsts.into_iter().filter(|first| !first.is_empty()) {
                modules.insert(exported.get(&first).cloned().unwrap_or(first));
            }
        }
    }
    modules
}

/// Modules that import each other in a circle. The first is repeated at the end.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn visit<'i>(
        module: &'i str,
        imports: &'i Imports,
        path: &mut Vec<&'i str>,
        done: &mut BTreeSet<&'i str>,
    ) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|other| *other == module) {
            let circle = path[at..].iter().chain([&module]);
            return Some(circle.map(|name| (*name).to_owned()).collect());
        }
        if done.contains(module) {
            return None;
        }
        path.push(module);
        let others = imports.get(module).into_iter().flatten();
        for other in others.filter(|other| *other != module) {
            if let Some(circle) = visit(other, imports, path, done) {
                return Some(circle);
            }
        }
        path.pop();
        done.insert(module);
        None
    }
    let mut done = BTreeSet::new();
    imports
        .keys()
        .find_map(|module| visit(module, imports, &mut Vec::new(), &mut done))
}

/// A file that is longer than this, without its tests, contains more than one idea.
const MAX_LINES: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(of: &[(&str, &[&str])]) -> Imports {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        of.iter()
            .map(|(module, names)| ((*module).to_owned(), owned(names)))
            .collect()
    }

    #[test]
    fn circles_are_found_and_a_folder_may_import_itself() {
        let open = imports(&[("a", &["b", "c"]), ("b", &["c", "b"]), ("c", &[])]);
        assert_eq!(circle(&open), None);
        let closed = imports(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]);
        assert_eq!(circle(&closed).unwrap(), ["a", "b", "c", "a"]);
    }

    #[test]
    fn imports_are_read_from_paths_lists_and_exports() {
        let exported = exports("mod error;\npub use error::{Error, Result};\npub use a::b::C;\n");
        let code = "use crate::room::{Conn, cell};\n// crate::comment::X\n\
                    use crate::{socket, store::Store};\nfn f(e: crate::Error) -> crate::C {}\n";
        let modules = imported(code, &exported);
        assert_eq!(
            modules.into_iter().collect::<Vec<_>>(),
            ["a", "error", "room", "socket", "store"]
        );
    }

    #[test]
    fn a_module_is_a_file_or_a_folder() {
        let source = Path::new("/c/src");
        assert_eq!(module_of(source, Path::new("/c/src/life.rs")), "life");
        assert_eq!(module_of(source, Path::new("/c/src/host/life.rs")), "host");
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(without_tests(text), "fn a() {}\n");
    }
}
