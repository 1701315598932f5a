//! Header values of the form `type/subtype; name=value`, as Go's `mime.ParseMediaType` reads them.

use std::collections::BTreeMap;

/// A value and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    /// What stands before the first semicolon, in lower case.
    pub(super) essence: String,
    /// By their names in lower case, stars of RFC 2231 included.
    params: BTreeMap<String, Vec<u8>>,
}

/// Reads a header's value; `None` when it is malformed.
pub(super) fn parse(header: &[u8]) -> Option<MediaType> {
    let end = memchr::memchr(b';', header).unwrap_or(header.len());
    let (essence, mut rest) = header.split_at_checked(end)?;
    let essence = str::from_utf8(essence.trim_ascii())
        .ok()?
        .to_ascii_lowercase();
    let mut names = essence.splitn(2, '/');
    if !names.all(|name| !name.is_empty() && name.bytes().all(is_token)) {
        return None;
    }
    let mut params = BTreeMap::new();
    while !matches!(rest.trim_ascii(), b"" | b";") {
        let (name, value, behind) = parse_param(rest)?;
        if params.insert(name, value).is_some() {
            return None;
        }
        rest = behind;
    }
    Some(MediaType { essence, params })
}

impl MediaType {
    /// The value of a parameter. Encoded (`name*`) and continued (`name*0`, `name*1*`) forms come
    /// before the plain one.
    pub(super) fn param(&self, name: &str) -> Option<Vec<u8>> {
        let plain = || self.params.get(name).cloned();
        match self.params.get(&format!("{name}*")) {
            Some(encoded) => decode(encoded).or_else(plain),
            None => self.continued(name).or_else(plain),
        }
    }

    fn continued(&self, name: &str) -> Option<Vec<u8>> {
        let pieces: Vec<_> = (0..).map_while(|n| self.piece(name, n)).collect();
        (!pieces.is_empty()).then(|| pieces.concat())
    }

    fn piece(&self, name: &str, number: usize) -> Option<Vec<u8>> {
        if let Some(plain) = self.params.get(&format!("{name}*{number}")) {
            return Some(plain.clone());
        }
        let encoded = self.params.get(&format!("{name}*{number}*"))?;
        let decoded = if number == 0 {
            decode(encoded)
        } else {
            unescape(encoded)
        };
        Some(decoded.unwrap_or_default())
    }
}

/// One `; name=value`, and what follows it.
fn parse_param(text: &[u8]) -> Option<(String, Vec<u8>, &[u8])> {
    let rest = text
        .trim_ascii_start()
        .strip_prefix(b";")?
        .trim_ascii_start();
    let (name, rest) = token(rest)?;
    let name = str::from_utf8(name).ok()?.to_ascii_lowercase();
    let rest = rest
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii_start();
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let (value, rest) = unquote(quoted)?;
        return Some((name, value, rest));
    }
    let (value, rest) = token(rest)?;
    Some((name, value.to_vec(), rest))
}

/// The token that `text` starts with, at least one character long, and what follows it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text
        .iter()
        .position(|byte| !is_token(*byte))
        .unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(token, _)| !token.is_empty())
}

/// The value up to the closing quote, and what follows it. A backslash in front of anything but a
/// special character stands for itself: some browsers send Windows paths as they are.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut value, mut rest) = (Vec::new(), text);
    loop {
        let (taken, behind) = match rest {
            [b'"', behind @ ..] => return Some((value, behind)),
            [b'\\', escaped, behind @ ..] if is_special(*escaped) => (*escaped, behind),
            [] | [b'\r' | b'\n', ..] => return None,
            [byte, behind @ ..] => (*byte, behind),
        };
        value.push(taken);
        rest = behind;
    }
}

/// `charset'language'text` in the two character sets that Go knows.
fn decode(value: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _language, text) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let known = [&b"utf-8"[..], b"us-ascii"]
        .iter()
        .any(|name| charset.eq_ignore_ascii_case(name));
    unescape(text).filter(|_| known)
}

/// Bytes written as `%41`.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let (mut value, mut rest) = (Vec::new(), text);
    while let [byte, behind @ ..] = rest {
        let (taken, behind) = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => (hex_byte(*high, *low)?, behind),
            (b'%', _) => return None,
            _ => (*byte, behind),
        };
        value.push(taken);
        rest = behind;
    }
    Some(value)
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice([high, low], &mut byte).ok()?;
    byte.first().copied()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !is_special(byte)
}

fn is_special(byte: u8) -> bool {
    b"()<>@,;:\\\"/[]?=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(header: &str, name: &str) -> Option<String> {
        let value = parse(header.as_bytes())?.param(name)?;
        Some(String::from_utf8(value).unwrap())
    }

    #[test]
    fn malformed_values_are_nothing() {
        for header in [
            "",
            ";",
            "a/",
            "/b",
            "a/b/c",
            "multipart / form-data; boundary=b",
            "a/b; boundary=",
            "a/b; boundary=b@",
            "a/b; boundary",
            "a/b; boundary=b; boundary=b",
            "a/b; =b",
            "a/b; x=\"y",
            "a/b; x=\"y\nz\"",
            "a/b; x=y z",
            "a/b; x=y;;",
            "ü/b",
        ] {
            assert_eq!(parse(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn well_formed_values_have_their_parameters() {
        for (header, value) in [
            ("A/B; BOUNDARY=Xy", "Xy"),
            ("a/b ;boundary = x ; y=z", "x"),
            ("a/b; boundary=x;", "x"),
            ("a/b; boundary=\"\"", ""),
            ("a/b; boundary=\"a b\\\"\\c\"", "a b\"\\c"),
            ("a/b; boundary*=utf-8''x%20y", "x y"),
            ("a/b; boundary*=US-ASCII'en'x", "x"),
            ("a/b; boundary=p; boundary*=utf-8''x", "x"),
            ("a/b; boundary=p; boundary*=latin1''x", "p"),
            ("a/b; boundary=p; boundary*=utf-8''%zz", "p"),
            ("a/b; boundary=p; boundary*=utf-8''%4", "p"),
            ("a/b; boundary*0=a; boundary*1=b; boundary*3=c", "ab"),
            (
                "a/b; boundary*0*=utf-8''%41; boundary*1*=%42; boundary*2=%43",
                "AB%43",
            ),
            ("a/b; boundary*0=a; boundary*1*=%zz; boundary*2=c", "ac"),
        ] {
            assert_eq!(
                param(header, "boundary").as_deref(),
                Some(value),
                "{header}"
            );
        }
        assert_eq!(param("a/b; x=y", "boundary"), None);
        assert_eq!(param("a/b; boundary*1=y", "boundary"), None);
    }
}
