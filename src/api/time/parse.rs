//! Go's reading of RFC 3339, with its error texts.
//!
//! It goes piece by piece through the layout `2006-01-02T15:04:05Z07:00`, as Go 1.19 does. Like it,
//! it takes an hour of one digit, and a fraction after the seconds, with a dot or a comma. Unlike
//! it, it refuses zone offsets of a day and more, minutes past 59 and second signs in them
//! (`+-1:00`), and a fraction without seconds (`00:00:.5Z`).

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// Whether the text stands in quotes, as a JSON token does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// With them.
    Quoted,
    /// Without.
    Bare,
}

/// Parses `text` as a whole.
///
/// # Errors
///
/// Go's text for what is wrong.
pub(super) fn parse(text: &[u8], layout: Layout) -> Result<OffsetDateTime, String> {
    let mut parser = Parser {
        text,
        rest: text,
        layout,
    };
    parser.quote_mark()?;
    let (year, month, day) = parser.date()?;
    parser.mark(b'T', "T")?;
    let time = parser.time()?;
    let offset = parser.offset()?;
    parser.quote_mark()?;
    if !parser.rest.is_empty() {
        return Err(parser.wrong(&format!("extra text: {}", quote(parser.rest))));
    }
    let date = Date::from_calendar_date(year, month, day);
    let date = date.ok().ok_or_else(|| parser.wrong("day out of range"))?;
    Ok(OffsetDateTime::new_in_offset(date, time, offset))
}

struct Parser<'a> {
    text: &'a [u8],
    rest: &'a [u8],
    layout: Layout,
}

impl<'a> Parser<'a> {
    fn date(&mut self) -> Result<(i32, Month, u8), String> {
        let year = self.year()?;
        self.mark(b'-', "-")?;
        let month = self.two_digits("01")?;
        let month = Month::try_from(month).ok();
        let month = month.ok_or_else(|| self.wrong("month out of range"))?;
        self.mark(b'-', "-")?;
        let day = self.two_digits("02")?;
        Ok((year, month, day))
    }

    fn time(&mut self) -> Result<Time, String> {
        let hour = self.hour()?;
        self.mark(b':', ":")?;
        let minute = self.two_digits("04")?;
        self.check(minute < 60, "minute")?;
        self.mark(b':', ":")?;
        let second = self.two_digits("05")?;
        self.check(second < 60, "second")?;
        let nanosecond = self.fraction();
        Time::from_hms_nano(hour, minute, second, nanosecond)
            .ok()
            .ok_or_else(|| self.wrong("second out of range"))
    }

    fn year(&mut self) -> Result<i32, String> {
        if self.rest.len() < 4 || !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Err(self.cannot_parse("2006"));
        }
        // LXD: the rest in the error text begins after these four, whatever they are.
        let year = number(self.take(4));
        year.map(i32::from).ok_or_else(|| self.cannot_parse("2006"))
    }

    fn hour(&mut self) -> Result<u8, String> {
        let length = match self.rest {
            [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => 2,
            [a, ..] if a.is_ascii_digit() => 1,
            _ => return Err(self.cannot_parse("15")),
        };
        let hour = small_number(self.take(length));
        let hour = hour.ok_or_else(|| self.cannot_parse("15"))?;
        self.check(hour < 24, "hour")?;
        Ok(hour)
    }

    fn two_digits(&mut self, piece: &str) -> Result<u8, String> {
        let number = self.rest.get(..2).and_then(small_number);
        let number = number.ok_or_else(|| self.cannot_parse(piece))?;
        self.take(2);
        Ok(number)
    }

    /// Nanoseconds; what is beyond nine digits is cut off.
    fn fraction(&mut self) -> u32 {
        let [b'.' | b',', after @ ..] = self.rest else {
            return 0;
        };
        let digits = after
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return 0;
        }
        let kept = self.take(digits + 1).iter().skip(1);
        let padded = kept.copied().chain(std::iter::repeat(b'0')).take(9);
        padded.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    }

    fn offset(&mut self) -> Result<UtcOffset, String> {
        if let [b'Z', rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(UtcOffset::UTC);
        }
        let [sign, h1, h2, b':', m1, m2, rest @ ..] = self.rest else {
            return Err(self.cannot_parse("Z07:00"));
        };
        // LXD: likewise, the rest begins after the whole offset.
        self.rest = rest;
        let (Some(hours), Some(minutes), b'+' | b'-') =
            (small_number(&[*h1, *h2]), small_number(&[*m1, *m2]), sign)
        else {
            return Err(self.cannot_parse("Z07:00"));
        };
        self.check(hours < 24, "time zone offset hour")?;
        self.check(minutes < 60, "time zone offset minute")?;
        let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
        let seconds = if *sign == b'-' { -seconds } else { seconds };
        UtcOffset::from_whole_seconds(seconds)
            .ok()
            .ok_or_else(|| self.cannot_parse("Z07:00"))
    }

    fn quote_mark(&mut self) -> Result<(), String> {
        match self.layout {
            Layout::Quoted => self.mark(b'"', "\""),
            Layout::Bare => Ok(()),
        }
    }

    fn mark(&mut self, mark: u8, piece: &str) -> Result<(), String> {
        match self.rest {
            [first, rest @ ..] if *first == mark => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(self.cannot_parse(piece)),
        }
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    fn check(&self, holds: bool, what: &str) -> Result<(), String> {
        if holds {
            Ok(())
        } else {
            Err(self.wrong(&format!("{what} out of range")))
        }
    }

    /// The text is well-formed, but what it says is not so.
    fn wrong(&self, what: &str) -> String {
        format!("parsing time {}: {what}", quote(self.text))
    }

    /// The rest of the text does not begin with this piece of the layout.
    fn cannot_parse(&self, piece: &str) -> String {
        let layout: &[u8] = match self.layout {
            Layout::Quoted => b"\"2006-01-02T15:04:05Z07:00\"",
            Layout::Bare => b"2006-01-02T15:04:05Z07:00",
        };
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(self.text),
            quote(layout),
            quote(self.rest),
            quote(piece.as_bytes())
        )
    }
}

/// Digits and nothing else.
fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |sum, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(u16::try_from(digit).ok()?)
    })
}

fn small_number(digits: &[u8]) -> Option<u8> {
    number(digits)?.try_into().ok()
}

/// Go's quoting of times in errors: each byte that is not printable ASCII as `\xNN`.
fn quote(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(*byte)]),
            0..0x20 | 0x80.. => quoted.extend(["\\x", &hex::encode([*byte])]),
            plain => quoted.push(char::from(*plain)),
        }
    }
    quoted.push('"');
    quoted
}
