//! What templates come to, and what they cannot do.

mod hostile;
mod language;
mod room;

use std::collections::BTreeMap;

use time::macros::datetime;

use super::{Case, Subject, render};

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let entries = entries.iter();
    entries
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A template in an instance with a little of everything.
fn case(template: &str) -> Case {
    Case {
        template: template.as_bytes().to_vec(),
        trigger: "start".to_owned(),
        path: "/etc/file".to_owned(),
        instance: Subject {
            name: "c1".to_owned(),
            kind: "container".to_owned(),
            architecture: "x86_64".to_owned(),
            ephemeral: false,
            privileged: Some(false),
        },
        config: map(&[("user.foo", "bar\r\n"), ("user.empty", "")]),
        devices: BTreeMap::from([("root".to_owned(), map(&[("path", "/"), ("type", "disk")]))]),
        properties: map(&[("key", "value"), ("n", "7"), ("html", "<b>x</b>")]),
        now: datetime!(2026-11-27 09:08:07 UTC),
    }
}

fn bytes(template: &str) -> Vec<u8> {
    render(&case(template)).unwrap_or_else(|error| panic!("{template}: {error}"))
}

fn text(template: &str) -> String {
    String::from_utf8(bytes(template)).unwrap()
}

fn error(template: &str) -> String {
    match render(&case(template)) {
        Ok(text) => panic!("{template}: {}", String::from_utf8_lossy(&text)),
        Err(error) => error.message().to_owned(),
    }
}

/// Templates and what they come to.
fn check(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(text(template), *expected, "{template}");
    }
}

/// Templates and how LXD refuses them.
fn check_errors(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        let expected = format!("Failed to render template: [Error (where: {expected}");
        assert_eq!(error(template), expected, "{template}");
    }
}
