//! Go's strings: bytes that are mostly UTF-8, and what Go does with them.

use memchr::memmem;

/// Replaces every `from` by `to`. An empty `from` matches between characters, as in Go.
pub(super) fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    split(text, from).join(to)
}

/// Splits like Go: an empty separator gives the characters.
pub(super) fn split<'a>(text: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    if separator.is_empty() {
        return pieces(text).collect();
    }
    let mut parts = Vec::new();
    let mut rest = text;
    for at in memmem::find_iter(text, separator) {
        let begun = text.len() - rest.len();
        let (part, after) = rest.split_at_checked(at - begun).unwrap_or((rest, &[]));
        parts.push(part);
        rest = after.get(separator.len()..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

/// Whether `text` contains `part`.
pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

/// The characters as slices; a byte that belongs to none stands alone.
pub(super) fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, length) = decode(rest)?;
        let (piece, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(piece)
    })
}

/// The characters; a byte that belongs to none is U+FFFD.
pub(super) fn runes(text: &[u8]) -> impl Iterator<Item = char> {
    pieces(text).map(|piece| decode(piece).map_or(char::REPLACEMENT_CHARACTER, |(rune, _)| rune))
}

/// The first character and its length in bytes.
pub(super) fn decode(text: &[u8]) -> Option<(char, usize)> {
    let first = *text.first()?;
    if first.is_ascii() {
        return Some((char::from(first), 1));
    }
    let found = (2..=4).find_map(|length| {
        let rune = std::str::from_utf8(text.get(..length)?).ok()?;
        Some((rune.chars().next()?, length))
    });
    Some(found.unwrap_or((char::REPLACEMENT_CHARACTER, 1)))
}

/// How many characters it has.
pub(super) fn count(text: &[u8]) -> usize {
    pieces(text).count()
}

/// In upper case, character by character.
pub(super) fn upper(text: &[u8]) -> Vec<u8> {
    runes(text).map(upper_rune).collect::<String>().into_bytes()
}

/// In lower case, character by character.
pub(super) fn lower(text: &[u8]) -> Vec<u8> {
    runes(text).map(lower_rune).collect::<String>().into_bytes()
}

/// Go maps one character to one: `ß` has no upper case.
pub(super) fn upper_rune(rune: char) -> char {
    only(rune.to_uppercase()).unwrap_or(rune)
}

fn lower_rune(rune: char) -> char {
    match rune {
        'İ' => 'i',
        _ => only(rune.to_lowercase()).unwrap_or(rune),
    }
}

fn only(mut runes: impl Iterator<Item = char>) -> Option<char> {
    let rune = runes.next()?;
    runes.next().is_none().then_some(rune)
}

/// Every word begins in upper case, and goes on in lower case.
pub(super) fn title(text: &[u8]) -> Vec<u8> {
    let mut before = ' ';
    let titled = runes(&lower(text))
        .map(|rune| {
            let begins = separates(before);
            before = rune;
            if begins { upper_rune(rune) } else { rune }
        })
        .collect::<String>();
    titled.into_bytes()
}

fn separates(rune: char) -> bool {
    if rune.is_ascii() {
        return !rune.is_ascii_alphanumeric() && rune != '_';
    }
    !rune.is_alphanumeric() && rune.is_whitespace()
}

/// Without white space at its ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let mut kept = text;
    while let Some((rune, length)) = decode(kept)
        && rune.is_whitespace()
    {
        kept = kept.get(length..).unwrap_or_default();
    }
    let spaces = runes(kept)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .take_while(|rune| rune.is_whitespace())
        .map(char::len_utf8)
        .sum::<usize>();
    kept.get(..kept.len() - spaces).unwrap_or_default()
}

/// The words between white space.
pub(super) fn words(text: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut start = None;
    let mut at = 0;
    for piece in pieces(text) {
        let space = decode(piece).is_some_and(|(rune, _)| rune.is_whitespace());
        if space {
            words.extend(start.take().and_then(|start| text.get(start..at)));
        } else {
            start.get_or_insert(at);
        }
        at += piece.len();
    }
    words.extend(start.and_then(|start| text.get(start..)));
    words
}

/// HTML's special characters as entities.
pub(super) fn escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'&' => escaped.extend(b"&amp;"),
            b'>' => escaped.extend(b"&gt;"),
            b'<' => escaped.extend(b"&lt;"),
            b'"' => escaped.extend(b"&quot;"),
            b'\'' => escaped.extend(b"&#39;"),
            _ => escaped.push(*byte),
        }
    }
    escaped
}

/// As part of a URL's query: a space is a plus.
pub(super) fn query_escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(*byte);
            }
            b' ' => escaped.push(b'+'),
            _ => escaped.extend(format!("%{byte:02X}").bytes()),
        }
    }
    escaped
}

/// The character that stands for byte 0 of what is no UTF-8.
const STRAY: u32 = 0x10_FF00;

/// As text that Tera can carry: a byte that belongs to no character becomes one of the last
/// private characters, and so do the bytes of such a character itself.
pub(super) fn armour(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for piece in pieces(bytes) {
        match std::str::from_utf8(piece) {
            Ok(character) if character.chars().all(|rune| u32::from(rune) < STRAY) => {
                text.push_str(character);
            }
            _ => text.extend(
                piece
                    .iter()
                    .filter_map(|byte| char::from_u32(STRAY + u32::from(*byte))),
            ),
        }
    }
    text
}

/// The bytes that [`armour`] was given.
pub(super) fn bare(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for rune in text.chars() {
        match u8::try_from(u32::from(rune).wrapping_sub(STRAY)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(rune.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tera_carries_comes_out_as_it_went_in() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [
            b"plain".as_slice(),
            "ż ☃ \u{10fffd} \u{10ff41}".as_bytes(),
            b"\xc5",
            b"\xbc\xc5\xbc",
            &all,
        ] {
            assert_eq!(bare(&armour(bytes)), bytes);
        }
    }

    #[test]
    fn splitting_and_replacing_follow_go() {
        assert_eq!(split(b"a,b,,c", b","), [&b"a"[..], b"b", b"", b"c"]);
        assert_eq!(split(b"", b","), [b""]);
        assert_eq!(split("aż".as_bytes(), b""), [b"a", "ż".as_bytes()]);
        assert_eq!(replace(b"aXXb", b"X", b"--"), b"a----b");
        assert_eq!(replace(b"\\\\\\\"x", b"\\\"", b"\""), b"\\\\\"x");
    }

    #[test]
    fn case_changes_one_character_into_one() {
        assert_eq!(upper("straße ǆ".as_bytes()), "STRAßE Ǆ".as_bytes());
        assert_eq!(lower("İIΑΣ".as_bytes()), "iiασ".as_bytes());
        assert_eq!(title(b"it's a_b 3rd foo-bar"), b"It'S A_b 3rd Foo-Bar");
    }

    #[test]
    fn words_and_ends_are_cut_at_white_space() {
        assert_eq!(words(b"  a b\t\nc "), [b"a", b"b", b"c"]);
        assert_eq!(words(b""), Vec::<&[u8]>::new());
        assert_eq!(trim("\u{2003} x y \n".as_bytes()), b"x y");
    }
}
