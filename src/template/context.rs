//! What LXD lets a template know, and under which names.

use std::collections::BTreeMap;

use super::{
    Case, Subject,
    value::{Datum, Function, Map, Text, Value},
};

/// LXD's types, which show when a whole map is printed.
const STRINGS: &str = "map[string]string";
const DEVICES: &str = "config.Devices";
const DEVICE: &str = "config.Device";
const CONTEXT: &str = "pongo2.Context";

/// The version of pongo2 in LXD 5.0.2, which templates can ask for.
const VERSION: &str = "4.0.2";

/// The names that LXD gives a template.
pub(super) fn names(case: &Case) -> BTreeMap<&'static str, Value> {
    let instance = subject(&case.instance);
    let devices = case.devices.iter().map(|(name, options)| {
        let options = strings(
            options
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        (name.as_str(), map(DEVICE, options))
    });
    BTreeMap::from([
        ("trigger", trigger(&case.trigger)),
        ("path", case.path.as_str().into()),
        ("instance", instance.clone()),
        ("container", instance),
        ("config", map(STRINGS, strings(config(case)))),
        ("devices", map(DEVICES, devices)),
        (
            "properties",
            map(
                STRINGS,
                strings(
                    case.properties
                        .iter()
                        .map(|(key, value)| (key.as_str(), value.as_str())),
                ),
            ),
        ),
        ("config_get", Datum::Function(Function::ConfigGet).into()),
    ])
}

/// What pongo2 itself adds, where a template's own names are, too.
pub(super) fn pongo2() -> Value {
    map(CONTEXT, [("version", Value::from(VERSION))].into_iter())
}

/// LXD: an instance keeps no key with an empty value.
fn config(case: &Case) -> impl Iterator<Item = (&str, &str)> {
    let entries = case.config.iter();
    entries
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(_, value)| !value.is_empty())
}

/// LXD: a trigger is of a type of its own, so it never equals the string it looks like.
fn trigger(trigger: &str) -> Value {
    let bytes = trigger.as_bytes().into();
    Datum::Text(Text { bytes, named: true }).into()
}

/// LXD: everything about an instance is a string; `"false"` is true.
fn subject(subject: &Subject) -> Value {
    let ephemeral = subject.ephemeral.to_string();
    let privileged = subject.privileged.map(|privileged| privileged.to_string());
    let mut entries = vec![
        ("name", subject.name.as_str()),
        ("type", subject.kind.as_str()),
        ("architecture", subject.architecture.as_str()),
        ("ephemeral", ephemeral.as_str()),
    ];
    entries.extend(
        privileged
            .as_deref()
            .map(|privileged| ("privileged", privileged)),
    );
    map(STRINGS, strings(entries.into_iter()))
}

fn strings<'a>(
    entries: impl Iterator<Item = (&'a str, &'a str)>,
) -> impl Iterator<Item = (&'a str, Value)> {
    entries.map(|(key, value)| (key, value.into()))
}

fn map<'a>(type_name: &'static str, entries: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let entries = entries.map(|(key, value)| (key.as_bytes().to_vec(), value));
    let map = Map {
        type_name,
        entries: entries.collect(),
    };
    Datum::Map(map.into()).into()
}
