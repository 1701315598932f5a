//! Other times than the present one.

use std::{fs, path::PathBuf, time::SystemTime};

use super::Lximaged;

/// Seconds in a day.
pub(crate) const DAY: u64 = 86_400;

/// When it was so many seconds before now.
#[expect(
    clippy::disallowed_methods,
    reason = "the daemon under test goes by the machine's clock"
)]
pub(crate) fn ago(seconds: u64) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let days_and_rest = now.as_secs() - seconds;
    let (days, rest) = (days_and_rest / DAY, days_and_rest % DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day, so many days after the epoch.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

impl Lximaged {
    /// From its next start on it has another time, such as `+10d`.
    pub(crate) fn set_time(&mut self, time: &str) {
        self.set_env("LD_PRELOAD", library().to_str().unwrap());
        self.set_env("FAKETIME", time);
        self.set_env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

/// Where the library is that changes a program's time.
fn library() -> PathBuf {
    let directories = fs::read_dir("/usr/lib").unwrap();
    let paths = directories.map(|entry| entry.unwrap().path().join("faketime/libfaketime.so.1"));
    let found = paths.into_iter().find(|path| path.exists());
    found.expect("faketime is installed")
}

#[test]
fn dates_are_those_of_the_calendar() {
    assert_eq!(date(0), (1970, 1, 1));
    assert_eq!(date(11_016), (2000, 2, 29));
    assert_eq!(date(20_819), (2027, 1, 1));
}
