//! The wording of multipart bodies: boundaries and part headers.

use bytes::Bytes;
use uuid::Uuid;

/// How many hexadecimal digits a boundary has, in Go and here.
const BOUNDARY_DIGITS: usize = 60;

/// A boundary that nobody can guess, so that no file can hold it on purpose.
pub(crate) fn boundary() -> String {
    let mut digits = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    digits.truncate(BOUNDARY_DIGITS);
    digits
}

/// The delimiter and the headers in front of part number `index`.
pub(crate) fn part_head(boundary: &str, index: usize, headers: [(&str, &str); 2]) -> Bytes {
    let lead = if index == 0 { "" } else { "\r\n" };
    let [(name, value), (other_name, other_value)] = headers;
    let text =
        format!("{lead}--{boundary}\r\n{name}: {value}\r\n{other_name}: {other_value}\r\n\r\n");
    Bytes::from(text)
}

/// The closing delimiter.
pub(crate) fn end(boundary: &str) -> Bytes {
    Bytes::from(format!("\r\n--{boundary}--\r\n"))
}

/// `text` between quotes, fit for a header whatever it holds.
pub(crate) fn quoted(text: &str) -> String {
    let escaped = harmless(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// `text` as it is when it may stand in a header without quotes, else [`quoted`].
pub(crate) fn token_or_quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Nothing that could end a header early.
fn harmless(text: &str) -> String {
    text.replace(|character: char| character.is_control(), "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_sixty_hexadecimal_digits_and_new_each_time() {
        let one = boundary();
        assert_eq!(one.len(), 60);
        assert!(
            one.bytes().all(|byte| b"0123456789abcdef".contains(&byte)),
            "{one}"
        );
        assert_ne!(one, boundary());
    }

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        assert_eq!(token_or_quoted("abc.tar.gz"), "abc.tar.gz");
        assert_eq!(token_or_quoted("a b\r\nX: \"y\\"), "\"a b__X: \\\"y\\\\\"");
        assert_eq!(token_or_quoted("a;b"), "\"a;b\"");
        assert_eq!(token_or_quoted(""), "\"\"");
    }
}
