//! Every route is documented, and some test asks for it.
//!
//! What tests ask for is read from their sources: the path of every `get("…")`, `post(&format!("…"))`
//! and `Request::new("METHOD", "…")`. `untrusted.rs` does not count, it asks for everything.

use std::collections::BTreeSet;

use crate::support::sources::{root, rust_files};

/// The calls that make a request, and its method.
const CALLS: &[(&str, &str)] = &[
    (".get(", "GET"),
    (".post(", "POST"),
    (".put(", "PUT"),
    (".patch(", "PATCH"),
    (".delete(", "DELETE"),
];

/// Method and path of every request in a source text. What is filled in later stays as `{name}`.
fn requests(text: &str) -> Vec<(String, String)> {
    let mut requests = Vec::new();
    for (call, method) in CALLS {
        for rest in text.split(call).skip(1) {
            requests.extend(path(rest).map(|path| ((*method).to_owned(), path)));
        }
    }
    for rest in text.split("Request::new(").skip(1) {
        let Some((method, rest)) = literal(rest) else {
            continue;
        };
        let rest = rest.trim_start_matches(',');
        requests.extend(path(rest).map(|path| (method.to_owned(), path)));
    }
    requests
}

/// The path that an argument list begins with: a literal or a format.
fn path(arguments: &str) -> Option<String> {
    let argument = arguments.trim_start().trim_start_matches('&');
    let argument = argument.strip_prefix("format!(").unwrap_or(argument);
    let (text, _) = literal(argument)?;
    let path = text.split('?').next()?;
    path.starts_with('/').then(|| path.to_owned())
}

fn literal(text: &str) -> Option<(&str, &str)> {
    text.trim_start().strip_prefix('"')?.split_once('"')
}

/// How well a pattern fits a path: the number of segments that are the same word. A filled-in
/// segment fits only a parameter.
fn fit(pattern: &str, path: &str) -> Option<usize> {
    let mut same = 0;
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        if wanted.starts_with("{*") {
            return segments.next().map(|_| same);
        }
        let segment = segments.next()?;
        if segment == wanted {
            same += 1;
        } else if !wanted.starts_with('{') || segment.is_empty() {
            return None;
        }
    }
    segments.next().is_none().then_some(same)
}

/// The routes that tests ask for.
fn asked() -> BTreeSet<(&'static str, &'static str)> {
    let files = rust_files("tests/it").into_iter();
    let files = files.filter(|file| !file.path.ends_with("untrusted.rs"));
    let requests: Vec<_> = files.flat_map(|file| requests(&file.text)).collect();
    let route = |method: &str, path: &str| {
        let table = lximaged::route_table().into_iter();
        let fits = table.filter(|route| route.0 == method);
        let fits = fits.filter_map(|route| fit(route.1, path).map(|same| (same, route.0, route.1)));
        fits.max().map(|(_, method, pattern)| (method, pattern))
    };
    requests
        .iter()
        .filter_map(|(method, path)| route(method, path))
        .collect()
}

#[test]
fn every_route_is_asked_for_by_a_test() {
    let asked = asked();
    let missing: Vec<_> = lximaged::route_table()
        .into_iter()
        .filter(|(method, path, _)| !asked.contains(&(*method, *path)))
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    assert!(missing.is_empty(), "no test asks for: {missing:#?}");
}

#[test]
fn every_route_is_documented_and_nothing_else_is() {
    let document = std::fs::read_to_string(root().join("docs/api.md")).unwrap();
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    let documented: BTreeSet<_> = document
        .lines()
        .map(|line| line.split('|').map(cell).collect::<Vec<_>>())
        .filter(|cells| cells.len() > 4 && cells[2].starts_with('/'))
        .map(|cells| (cells[1].clone(), cells[2].clone(), cells[3].clone()))
        .collect();
    let table = lximaged::route_table().into_iter();
    let table: BTreeSet<_> = table
        .map(|(method, path, access)| (method.to_owned(), path.to_owned(), access.to_owned()))
        .collect();
    let wrong: Vec<_> = table.symmetric_difference(&documented).collect();
    assert!(
        wrong.is_empty(),
        "docs/api.md and the table differ: {wrong:#?}"
    );
}
