//! Dates in Go's layouts, which are written as one certain date.

use time::{OffsetDateTime, macros::datetime};

/// The moment that `{% now "…" fake %}` shows.
pub(super) const FAKE: OffsetDateTime = datetime!(2014-02-05 18:31:45 UTC);

/// What a part of a layout stands for.
type Show = fn(&OffsetDateTime) -> String;

/// How parts of a layout are written. Longer ones come first.
const PARTS: &[(&str, Show)] = &[
    ("January", |when| when.month().to_string()),
    ("Jan", |when| abbreviated(&when.month().to_string())),
    ("Monday", |when| when.weekday().to_string()),
    ("Mon", |when| abbreviated(&when.weekday().to_string())),
    ("MST", |_| "UTC".to_owned()),
    ("2006", |when| format!("{:04}", when.year())),
    ("002", |when| format!("{:03}", when.ordinal())),
    ("__2", |when| format!("{:3}", when.ordinal())),
    ("01", |when| format!("{:02}", u8::from(when.month()))),
    ("02", |when| format!("{:02}", when.day())),
    ("03", |when| format!("{:02}", hour12(when))),
    ("04", |when| format!("{:02}", when.minute())),
    ("05", |when| format!("{:02}", when.second())),
    ("06", |when| format!("{:02}", when.year().rem_euclid(100))),
    ("_2", |when| format!("{:2}", when.day())),
    ("15", |when| format!("{:02}", when.hour())),
    ("PM", |when| half(when, "AM", "PM")),
    ("pm", |when| half(when, "am", "pm")),
    ("-07:00:00", |_| "+00:00:00".to_owned()),
    ("-07:00", |_| "+00:00".to_owned()),
    ("-070000", |_| "+000000".to_owned()),
    ("-0700", |_| "+0000".to_owned()),
    ("-07", |_| "+00".to_owned()),
    ("Z07:00:00", |_| "Z".to_owned()),
    ("Z07:00", |_| "Z".to_owned()),
    ("Z070000", |_| "Z".to_owned()),
    ("Z0700", |_| "Z".to_owned()),
    ("Z07", |_| "Z".to_owned()),
    ("1", |when| u8::from(when.month()).to_string()),
    ("2", |when| when.day().to_string()),
    ("3", |when| hour12(when).to_string()),
    ("4", |when| when.minute().to_string()),
    ("5", |when| when.second().to_string()),
];

/// A moment in a layout.
pub(super) fn format(layout: &[u8], when: OffsetDateTime) -> Vec<u8> {
    let mut written = Vec::new();
    let mut rest = layout;
    while let Some((first, after)) = rest.split_first() {
        if let Some((text, behind)) = fraction(rest, when) {
            written.extend(text.bytes());
            rest = behind;
        } else if let Some((part, show)) = PARTS.iter().find(|(part, _)| begins(rest, part)) {
            written.extend(show(&when).bytes());
            rest = rest.get(part.len()..).unwrap_or_default();
        } else {
            written.push(*first);
            rest = after;
        }
    }
    written
}

/// Whether a layout goes on with this part. `Jan` and `Mon` are none in `Janet` and `Monster`,
/// and `_2` is none in `_2006`.
fn begins(layout: &[u8], part: &str) -> bool {
    let Some(behind) = layout.strip_prefix(part.as_bytes()) else {
        return false;
    };
    match part {
        "Jan" | "Mon" => !behind.first().is_some_and(u8::is_ascii_lowercase),
        "_2" => !behind.starts_with(b"006"),
        _ => true,
    }
}

/// Parts of a second: `.000` with all digits, `.999` without zeros at the end.
fn fraction(layout: &[u8], when: OffsetDateTime) -> Option<(String, &[u8])> {
    let (point @ (b'.' | b','), digits) = layout.split_first()? else {
        return None;
    };
    let kind = *digits
        .first()
        .filter(|digit| matches!(digit, b'0' | b'9'))?;
    let length = digits.iter().take_while(|digit| **digit == kind).count();
    let behind = digits.get(length..)?;
    if behind.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let nanoseconds = format!("{:09}", when.nanosecond());
    let mut shown = nanoseconds.get(..length.min(9))?;
    if kind == b'9' {
        shown = shown.trim_end_matches('0');
    }
    if shown.is_empty() {
        return Some((String::new(), behind));
    }
    Some((format!("{}{shown}", char::from(*point)), behind))
}

fn abbreviated(name: &str) -> String {
    name.chars().take(3).collect()
}

fn hour12(when: &OffsetDateTime) -> u8 {
    match when.hour() % 12 {
        0 => 12,
        hour => hour,
    }
}

fn half(when: &OffsetDateTime, before: &str, after: &str) -> String {
    if when.hour() < 12 { before } else { after }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_read_as_go_reads_them() {
        for (layout, text) in [
            ("2006", "2014"),
            ("Mon Jan 2 15:04:05 MST 2006", "Wed Feb 5 18:31:45 UTC 2014"),
            (
                "Monday, 02-Jan-06 03:04PM -0700",
                "Wednesday, 05-Feb-14 06:31PM +0000",
            ),
            ("2006-01-02T15:04:05Z07:00", "2014-02-05T18:31:45Z"),
            ("_2|_2006|002|__2|Janet", " 5|_2014|036| 36|Janet"),
            ("05.000|05.999|5,00", "45.000|45|45,00"),
        ] {
            assert_eq!(format(layout.as_bytes(), FAKE), text.as_bytes(), "{layout}");
        }
    }
}
