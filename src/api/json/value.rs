//! A JSON value whose type is not known beforehand (Go's `interface {}`).

use std::{borrow::Cow, fmt, mem};

use super::{
    cursor::Kind,
    decode::{Decode, Decoder},
};
use crate::error::Result;

/// Any JSON value.
///
/// Building and dropping it takes no recursion, however deep it is. Whatever walks it has to bound
/// its own depth; hence no `Clone`, `PartialEq` or `Serialize`. `Debug` tells the sort of value only,
/// for some values are secret.
#[derive(Default)]
pub(crate) enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as the client wrote it. It is within the range of a 64-bit float.
    Number(#[cfg_attr(not(test), expect(dead_code, reason = "settings are never numbers"))] String),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Self>),
    /// Members in the order of the body; a key may occur twice, the last one counts.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a string, without a copy.
    pub(crate) fn into_string(mut self) -> Option<String> {
        match &mut self {
            Self::String(text) => Some(mem::take(text)),
            _ => None,
        }
    }

    /// The value of a bool.
    #[cfg(test)]
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of an object's member.
    #[cfg(test)]
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .rev()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Go's word for the sort of value, as in `cannot set 'K': invalid type float64`.
    pub(crate) fn go_kind(&self) -> &'static str {
        match self {
            Self::Null => "invalid",
            Self::Bool(_) => "bool",
            Self::Number(_) => "float64",
            Self::String(_) => "string",
            Self::Array(_) => "slice",
            Self::Object(_) => "map",
        }
    }

    /// Moves the containers directly inside this one to `out`.
    fn give_up_containers(&mut self, out: &mut Vec<Self>) {
        let is_container = |value: &Self| matches!(value, Self::Array(_) | Self::Object(_));
        match self {
            Self::Array(items) => out.extend(items.drain(..).filter(is_container)),
            Self::Object(members) => {
                out.extend(
                    members
                        .drain(..)
                        .map(|(_, value)| value)
                        .filter(is_container),
                );
            }
            _ => {}
        }
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        let mut containers = Vec::new();
        self.give_up_containers(&mut containers);
        while let Some(mut container) = containers.pop() {
            container.give_up_containers(&mut containers);
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(items) => write!(f, "[{} items]", items.len()),
            Self::Object(members) => write!(f, "{{{} members}}", members.len()),
            scalar => f.write_str(scalar.go_kind()),
        }
    }
}

impl Decode for Json {
    fn go_type() -> Cow<'static, str> {
        "interface {}".into()
    }

    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        *self = read(from);
        Ok(())
    }
}

/// A container that is being read.
enum Open {
    Array(Vec<Json>),
    /// The members so far, and the key of the next one.
    Object(Vec<(String, Json)>, String),
}

impl Open {
    fn add(&mut self, value: Json) {
        match self {
            Self::Array(items) => items.push(value),
            Self::Object(members, key) => members.push((mem::take(key), value)),
        }
    }

    /// Steps to the next entry. Returns whether there is one.
    fn advance(&mut self, from: &mut Decoder<'_>) -> bool {
        match self {
            Self::Array(_) => from.next_element(),
            Self::Object(_, next) => {
                let key = from.next_key();
                let found = key.is_some();
                *next = key.unwrap_or_default().into_owned();
                found
            }
        }
    }

    fn close(self) -> Json {
        match self {
            Self::Array(items) => Json::Array(items),
            Self::Object(members, _) => Json::Object(members),
        }
    }
}

/// Reads the next value.
fn read(from: &mut Decoder<'_>) -> Json {
    let mut open: Vec<Open> = Vec::new();
    loop {
        match from.kind() {
            Kind::Array => open.push(enter(from, Open::Array(Vec::new()))),
            Kind::Object => open.push(enter(from, Open::Object(Vec::new(), String::new()))),
            scalar => {
                let value = read_scalar(from, scalar);
                match open.last_mut() {
                    Some(container) => container.add(value),
                    None => return value,
                }
            }
        }
        if let Some(whole) = close_ended(from, &mut open) {
            return whole;
        }
    }
}

fn enter(from: &mut Decoder<'_>, container: Open) -> Open {
    from.enter();
    container
}

/// Closes the containers that end here. Returns the outermost one when that has ended too; else
/// the next value of the innermost one comes next.
fn close_ended(from: &mut Decoder<'_>, open: &mut Vec<Open>) -> Option<Json> {
    loop {
        let mut container = open.pop()?;
        if container.advance(from) {
            open.push(container);
            return None;
        }
        let value = container.close();
        match open.last_mut() {
            Some(outer) => outer.add(value),
            None => return Some(value),
        }
    }
}

fn read_scalar(from: &mut Decoder<'_>, kind: Kind) -> Json {
    match kind {
        Kind::String => Json::String(from.string()),
        Kind::Bool => Json::Bool(from.raw() == b"true"),
        Kind::Number => read_number(from),
        _ => {
            from.skip();
            Json::Null
        }
    }
}

/// LXD: Go makes a 64-bit float of every number, and one that is too large is a type error.
fn read_number(from: &mut Decoder<'_>) -> Json {
    let text = String::from_utf8_lossy(from.raw()).into_owned();
    if text.parse().is_ok_and(f64::is_finite) {
        return Json::Number(text);
    }
    from.note(&format!("number {text}"), "float64");
    Json::Null
}
