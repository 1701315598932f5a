//! Points in time as they stand in requests, in answers and in the database.

mod parse;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, UtcOffset, macros::datetime};

use super::json::{Decode, Decoder, Kind};
use crate::error::{Error, Result};

/// A point in time, to the nanosecond, with the zone offset it was given in.
///
/// As text it is RFC 3339 as Go writes it, years 0 to 9999. Two of them are equal, and ordered, by
/// the instant; the offset only shows. The default is Go's zero time, which means "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Go's zero time, `0001-01-01T00:00:00Z`.
    pub(crate) const ZERO: Self = Self(datetime!(0001-01-01 0:00 UTC));

    /// Whether it is the zero time, in whatever zone.
    pub(crate) fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Seconds since the epoch.
    pub(crate) fn as_unix(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// The time this many seconds after the epoch, in UTC; `None` outside the years 1 to 9999.
    pub(crate) fn from_unix(seconds: i64) -> Option<Self> {
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        (1..=9999).contains(&time.year()).then_some(Self(time))
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<OffsetDateTime> for Timestamp {
    /// What RFC 3339 cannot say is changed: an offset of odd seconds, or of a day and more, becomes
    /// UTC, and a time before year 0 the zero time.
    fn from(time: OffsetDateTime) -> Self {
        let offset = time.offset();
        let is_writable = offset.seconds_past_minute() == 0 && offset.whole_hours().abs() < 24;
        let shown = if is_writable {
            Some(time)
        } else {
            time.checked_to_offset(UtcOffset::UTC)
        };
        shown
            .filter(|time| time.year() >= 0)
            .map_or(Self::ZERO, Self)
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads what `Display` wrote, and what else RFC 3339 allows.
    ///
    /// # Errors
    ///
    /// 400 with the text of Go's `time.Parse`.
    fn from_str(text: &str) -> Result<Self> {
        parse::parse(text.as_bytes(), parse::Layout::Bare)
            .map(Self)
            .map_err(Error::bad_request)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        let (hour, minute, second, nanosecond) = self.0.to_hms_nano();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))?;
        write!(f, "T{hour:02}:{minute:02}:{second:02}")?;
        if nanosecond != 0 {
            write!(f, ".{}", format!("{nanosecond:09}").trim_end_matches('0'))?;
        }
        let offset = self.0.offset();
        if offset.is_utc() {
            return f.write_str("Z");
        }
        let (hours, minutes, _) = offset.as_hms();
        let sign = if offset.is_negative() { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", hours.abs(), minutes.abs())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Decode for Timestamp {
    fn go_type() -> Cow<'static, str> {
        "time.Time".into()
    }

    /// LXD: Go parses the JSON token as it stands, with its quotes and its escapes, whatever sort
    /// of value it is; and an error ends the whole decoding.
    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        if from.kind() == Kind::Null {
            from.skip();
            return Ok(());
        }
        let time = parse::parse(from.raw(), parse::Layout::Quoted).map_err(Error::bad_request)?;
        *self = Self(time);
        Ok(())
    }
}
