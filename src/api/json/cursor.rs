//! Walking through JSON that [`super::scan`] has found well-formed.
//!
//! Nothing here can fail: where the text ends early, which checked text does not do, the walk ends.

use std::borrow::Cow;

use super::{scan::is_space, text::unquote};

/// The six sorts of JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// A list.
    Array,
    /// Keys and values.
    Object,
}

impl Kind {
    /// Go's word for it in error texts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

/// A place in checked JSON.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the first byte of `checked`.
    pub(super) fn new(checked: &'a [u8]) -> Self {
        Self { rest: checked }
    }

    /// What sort of value begins here.
    pub(super) fn kind(&mut self) -> Kind {
        self.skip_space();
        match self.rest.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// Steps over the bracket that opens an array or an object.
    pub(super) fn enter(&mut self) {
        self.skip_space();
        self.take(1);
    }

    /// Steps to the next element of an array, or over its end. Returns whether there is one.
    pub(super) fn next_element(&mut self) -> bool {
        self.next_entry(b']')
    }

    /// Steps to the value of an object's next member and returns its key; at the end steps over it.
    pub(super) fn next_key(&mut self) -> Option<Cow<'a, str>> {
        if !self.next_entry(b'}') {
            return None;
        }
        let key = self.string();
        self.skip_space();
        self.take(1);
        Some(key)
    }

    /// The string that begins here.
    pub(super) fn string(&mut self) -> Cow<'a, str> {
        unquote(self.value())
    }

    /// Steps over the value that begins here and returns its bytes as they stand.
    pub(super) fn value(&mut self) -> &'a [u8] {
        let length = match self.kind() {
            Kind::Object | Kind::Array => container_length(self.rest),
            Kind::String => string_length(self.rest),
            Kind::Null | Kind::Bool | Kind::Number => scalar_length(self.rest),
        };
        self.take(length)
    }

    fn next_entry(&mut self, end: u8) -> bool {
        self.skip_space();
        if self.rest.first() == Some(&b',') {
            self.take(1);
            self.skip_space();
        }
        match self.rest.first() {
            None => false,
            Some(byte) if *byte == end => {
                self.take(1);
                false
            }
            Some(_) => true,
        }
    }

    fn skip_space(&mut self) {
        let spaces = self.rest.iter().take_while(|byte| is_space(**byte)).count();
        self.take(spaces);
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

/// How long the array or object at the start of `text` is, in bytes.
fn container_length(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at += string_length(text.get(at..).unwrap_or_default());
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// How long the string at the start of `text` is, in bytes, with both quotes.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |position| position + 2)
}

/// How long the number or literal at the start of `text` is, in bytes.
fn scalar_length(text: &[u8]) -> usize {
    let ends = |byte: &u8| is_space(*byte) || matches!(byte, b',' | b']' | b'}' | b':');
    text.iter().position(ends).unwrap_or(text.len())
}
