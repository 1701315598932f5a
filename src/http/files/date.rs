//! HTTP dates, read in the three forms that HTTP has known and written in the current one.

use time::{
    OffsetDateTime, PrimitiveDateTime,
    format_description::BorrowedFormatItem,
    macros::format_description,
    parsing::Parsed,
};

const CURRENT: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// What is accepted: the current form, RFC 850 and C's `asctime`, as lenient as Go about case,
/// weekday and the hour's leading zero.
const ACCEPTED: [&[BorrowedFormatItem<'_>]; 3] = [
    format_description!(
        "[weekday repr:short case_sensitive:false], [day] [month repr:short case_sensitive:false] \
         [year] [hour padding:none]:[minute]:[second] GMT"
    ),
    format_description!(
        "[weekday repr:long case_sensitive:false], \
         [day]-[month repr:short case_sensitive:false]-[year repr:last_two] \
         [hour padding:none]:[minute]:[second] GMT"
    ),
    format_description!(
        "[weekday repr:short case_sensitive:false] [month repr:short case_sensitive:false] \
         [day padding:none] [hour padding:none]:[minute]:[second] [year]"
    ),
];

/// The text for a header. Sub-seconds are cut.
pub(super) fn format(time: OffsetDateTime) -> Option<String> {
    time.to_offset(time::UtcOffset::UTC).format(CURRENT).ok()
}

/// The time that a header names, or `None` when it names none: such a header is ignored.
pub(super) fn parse(text: &str) -> Option<OffsetDateTime> {
    let text = text.replace("  ", " ");
    ACCEPTED.iter().find_map(|form| parse_as(form, text.as_bytes()))
}

fn parse_as(form: &[BorrowedFormatItem<'_>], text: &[u8]) -> Option<OffsetDateTime> {
    let mut parsed = Parsed::new();
    if !parsed.parse_items(text, form).ok()?.is_empty() {
        return None;
    }
    if let Some(short) = parsed.year_last_two() {
        let century = if short < 69 { 2000 } else { 1900 };
        parsed.set_year(century + i32::from(short))?;
    }
    PrimitiveDateTime::try_from(parsed).ok().map(PrimitiveDateTime::assume_utc)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_three_forms_name_the_same_time() {
        let time = datetime!(2099-01-02 03:04:05 UTC);
        for text in ["Fri, 02 Jan 2099 03:04:05 GMT", "Fri Jan  2 03:04:05 2099"] {
            assert_eq!(parse(text), Some(time), "{text}");
        }
        let time = datetime!(1999-01-02 03:04:05 UTC);
        assert_eq!(parse("Saturday, 02-Jan-99 03:04:05 GMT"), Some(time));
    }

    #[test]
    fn two_digit_years_turn_at_sixty_nine() {
        let year = |text| parse(text).map(OffsetDateTime::year);
        assert_eq!(year("Friday, 01-Jan-68 00:00:00 GMT"), Some(2068));
        assert_eq!(year("Friday, 01-Jan-69 00:00:00 GMT"), Some(1969));
    }

    #[test]
    fn dates_are_read_as_leniently_as_go_reads_them() {
        for text in [
            "Mon, 01 Jan 2099 00:00:00 GMT",
            "thu, 01 jan 2099 00:00:00 GMT",
            "Thu, 01 Jan 2099 0:00:00 GMT",
            "Thu Jan 1 00:00:00 2099",
        ] {
            assert_eq!(parse(text), Some(datetime!(2099-01-01 00:00:00 UTC)), "{text}");
        }
    }

    #[test]
    fn what_go_does_not_read_is_no_date() {
        for text in [
            "",
            "xx",
            "Thu, 01 Jan 2099 00:00:00 UTC",
            "Thu, 01 Jan 2099 00:00:00 +0000",
            "Thu, 1 Jan 2099 00:00:00 GMT",
            "Thu, 01 Jan 2099 24:00:00 GMT",
            "Thu, 01 Jan 2099 00:00:60 GMT",
            "Thu, 31 Feb 2099 00:00:00 GMT",
            "Thu, 01 Jan 2099 00:00:00 GMT and more",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_written_date_is_in_utc_and_has_leading_zeros() {
        let text = format(datetime!(2026-11-04 08:54:04.9 +02:00));
        assert_eq!(text.as_deref(), Some("Wed, 04 Nov 2026 06:54:04 GMT"));
    }
}
