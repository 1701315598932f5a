//! `snapshots.pattern`: what snapshots are called whose makers gave no name.
//!
//! A pattern may have `%d` for a number, and `{{ creation_date }}`, with a filter `date` whose
//! format is Go's. LXD renders it as a template; nothing else of a template is of use in a name.

use time::OffsetDateTime;

/// What a snapshot is called when nobody says it.
const DEFAULT: &str = "snap%d";

/// Writes one part of a date.
type Show = fn(OffsetDateTime) -> String;

/// Parts of Go's layout of dates, longest first.
const LAYOUT: &[(&str, Show)] = &[
    ("2006", |time| format!("{:04}", time.year())),
    ("01", |time| format!("{:02}", u8::from(time.month()))),
    ("02", |time| format!("{:02}", time.day())),
    ("03", |time| format!("{:02}", (time.hour() + 11) % 12 + 1)),
    ("04", |time| format!("{:02}", time.minute())),
    ("05", |time| format!("{:02}", time.second())),
    ("06", |time| format!("{:02}", time.year().rem_euclid(100))),
    ("15", |time| format!("{:02}", time.hour())),
];

/// The name of the next snapshot, among those that are there.
///
/// # Errors
///
/// The reason, in LXD's words where it has some.
pub(crate) fn next(
    pattern: Option<&str>,
    now: OffsetDateTime,
    known: &[&str],
) -> Result<String, String> {
    let pattern = pattern.filter(|text| !text.is_empty()).unwrap_or(DEFAULT);
    let name = render(pattern, now)?;
    match name.matches("%d").count() {
        0 if known.contains(&name.as_str()) => Ok(numbered(&format!("{name}-%d"), known)),
        0 => Ok(name),
        1 => Ok(numbered(&name, known)),
        _ => Err("Snapshot pattern may contain '%d' only once".to_owned()),
    }
}

/// The pattern with a number above all that are in use.
fn numbered(pattern: &str, known: &[&str]) -> String {
    let (before, after) = pattern.split_once("%d").unwrap_or((pattern, ""));
    let number = |name: &&str| -> Option<u64> {
        name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
    };
    let last = known.iter().filter_map(number).max();
    let next = last.map_or(0, |last| last.saturating_add(1));
    format!("{before}{next}{after}")
}

fn render(pattern: &str, now: OffsetDateTime) -> Result<String, String> {
    let mut rendered = String::new();
    let mut rest = pattern;
    while let Some((before, expression)) = rest.split_once("{{") {
        let unknown = || format!("Invalid snapshot pattern {pattern:?}");
        let (expression, after) = expression.split_once("}}").ok_or_else(unknown)?;
        rendered.push_str(before);
        rendered.push_str(&date(expression, now).ok_or_else(unknown)?);
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// `creation_date`, or `creation_date|date:"2006-01-02"`.
fn date(expression: &str, now: OffsetDateTime) -> Option<String> {
    let (variable, filter) = match expression.split_once('|') {
        Some((variable, filter)) => (variable, Some(filter.trim())),
        None => (expression, None),
    };
    if variable.trim() != "creation_date" {
        return None;
    }
    let layout = match filter {
        None => "2006-01-02 15:04:05",
        Some(filter) => {
            let text = filter
                .strip_prefix("date")?
                .trim_start()
                .strip_prefix(':')?
                .trim();
            let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            text.strip_prefix(quote)?.strip_suffix(quote)?
        }
    };
    Some(formatted(layout, now))
}

fn formatted(layout: &str, now: OffsetDateTime) -> String {
    let mut shown = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let part = LAYOUT
            .iter()
            .find_map(|(part, show)| rest.strip_prefix(part).map(|rest| (rest, show(now))));
        if let Some((after, text)) = part {
            shown.push_str(&text);
            rest = after;
        } else {
            shown.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_numbered() {
        let now = time::macros::datetime!(2024-03-09 15:04:05 UTC);
        let rows: [(Option<&str>, &[&str], &str); 8] = [
            (None, &[], "snap0"),
            (Some(""), &["snap0", "snap7", "snapx"], "snap8"),
            (Some("foo"), &[], "foo"),
            (Some("foo"), &["foo"], "foo-0"),
            (Some("foo"), &["foo", "foo-0"], "foo-1"),
            (
                Some("{{ creation_date|date:'2006-01-02_15-04' }}-%d"),
                &[],
                "2024-03-09_15-04-0",
            ),
            (Some("{{creation_date | date:\"06\"}}"), &["24"], "24-0"),
            (Some("s%d-x"), &["s1-x"], "s2-x"),
        ];
        for (pattern, known, expected) in rows {
            assert_eq!(next(pattern, now, known).unwrap(), expected);
        }
        for pattern in [
            "%d%d",
            "{{ x }}",
            "{{ creation_date",
            "{{ creation_date|upper }}",
        ] {
            assert!(next(Some(pattern), now, &[]).is_err(), "{pattern}");
        }
    }
}
