//! The conditions of RFC 9110 13, in the order and with the leniency of Go's `http.ServeContent`.

use http::{HeaderMap, header};
use time::OffsetDateTime;

use super::date;

/// What the client knows or demands, held against what there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// Send it, or the ranges of it that this header names.
    Send(Option<&'a str>),
    /// 304: the client has it already.
    NotModified,
    /// 412: it is not what the client wants to go on with.
    Failed,
}

/// The file as it is now.
pub(super) struct Current<'a> {
    /// Its strong tag with its quotes, or empty.
    pub(super) etag: &'a str,
    /// When it last changed, in whole seconds.
    pub(super) modified: Option<OffsetDateTime>,
}

/// Decides between sending, 304 and 412 for a GET or HEAD with the headers `request`.
pub(super) fn check<'a>(request: &'a HeaderMap, current: &Current<'_>) -> Verdict<'a> {
    if !still_as_wanted(request, current) {
        return Verdict::Failed;
    }
    if already_there(request, current) {
        return Verdict::NotModified;
    }
    let range = text(request, header::RANGE);
    Verdict::Send(range.filter(|_| range_applies(request, current)))
}

/// `If-Match`, or else `If-Unmodified-Since`.
fn still_as_wanted(request: &HeaderMap, current: &Current<'_>) -> bool {
    if let Some(list) = text(request, header::IF_MATCH) {
        return matches(list, |tag| tag == current.etag);
    }
    dates(request, header::IF_UNMODIFIED_SINCE, current)
        .is_none_or(|(modified, limit)| modified <= limit)
}

/// `If-None-Match`, or else `If-Modified-Since`.
fn already_there(request: &HeaderMap, current: &Current<'_>) -> bool {
    if let Some(list) = text(request, header::IF_NONE_MATCH) {
        return matches(list, |tag| tag.strip_prefix("W/").unwrap_or(tag) == current.etag);
    }
    dates(request, header::IF_MODIFIED_SINCE, current)
        .is_some_and(|(modified, limit)| modified <= limit)
}

/// `If-Range`: a tag or the exact date; anything else means the whole file.
fn range_applies(request: &HeaderMap, current: &Current<'_>) -> bool {
    let Some(wanted) = text(request, header::IF_RANGE) else { return true };
    if let Some((tag, _)) = scan_tag(wanted) {
        return tag == current.etag;
    }
    current.modified.is_some() && date::parse(wanted) == current.modified
}

/// The file's time and the one that header `name` holds, when there are both.
fn dates(
    request: &HeaderMap,
    name: header::HeaderName,
    current: &Current<'_>,
) -> Option<(OffsetDateTime, OffsetDateTime)> {
    Some((current.modified?, date::parse(text(request, name)?)?))
}

/// Whether a list of tags has `*` or one that `is_current`; the list ends where it is malformed.
fn matches(list: &str, is_current: impl Fn(&str) -> bool) -> bool {
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ',']);
        if rest.starts_with('*') {
            return true;
        }
        let Some((tag, behind)) = scan_tag(rest) else { return false };
        if is_current(tag) {
            return true;
        }
        rest = behind;
    }
}

/// The tag, weak or strong, that `text` starts with, and what follows it.
fn scan_tag(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
    let end = opaque.find(|c: char| c == '"' || c <= ' ' || c == '\u{7f}')?;
    let behind = opaque.get(end..)?.strip_prefix('"')?;
    Some((text.strip_suffix(behind)?, behind))
}

