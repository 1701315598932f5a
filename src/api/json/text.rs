//! What a JSON string says: escapes resolved, and Unicode made whole as Go does it.

use std::borrow::Cow;

/// The text of a string token, which stands with its quotes.
///
/// Every byte that is not UTF-8 becomes one U+FFFD, and so does every surrogate without its other
/// half.
pub(super) fn unquote(token: &[u8]) -> Cow<'_, str> {
    let inner = match token {
        [b'"', inner @ .., b'"'] => inner,
        other => other,
    };
    match str::from_utf8(inner) {
        Ok(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => Cow::Owned(resolve(inner)),
    }
}

fn resolve(inner: &[u8]) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        push_whole(&mut text, plain);
        rest = push_escape(&mut text, escape);
    }
    push_whole(&mut text, rest);
    text
}

/// Adds `bytes` to `text`. LXD: one replacement for each bad byte, where
/// [`String::from_utf8_lossy`] makes one of up to three.
fn push_whole(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

/// Adds what the escape at the start of `escape` stands for, and returns what follows it.
fn push_escape<'a>(text: &mut String, escape: &'a [u8]) -> &'a [u8] {
    if let Some((unit, rest)) = utf16_unit(escape) {
        return push_utf16(text, unit, rest);
    }
    let [_, letter, rest @ ..] = escape else {
        return &[];
    };
    text.push(match letter {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other => char::from(*other),
    });
    rest
}

fn push_utf16<'a>(text: &mut String, unit: u16, rest: &'a [u8]) -> &'a [u8] {
    if let Some(character) = char::from_u32(u32::from(unit)) {
        text.push(character);
        return rest;
    }
    if let Some((second, after)) = utf16_unit(rest)
        && let Some(Ok(character)) = char::decode_utf16([unit, second]).next()
    {
        text.push(character);
        return after;
    }
    text.push(char::REPLACEMENT_CHARACTER);
    rest
}

/// The unit of a `\uXXXX` at the start of `escape`, and what follows.
fn utf16_unit(escape: &[u8]) -> Option<(u16, &[u8])> {
    let [b'\\', b'u', a, b, c, d, rest @ ..] = escape else {
        return None;
    };
    let mut unit = 0;
    for digit in [a, b, c, d] {
        unit = unit * 16 + u16::try_from(char::from(*digit).to_digit(16)?).ok()?;
    }
    Some((unit, rest))
}
