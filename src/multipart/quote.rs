//! Bytes shown in an error text as Go's `%q` shows them.

use std::fmt::Write;

/// How much of a line is shown.
const MAX_BYTES: usize = 256;

/// `bytes` between quotes on one line, cut when they are many.
pub(super) fn quote(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.get(..MAX_BYTES).unwrap_or(bytes).utf8_chunks() {
        chunk
            .valid()
            .chars()
            .for_each(|character| push(&mut text, character));
        chunk
            .invalid()
            .iter()
            .for_each(|byte| push_hex(&mut text, *byte));
    }
    text.push('"');
    text
}

fn push(text: &mut String, character: char) {
    match character {
        '"' | '\\' => text.extend(['\\', character]),
        '\u{7}' => text.push_str("\\a"),
        '\u{8}' => text.push_str("\\b"),
        '\u{c}' => text.push_str("\\f"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\u{b}' => text.push_str("\\v"),
        '\0'..='\u{1f}' | '\u{7f}' => push_hex(text, character as u8),
        _ => text.push(character),
    }
}

fn push_hex(text: &mut String, byte: u8) {
    write!(text, "\\x{byte:02x}").expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_quoted_as_go_quotes_them() {
        assert_eq!(
            quote(b"a\"\\\r\n\t\0\x1f\x7f\xffz"),
            "\"a\\\"\\\\\\r\\n\\t\\x00\\x1f\\x7f\\xffz\""
        );
        assert_eq!(quote("ü".as_bytes()), "\"ü\"");
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(quote(&[b'x'; MAX_BYTES + 1]).len(), MAX_BYTES + 2);
    }
}