/// A header's value, unless it is missing or empty. What is not text stays a value that matches
/// nothing: a demand that cannot be read is not a demand that is met.
fn text(request: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let value = request.get(name)?.as_bytes();
    Some(str::from_utf8(value).unwrap_or("\u{fffd}")).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use time::macros::datetime;

    use super::*;

    const EXACT: &str = "Tue, 24 Nov 2026 08:54:24 GMT";
    const OLDER: &str = "Thu, 01 Jan 2009 00:00:00 GMT";
    const NEWER: &str = "Thu, 01 Jan 2099 00:00:00 GMT";

    fn verdict(headers: &[(HeaderName, &str)]) -> String {
        let current =
            Current { etag: "\"fp\"", modified: Some(datetime!(2026-11-24 08:54:24 UTC)) };
        let mut request = HeaderMap::new();
        for (name, value) in headers {
            request.insert(name, value.parse().unwrap());
        }
        match check(&request, &current) {
            Verdict::Send(range) => format!("send {}", range.unwrap_or("all")),
            Verdict::NotModified => "304".to_owned(),
            Verdict::Failed => "412".to_owned(),
        }
    }

    #[test]
    fn if_modified_since_compares_with_the_time_of_change() {
        let check = |date| verdict(&[(header::IF_MODIFIED_SINCE, date)]);
        assert_eq!(check(EXACT), "304");
        assert_eq!(check(NEWER), "304");
        assert_eq!(check(OLDER), "send all");
        assert_eq!(check("xx"), "send all");
        assert_eq!(check(""), "send all");
    }

    #[test]
    fn if_none_match_knows_the_star_and_the_tag_in_strong_and_weak_form() {
        let check = |list| verdict(&[(header::IF_NONE_MATCH, list)]);
        for list in ["*", "\"x\", *", "\"fp\"", "W/\"fp\"", ",, \"x\" ,W/\"y\",\"fp\""] {
            assert_eq!(check(list), "304", "{list}");
        }
        for list in ["\"x\"", "x, *", "fp", "\"fp", "\"a b\", \"fp\"", "w/\"fp\""] {
            assert_eq!(check(list), "send all", "{list}");
        }
    }

    #[test]
    fn if_none_match_overrules_if_modified_since() {
        let both = [(header::IF_NONE_MATCH, "\"x\""), (header::IF_MODIFIED_SINCE, EXACT)];
        assert_eq!(verdict(&both), "send all");
    }

    #[test]
    fn if_match_wants_the_strong_tag_or_the_star() {
        let check = |list| verdict(&[(header::IF_MATCH, list)]);
        assert_eq!(check("*"), "send all");
        assert_eq!(check("\"x\", \"fp\""), "send all");
        assert_eq!(check("\"x\""), "412");
        assert_eq!(check("W/\"fp\""), "412");
        assert_eq!(check("fp"), "412");
    }

    #[test]
    fn a_condition_that_is_not_text_is_not_met() {
        let current = Current { etag: "\"fp\"", modified: None };
        let value = http::HeaderValue::from_bytes(b"\"\xff\"").unwrap();
        let request = HeaderMap::from_iter([(header::IF_MATCH, value)]);
        assert_eq!(check(&request, &current), Verdict::Failed);
    }

    #[test]
    fn if_unmodified_since_fails_when_the_file_is_newer() {
        let check = |date| verdict(&[(header::IF_UNMODIFIED_SINCE, date)]);
        assert_eq!(check(EXACT), "send all");
        assert_eq!(check(NEWER), "send all");
        assert_eq!(check("xx"), "send all");
        assert_eq!(check(OLDER), "412");
        assert_eq!(check("Fri, 01 Jan 1960 00:00:00 GMT"), "412");
        let both = [(header::IF_MATCH, "*"), (header::IF_UNMODIFIED_SINCE, OLDER)];
        assert_eq!(verdict(&both), "send all");
    }

    #[test]
    fn if_range_wants_the_exact_date_or_the_strong_tag() {
        let check = |value| verdict(&[(header::RANGE, "bytes=0-1"), (header::IF_RANGE, value)]);
        for value in [EXACT, "\"fp\"", ""] {
            assert_eq!(check(value), "send bytes=0-1", "{value}");
        }
        for value in [OLDER, NEWER, "\"x\"", "W/\"fp\"", "xx", "fp"] {
            assert_eq!(check(value), "send all", "{value}");
        }
    }

    #[test]
    fn a_file_without_a_time_or_a_tag_meets_no_condition_that_needs_one() {
        let current = Current { etag: "", modified: None };
        let is = |name: HeaderName, value: &'static str, expected: &Verdict<'_>| {
            let request = HeaderMap::from_iter([(name, value.parse().unwrap())]);
            assert_eq!(check(&request, &current), *expected, "{value}");
        };
        is(header::IF_MODIFIED_SINCE, NEWER, &Verdict::Send(None));
        is(header::IF_UNMODIFIED_SINCE, OLDER, &Verdict::Send(None));
        is(header::IF_NONE_MATCH, "\"\"", &Verdict::Send(None));
        is(header::IF_MATCH, "\"\"", &Verdict::Failed);
    }
}
