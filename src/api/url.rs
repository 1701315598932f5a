//! Percent-encoding as LXD writes it into URLs.

/// Escapes a name so that it is one path segment or one query value: everything but letters,
/// digits and `-_.~` (Go's `url.PathEscape` also leaves `$&+=:@` alone, which decode the same).
pub(crate) fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push_str(&hex::encode_upper([byte]));
        }
    }
    escaped
}

/// Decodes `%41` and the like; `plus_is_space` also makes blanks of `+`, as in a query.
/// `None` when a `%` is not followed by two digits or the result is not UTF-8.
pub(crate) fn unescape(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let (digits, tail) = tail.split_at_checked(2)?;
                bytes.extend(hex::decode(digits).ok()?);
                rest = tail;
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The pairs of a query, decoded, in order. A pair that cannot be decoded is left out, as Go's
/// `URL.Query` does.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
        .filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(key, true)?, unescape(value, true)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for name in ["a/b c", "ü%", "plain-1.0_~", "a?b#c&d"] {
            let escaped = escape(name);
            assert!(!escaped.contains(['/', ' ', '?', '#', '&']), "{escaped}");
            assert_eq!(unescape(&escaped, false).as_deref(), Some(name));
        }
        assert_eq!(unescape("%4", false), None);
        assert_eq!(unescape("%zz", false), None);
        assert_eq!(unescape("%ff", false), None);
    }

    #[test]
    fn a_query_is_read_as_go_reads_it() {
        let pairs = query_pairs("a=b+c&empty=&flag&bad=%zz&x=%26");
        let text: Vec<_> = pairs
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            text,
            [("a", "b c"), ("empty", ""), ("flag", ""), ("x", "&")]
        );
    }
}
