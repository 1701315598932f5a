//! Dates as LXD 5.0.2 takes, refuses and shows them. The expected texts are its own.

use time::macros::datetime;

use super::*;
use crate::api::json::{Html, decode, to_go_json};

/// What a JSON token with this date is shown as, or why it is refused.
fn through(token: impl AsRef<[u8]>) -> String {
    match decode::<Timestamp>(token.as_ref()) {
        Ok(time) => time.to_string(),
        Err(error) => error.message().to_owned(),
    }
}

/// The same for a date without its quotes.
fn date(text: &str) -> String {
    through(format!("\"{text}\""))
}

#[test]
fn dates_are_shown_in_the_zone_they_came_in() {
    let rows = [
        ("2030-01-01T02:00:00+02:00", "2030-01-01T02:00:00+02:00"),
        ("2030-01-01T00:00:00-09:30", "2030-01-01T00:00:00-09:30"),
        ("2030-01-01T00:00:00-00:30", "2030-01-01T00:00:00-00:30"),
        ("2030-01-01T00:00:00+23:59", "2030-01-01T00:00:00+23:59"),
        ("2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00-00:00", "2030-01-01T00:00:00Z"),
        (
            "2030-01-01T00:00:00.1234567891Z",
            "2030-01-01T00:00:00.123456789Z",
        ),
        ("2030-01-01T00:00:00.120Z", "2030-01-01T00:00:00.12Z"),
        (
            "2030-01-01T00:00:00.000000001Z",
            "2030-01-01T00:00:00.000000001Z",
        ),
        ("2030-01-01T00:00:00,5Z", "2030-01-01T00:00:00.5Z"),
        ("2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00.5+02:00", "2030-01-01T00:00:00.5+02:00"),
        ("2030-01-01T1:00:00Z", "2030-01-01T01:00:00Z"),
        ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("1969-12-31T00:00:00Z", "1969-12-31T00:00:00Z"),
        ("0001-01-01T00:00:01Z", "0001-01-01T00:00:01Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ("0000-01-01T00:00:00+01:00", "0000-01-01T00:00:00+01:00"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00"),
        (
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59.999999999Z",
        ),
    ];
    for (sent, shown) in rows {
        assert_eq!(date(sent), shown);
        let time: Timestamp = sent.parse().unwrap();
        assert_eq!(time.to_string(), shown);
        assert_eq!(shown.parse::<Timestamp>().unwrap(), time);
    }
}

#[test]
fn a_date_that_breaks_the_format_is_told_what_was_expected_where() {
    let rows = [
        ("x", "x\"", "2006"),
        ("", "\"", "2006"),
        ("203", "", "2006"),
        ("2x30-01-01T00:00:00Z", "-01-01T00:00:00Z\"", "2006"),
        ("-030-01-01T00:00:00Z", "-030-01-01T00:00:00Z\"", "2006"),
        ("+030-01-01T00:00:00Z", "+030-01-01T00:00:00Z\"", "2006"),
        ("10000-01-01T00:00:00Z", "0-01-01T00:00:00Z\"", "-"),
        ("2030", "\"", "-"),
        ("2030-1-01T00:00:00Z", "1-01T00:00:00Z\"", "01"),
        ("2030-01-1T00:00:00Z", "1T00:00:00Z\"", "02"),
        ("2030-01-01", "\"", "T"),
        ("2030-01-01t00:00:00Z", "t00:00:00Z\"", "T"),
        ("2030-01-01 00:00:00Z", " 00:00:00Z\"", "T"),
        ("2030-01-01Tx", "x\"", "15"),
        ("2030-01-01T0x:00:00Z", "x:00:00Z\"", ":"),
        ("2030-01-01T00:0:00Z", "0:00Z\"", "04"),
        ("2030-01-01T00:00Z", "Z\"", ":"),
        ("2030-01-01T00:00:0Z", "0Z\"", "05"),
        ("2030-01-01T00:00:00", "\"", "Z07:00"),
        ("2030-01-01T00:00:00z", "z\"", "Z07:00"),
        ("2030-01-01T00:00:00.Z", ".Z\"", "Z07:00"),
        ("2030-01-01T00:00:00.5", "\"", "Z07:00"),
        ("2030-01-01T00:00:00+0200", "+0200\"", "Z07:00"),
        ("2030-01-01T00:00:00+02-00", "+02-00\"", "Z07:00"),
        ("2030-01-01T00:00:00+0a:00", "\"", "Z07:00"),
        ("2030-01-01T00:00:00 02:00", "\"", "Z07:00"),
        ("2030-01-01T00:00:00*02:00", "\"", "Z07:00"),
        ("2030-02-30T00:00:00x", "x\"", "Z07:00"),
        ("2030-01-01T00:00:00Zx", "x\"", "\""),
        ("2030-01-01T00:00:00+02:00x", "x\"", "\""),
    ];
    let escape = |text: &str| text.replace('"', "\\\"");
    for (sent, rest, piece) in rows {
        let text = format!(
            "parsing time \"\\\"{sent}\\\"\" as \"\\\"2006-01-02T15:04:05Z07:00\\\"\": \
             cannot parse \"{}\" as \"{}\"",
            escape(rest),
            escape(piece)
        );
        assert_eq!(date(sent), text);
    }
}

