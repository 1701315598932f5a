//! The language of `?filter=`: clauses such as `properties.os eq ubuntu`, joined by `and` and `or`
//! and taken strictly from left to right.
//!
//! LXD compares flags, numbers and lists as if they were text, so that they are never equal; here
//! they are compared as what they are. A field that is not there equals nothing.

mod parse;

#[cfg(test)]
mod tests;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::error::{Error, Result};

/// The longest filter that is read, in bytes.
const MAX_BYTES: usize = 4096;

/// How much memory a compiled pattern may take.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// A parsed filter.
#[derive(Debug)]
pub(crate) struct Filter(Vec<(Join, Clause)>);

/// How a clause is joined to what stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    And,
    Or,
}

#[derive(Debug)]
struct Clause {
    /// `not`, or the operator `ne`; both together cancel out.
    is_negated: bool,
    field: String,
    value: Wanted,
}

/// What a field is compared with.
#[derive(Debug)]
struct Wanted {
    text: String,
    /// `None` when the text is no pattern.
    pattern: Option<Regex>,
}

impl Filter {
    /// Reads a filter; an empty one is none.
    ///
    /// # Errors
    ///
    /// 500 with LXD's text, as LXD has it.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>> {
        if text.len() > MAX_BYTES {
            return Err(Error::failed("Invalid filter: too long"));
        }
        let clauses = parse::clauses(text)
            .map_err(|reason| Error::failed(format!("Invalid filter: {reason}")))?;
        Ok((!clauses.is_empty()).then_some(Self(clauses)))
    }

    /// Whether an object, as clients see it, passes.
    pub(crate) fn passes(&self, object: &Value) -> bool {
        self.0
            .iter()
            .fold(true, |so_far, (join, clause)| match join {
                Join::And => so_far && clause.holds(object),
                Join::Or => so_far || clause.holds(object),
            })
    }
}

impl Clause {
    fn holds(&self, object: &Value) -> bool {
        let equal = find(object, &self.field).is_some_and(|value| self.value.equals(value));
        equal != self.is_negated
    }
}

impl Wanted {
    fn new(text: String) -> Self {
        let is_anchored = text.contains(['^', '$']);
        let pattern = if is_anchored {
            text.clone()
        } else {
            format!("^{text}$")
        };
        let pattern = RegexBuilder::new(&pattern)
            .case_insensitive(true)
            .size_limit(MAX_PATTERN_BYTES)
            .build()
            .ok();
        Self { text, pattern }
    }

    fn equals(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => match &self.pattern {
                Some(pattern) => pattern.is_match(text),
                None => self.text.eq_ignore_ascii_case(text),
            },
            Value::Bool(flag) => truth(&self.text) == Some(*flag),
            Value::Number(number) => self.text == number.to_string(),
            Value::Array(items) => items
                .iter()
                .any(|item| item.is_string() && self.equals(item)),
            Value::Null | Value::Object(_) => false,
        }
    }
}

fn truth(text: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["true", "1", "yes", "on"]) {
        return Some(true);
    }
    is_one_of(&["false", "0", "no", "off"]).then_some(false)
}

/// The value at a dotted path. Keys of a map may have dots themselves.
fn find<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let object = value.as_object()?;
    if let Some(found) = object.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    find(object.get(first)?, rest)
}
