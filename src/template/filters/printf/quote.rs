//! Go's quoted strings.

use crate::template::text;

use super::Flags;

/// A string in quotes; with `#` in back quotes where it can be, with `+` in ASCII.
pub(super) fn string(bytes: &[u8], flags: Flags) -> Vec<u8> {
    if flags.sharp && can_be_raw(bytes) {
        return [b"`", bytes, b"`"].concat();
    }
    let mut quoted = String::from('"');
    for piece in text::pieces(bytes) {
        match std::str::from_utf8(piece) {
            Ok(character) => character
                .chars()
                .for_each(|rune| escape(&mut quoted, rune, '"', flags.plus)),
            Err(_) => piece
                .iter()
                .for_each(|byte| quoted.extend([format!("\\x{byte:02x}")])),
        }
    }
    quoted.push('"');
    quoted.into_bytes()
}

/// A character in quotes.
pub(super) fn rune(rune: char, flags: Flags) -> Vec<u8> {
    let mut quoted = String::from('\'');
    escape(&mut quoted, rune, '\'', flags.plus);
    quoted.push('\'');
    quoted.into_bytes()
}

fn can_be_raw(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars()
            .all(|rune| rune == '\t' || (!rune.is_control() && !matches!(rune, '`' | '\u{feff}')))
    })
}

fn escape(quoted: &mut String, rune: char, quote: char, ascii: bool) {
    let short = match rune {
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        '\\' => "\\\\",
        _ => "",
    };
    if rune == quote {
        quoted.push('\\');
        quoted.push(rune);
    } else if !short.is_empty() {
        quoted.push_str(short);
    } else if is_printed(rune) && (rune.is_ascii() || !ascii) {
        quoted.push(rune);
    } else {
        let escaped = match u32::from(rune) {
            code @ ..0x80 => format!("\\x{code:02x}"),
            code @ ..0x1_0000 => format!("\\u{code:04x}"),
            code => format!("\\U{code:08x}"),
        };
        quoted.push_str(&escaped);
    }
}

/// Of white space only the plain one is printed.
fn is_printed(rune: char) -> bool {
    rune == ' ' || !(rune.is_control() || rune.is_whitespace() || is_private(rune))
}

fn is_private(rune: char) -> bool {
    matches!(u32::from(rune), 0xad | 0xe000..=0xf8ff | 0xfeff | 0xf_0000..)
        || matches!(rune, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
}