#[test]
fn the_token_is_parsed_and_shown_as_it_stands() {
    let layout = "\"\\\"2006-01-02T15:04:05Z07:00\\\"\"";
    let rows: &[(&[u8], &str, &str)] = &[
        (b"5", "5", r#"cannot parse "5" as "\"""#),
        (b"true", "true", r#"cannot parse "true" as "\"""#),
        (
            b" {\"a\": 1 } ",
            r#"{\"a\": 1 }"#,
            r#"cannot parse "{\"a\": 1 }" as "\"""#,
        ),
        (b"[1, 2]", "[1, 2]", r#"cannot parse "[1, 2]" as "\"""#),
        (
            br#""2030-01-01T00:00:00\u005a""#,
            r#"\"2030-01-01T00:00:00\\u005a\""#,
            r#"cannot parse "\\u005a\"" as "Z07:00""#,
        ),
        (
            br#""2030-01-01T00:00:00Z\"x""#,
            r#"\"2030-01-01T00:00:00Z\\\"x\""#,
            r#"cannot parse "\\\"x\"" as "\"""#,
        ),
        (
            b"\"\xff\"",
            r#"\"\xff\""#,
            r#"cannot parse "\xff\"" as "2006""#,
        ),
        (
            "\"é\"".as_bytes(),
            r#"\"\xc3\xa9\""#,
            r#"cannot parse "\xc3\xa9\"" as "2006""#,
        ),
        (
            b"\"\x7f\"",
            "\\\"\x7f\\\"",
            "cannot parse \"\x7f\\\"\" as \"2006\"",
        ),
    ];
    for (token, shown, reason) in rows {
        assert_eq!(
            through(token),
            format!("parsing time \"{shown}\" as {layout}: {reason}")
        );
    }
}

#[test]
fn a_date_that_cannot_be_is_told_what_is_out_of_range() {
    let rows = [
        ("2030-13-01T00:00:00Z", "month"),
        ("2030-00-01T00:00:00Z", "month"),
        ("2030-02-30T00:00:00Z", "day"),
        ("2030-02-29T00:00:00Z", "day"),
        ("2030-01-00T00:00:00Z", "day"),
        ("2030-01-01T24:00:00Z", "hour"),
        ("2030-01-01T99:00:00Z", "hour"),
        ("2030-01-01T00:60:00Z", "minute"),
        ("2030-01-01T00:00:60Z", "second"),
        ("2030-01-01T00:00:60.5x", "second"),
    ];
    for (sent, what) in rows {
        assert_eq!(
            date(sent),
            format!("parsing time \"\\\"{sent}\\\"\": {what} out of range")
        );
    }
}

#[test]
fn zone_offsets_of_a_day_and_more_are_refused_where_lxd_takes_them() {
    for (offset, reason) in [
        ("+24:00", "time zone offset hour out of range"),
        ("-99:00", "time zone offset hour out of range"),
        ("+23:60", "time zone offset minute out of range"),
    ] {
        let sent = format!("2030-01-01T00:00:00{offset}");
        assert_eq!(
            date(&sent),
            format!("parsing time \"\\\"{sent}\\\"\": {reason}")
        );
    }
}

#[test]
fn mistakes_that_lxd_overlooks_are_refused() {
    let signed = "2030-01-01T00:00:00+-1:00";
    assert!(date(signed).ends_with(r#"cannot parse "\"" as "Z07:00""#));
    let without_seconds = "2030-01-01T00:00:.5Z";
    assert!(date(without_seconds).ends_with(r#"cannot parse ".5Z\"" as "05""#));
}

#[test]
fn text_without_quotes_has_the_texts_of_time_parse() {
    let text = |sent: &str| sent.parse::<Timestamp>().unwrap_err().message().to_owned();
    assert_eq!(
        text("x"),
        r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#
    );
    assert_eq!(
        text("2030-01-01T00:00:00Zx"),
        r#"parsing time "2030-01-01T00:00:00Zx": extra text: "x""#
    );
}

#[test]
fn null_leaves_a_date_as_it_is() {
    assert_eq!(through("null"), "0001-01-01T00:00:00Z");
    assert_eq!(decode::<Option<Timestamp>>(b"null").unwrap(), None);
}

#[test]
fn the_zero_time_is_known_in_every_zone() {
    assert!(Timestamp::default().is_zero());
    assert!(
        "0001-01-01T02:00:00+02:00"
            .parse::<Timestamp>()
            .unwrap()
            .is_zero()
    );
    let epoch = Timestamp::from_unix(0).unwrap();
    assert!(!epoch.is_zero());
    assert_eq!(epoch.to_string(), "1970-01-01T00:00:00Z");
}

#[test]
fn times_are_ordered_by_the_instant() {
    let parse = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(
        parse("2030-01-01T02:00:00+02:00"),
        parse("2030-01-01T00:00:00Z")
    );
    assert!(parse("2030-01-01T02:00:00+02:00") < parse("2030-01-01T00:00:01Z"));
    assert!(parse("9999-12-31T23:59:59-23:59") > parse("9999-12-31T23:59:59Z"));
    assert!(parse("0000-01-01T00:00:00+23:59") < parse("0000-01-01T00:00:00Z"));
}

#[test]
fn seconds_since_the_epoch_are_taken_within_the_years_1_to_9999() {
    let shown = |seconds| Timestamp::from_unix(seconds).map(|time| time.to_string());
    assert_eq!(shown(0).as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(shown(-5).as_deref(), Some("1969-12-31T23:59:55Z"));
    assert_eq!(
        shown(253_402_300_799).as_deref(),
        Some("9999-12-31T23:59:59Z")
    );
    assert_eq!(shown(253_402_300_800), None);
    assert_eq!(
        shown(-62_135_596_800).as_deref(),
        Some("0001-01-01T00:00:00Z")
    );
    assert_eq!(shown(-62_135_596_801), None);
    assert_eq!((shown(i64::MAX), shown(i64::MIN)), (None, None));
    assert_eq!(
        Timestamp::from_unix(-5).unwrap().to_string(),
        "1969-12-31T23:59:55Z"
    );
}

#[test]
fn a_time_of_the_clock_is_kept_to_the_nanosecond() {
    let now = datetime!(2026-11-23 18:35:24.123456789 UTC);
    let time = Timestamp::from(now);
    assert_eq!(OffsetDateTime::from(time), now);
    assert_eq!(
        to_go_json(&time, Html::Plain),
        b"\"2026-11-23T18:35:24.123456789Z\""
    );
}

#[test]
fn what_the_text_form_cannot_say_is_changed_on_the_way_in() {
    let shown = |time: OffsetDateTime| Timestamp::from(time).to_string();
    assert_eq!(
        shown(datetime!(2030-01-01 00:00 +01:00:30)),
        "2029-12-31T22:59:30Z"
    );
    assert_eq!(
        shown(datetime!(2030-01-01 00:00 +24:00)),
        "2029-12-31T00:00:00Z"
    );
    assert_eq!(
        shown(datetime!(-0001-01-01 00:00 UTC)),
        "0001-01-01T00:00:00Z"
    );
    assert_eq!(
        shown(datetime!(9999-12-31 23:59 -24:00)),
        "0001-01-01T00:00:00Z"
    );
}
