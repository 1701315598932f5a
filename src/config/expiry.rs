//! How long something lasts, such as `1d 12H`: seconds, minutes, hours, days, weeks, months and
//! years, in LXD's letters.

use time::{Duration, Month, OffsetDateTime};

/// The end of what begins at `from` and lasts so long; `None` for what lasts for ever, or so long
/// that no date says it.
pub(crate) fn after(text: &str, from: OffsetDateTime) -> Option<OffsetDateTime> {
    if text.is_empty() {
        return None;
    }
    let mut end = from;
    for part in text.split(' ') {
        let (digits, unit) = part.split_at_checked(part.len().checked_sub(1)?)?;
        let count: i32 = digits.parse().ok()?;
        end = match unit {
            "S" => end.checked_add(Duration::seconds(count.into()))?,
            "M" => end.checked_add(Duration::minutes(count.into()))?,
            "H" => end.checked_add(Duration::hours(count.into()))?,
            "d" => end.checked_add(Duration::days(count.into()))?,
            "w" => end.checked_add(Duration::weeks(count.into()))?,
            "m" => add_months(end, count)?,
            "y" => add_months(end, count.checked_mul(12)?)?,
            _ => return None,
        };
    }
    Some(end)
}

/// The same day so many months later. As in Go, a day that such a month does not have runs over
/// into the next.
fn add_months(from: OffsetDateTime, months: i32) -> Option<OffsetDateTime> {
    let month = i32::from(u8::from(from.month())) - 1 + months;
    let year = from.year().checked_add(month.div_euclid(12))?;
    let month = Month::try_from(u8::try_from(month.rem_euclid(12)).ok()? + 1).ok()?;
    let first = from.replace_day(1).ok()?.replace_month(month).ok()?;
    let first = first.replace_year(year).ok()?;
    first.checked_add(Duration::days(i64::from(from.day()) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Timestamp;

    fn from_start(text: &str) -> Option<String> {
        let start: Timestamp = "2024-01-31T10:00:00Z".parse().unwrap();
        after(text, start.into()).map(|end| Timestamp::from(end).to_string())
    }

    #[test]
    fn parts_add_up() {
        let rows = [
            ("30S", "2024-01-31T10:00:30Z"),
            ("1d 2H", "2024-02-01T12:00:00Z"),
            ("1w 5M", "2024-02-07T10:05:00Z"),
            ("1m", "2024-03-02T10:00:00Z"),
            ("11m", "2024-12-31T10:00:00Z"),
            ("1y", "2025-01-31T10:00:00Z"),
            ("0S", "2024-01-31T10:00:00Z"),
        ];
        for (text, expected) in rows {
            assert_eq!(from_start(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_no_date_says_never_ends() {
        for text in ["", "x", "1", "1x", "999999999y", "999999999w"] {
            assert_eq!(from_start(text), None, "{text}");
        }
    }
}
