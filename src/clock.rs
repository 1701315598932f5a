//! Time as a parameter, so that expiry and auto-update are tested without sleeping.

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
