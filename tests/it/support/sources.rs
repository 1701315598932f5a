//! The project's own sources, for the tests that read them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file: its path below the project, and its text.
#[derive(Debug)]
pub(crate) struct Source {
    /// As in `src/store/commit.rs`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// The project's directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory of the project, sorted by path.
pub(crate) fn rust_files(directory: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(directory), &mut paths);
    paths.sort();
    let relative = |path: &PathBuf| {
        path.strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let read = |path: PathBuf| Source {
        path: relative(&path),
        text: fs::read_to_string(&path).unwrap(),
    };
    paths.into_iter().map(read).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// What stands in a source file, told apart.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The code, with comments left out and `""` for every string.
    pub(crate) code: String,
    /// The contents of the strings, as written.
    pub(crate) strings: Vec<String>,
}

impl Source {
    /// Tells code, strings and comments apart.
    pub(crate) fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        let mut rest = self.text.as_str();
        while let Some(first) = rest.chars().next() {
            rest = if rest.starts_with("//") {
                &rest[rest.find('\n').unwrap_or(rest.len())..]
            } else if rest.starts_with("/*") {
                rest.split_once("*/").map_or("", |(_, after)| after)
            } else if let Some(quote) = char_literal(rest) {
                parts.code.push_str("' '");
                &rest[quote..]
            } else if let Some((string, after)) = string_literal(rest, &parts.code) {
                parts.code.push_str("\"\"");
                parts.strings.push(string.to_owned());
                after
            } else {
                parts.code.push(first);
                &rest[first.len_utf8()..]
            };
        }
        parts
    }
}

/// The length of a character literal at the start of `text`; a lifetime is none.
fn char_literal(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    let length = if first == '\\' {
        inner[2..].find('\'')? + 2
    } else {
        first.len_utf8()
    };
    inner[length..].starts_with('\'').then_some(length + 2)
}

/// A string literal at the start of `text`, and what follows it. An `r` that ends a name
/// (`char"`) begins no raw string.
fn string_literal<'a>(text: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    let in_name = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
    if let Some(raw) = text
        .strip_prefix('r')
        .filter(|_| !in_name || before.ends_with('b'))
    {
        let hashes = &raw[..raw.find(|next| next != '#')?];
        let inner = raw[hashes.len()..].strip_prefix('"')?;
        return inner.split_once(&format!("\"{hashes}"));
    }
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.find(|next| {
        let ends = next == '"' && !escaped;
        escaped = next == '\\' && !escaped;
        ends
    })?;
    Some((&inner[..end], &inner[end + 1..]))
}
