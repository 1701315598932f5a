//! Writing JSON byte for byte as Go does.
//!
//! Go sorts the keys of maps: give it `BTreeMap`s. `serde_json::Map` keeps its own order.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use sha2::{Digest, Sha256};

/// Whether text is made safe for web pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Html {
    /// `<`, `>` and `&` become `\u003c`, `\u003e` and `\u0026`.
    Escaped,
    /// They stay as they are.
    Plain,
}

/// `value` as compact JSON, without a line end. U+2028 and U+2029 are escaped either way.
pub(crate) fn to_go_json(value: &impl Serialize, html: Html) -> Vec<u8> {
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(
            &mut bytes,
            GoFormatter(html),
        ))
        .expect("the wire types have text for keys and no serialiser that fails");
    bytes
}

/// The `ETag` of `value`, without quotes: the hash of what Go's `json.Encoder` writes for it.
pub(crate) fn etag(value: &impl Serialize) -> String {
    let mut hash = Sha256::new();
    hash.update(to_go_json(value, Html::Escaped));
    hash.update(b"\n");
    hex::encode(hash.finalize())
}

struct GoFormatter(Html);

impl GoFormatter {
    /// The escape of a character that `serde_json` would write as it is.
    fn escape(&self, character: char) -> Option<&'static str> {
        match character {
            '\u{2028}' => Some("\\u2028"),
            '\u{2029}' => Some("\\u2029"),
            _ if self.0 == Html::Plain => None,
            '<' => Some("\\u003c"),
            '>' => Some("\\u003e"),
            '&' => Some("\\u0026"),
            _ => None,
        }
    }
}

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((plain, escape, after)) = split_at_escape(rest, |found| self.escape(found)) {
            writer.write_all(plain.as_bytes())?;
            writer.write_all(escape.as_bytes())?;
            rest = after;
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::Backspace => writer.write_all(b"\\u0008"),
            CharEscape::FormFeed => writer.write_all(b"\\u000c"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }
}

/// What stands before the first character that has an escape, the escape, and what follows.
fn split_at_escape(
    text: &str,
    escape_of: impl Fn(char) -> Option<&'static str>,
) -> Option<(&str, &'static str, &str)> {
    let (at, found, escape) = text
        .char_indices()
        .find_map(|(at, found)| Some((at, found, escape_of(found)?)))?;
    let plain = text.get(..at)?;
    let after = text.get(at + found.len_utf8()..)?;
    Some((plain, escape, after))
}
