//! Filters about addresses.
#![expect(clippy::unnecessary_wraps, reason = "filters may fail")]

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use crate::template::{
    failure::Failure,
    text,
    value::{Datum, Value},
};

use super::Input;

static URL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?-u)((((http|https)://)|www\.|",
        r"((^|[ ])[0-9A-Za-z_\-]+(\.com|\.net|\.org|\.info|\.biz|\.de))))(?U:.*)([ ]+|$)"
    ))
    .expect("the expression is a constant, and a test compiles it")
});

static MAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)(\w+@\w+\.\w{2,4})")
        .expect("the expression is a constant, and a test compiles it")
});

pub(super) fn encode(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(text::query_escape(&input.text()).into())
}

pub(super) fn iri_encode(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(iri(&input.text()).into())
}

fn iri(address: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(address.len());
    for piece in text::pieces(address) {
        match piece {
            [byte] if b"/#%[]=:;$&()+,!?*@'~".contains(byte) => encoded.push(*byte),
            _ => {
                let rune = text::runes(piece).collect::<String>();
                encoded.extend(text::query_escape(rune.as_bytes()));
            }
        }
    }
    encoded
}

/// Addresses become links; with `false` their text is not escaped.
pub(super) fn urlize(input: &Input<'_>) -> Result<Value, Failure> {
    let escapes = !matches!(input.argument.datum, Datum::Bool(false));
    Ok(links(&input.text(), escapes, -1).into())
}

/// Addresses become links whose text has at most so many bytes.
pub(super) fn urlize_truncated(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(links(&input.text(), true, input.argument.integer()).into())
}

fn links(text: &[u8], escapes: bool, longest: i64) -> Vec<u8> {
    let linked = URL.replace_all(text, |found: &Captures<'_>| {
        let whole = found.get(0).map_or(&b""[..], |whole| whole.as_bytes());
        link(whole, escapes, longest)
    });
    let linked = MAIL.replace_all(&linked, |found: &Captures<'_>| {
        let mail = found.get(0).map_or(&b""[..], |whole| whole.as_bytes());
        let title = shortened(mail, longest);
        [b"<a href=\"mailto:", mail, b"\">", &title, b"</a>"].concat()
    });
    linked.into_owned()
}

fn link(found: &[u8], escapes: bool, longest: i64) -> Vec<u8> {
    let space = |there: bool| if there { &b" "[..] } else { b"" };
    let address = text::trim(found);
    let mut target = iri(address);
    if !target.starts_with(b"http") {
        target.splice(0..0, *b"http://");
    }
    let mut title = shortened(address, longest);
    if escapes {
        title = text::escape(&title);
    }
    [
        space(found.starts_with(b" ")),
        b"<a href=\"",
        &target,
        b"\" rel=\"nofollow\">",
        &title,
        b"</a>",
        space(found.ends_with(b" ")),
    ]
    .concat()
}

fn shortened(title: &[u8], longest: i64) -> Vec<u8> {
    let kept = usize::try_from(longest).ok().filter(|longest| *longest > 3);
    match kept.and_then(|longest| title.get(..longest).map(|_| longest - 3)) {
        Some(kept) if title.len() > kept + 3 => {
            [title.get(..kept).unwrap_or_default(), b"..."].concat()
        }
        _ => title.to_vec(),
    }
}
