//! Time as a parameter, so that expiry and auto-update are tested without sleeping.

use std::time::Duration;

use time::OffsetDateTime;

/// Tells what time it is.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until a test moves it.
    #[cfg(test)]
    Manual(std::sync::Arc<std::sync::Mutex<OffsetDateTime>>),
}

impl Clock {
    /// The current time, in UTC, to the nanosecond.
    pub(crate) fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => OffsetDateTime::now_utc(),
            #[cfg(test)]
            Self::Manual(now) => *now.lock().expect("no test panics while it moves the clock"),
        }
    }
}

/// The time since the machine was booted, to the second. Nobody sets it, and it goes on while the
/// machine sleeps.
pub(crate) fn since_boot() -> Duration {
    let seconds = rustix::system::sysinfo().uptime;
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
