//! The parts of a `wrangler.jsonc` that are read.

use std::path::Path;

use serde_json::Value;

use crate::Result;

/// The parts of a deployment that the build and workerd need.
pub(super) struct Wrangler {
    pub(super) compatibility_date: String,
    pub(super) compatibility_flags: Vec<String>,
    /// Bindings to namespaces: their names and classes.
    pub(super) objects: Vec<(String, String)>,
}

impl Wrangler {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("wrangler.jsonc");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let config: Value = serde_json::from_str(&without_comments(&text))?;
        let member = |value: &Value, name: &str| {
            let text = value[name].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("{}: no {name}", path.display()))
        };
        let bindings = config["durable_objects"]["bindings"].as_array();
        let objects = bindings
            .into_iter()
            .flatten()
            .map(|binding| Ok((member(binding, "name")?, member(binding, "class_name")?)));
        let flags = config["compatibility_flags"].as_array();
        let flags = flags.into_iter().flatten();
        Ok(Self {
            compatibility_flags: flags
                .filter_map(|flag| Some(flag.as_str()?.to_owned()))
                .collect(),
            compatibility_date: member(&config, "compatibility_date")?,
            objects: objects.collect::<Result<_>>()?,
        })
    }
}

/// JSON without its `//` comments.
fn without_comments(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut in_string, mut escaped, mut end) = (false, false, line.len());
        for (at, c) in line.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if in_string => escaped = true,
                '"' => in_string = !in_string,
                '/' if !in_string && line[at..].starts_with("//") => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        json.push_str(&line[..end]);
        json.push('\n');
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_at_the_line_and_begin_outside_of_strings() {
        let text = "// a\n{ \"b\": \"c//d\\\"//\" } // e";
        assert_eq!(without_comments(text), "\n{ \"b\": \"c//d\\\"//\" } \n");
    }
}
