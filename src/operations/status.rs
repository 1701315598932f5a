//! The life of an operation, as a pure state machine.
//!
//! ```text
//! Pending ─► Running ─┬─► Success
//!                     ├─► Failure
//!                     └─► Cancelling ─┬─► Cancelled
//!                                     └─► Failure, Success (it was nearly done)
//! ```

/// Where an operation is in its life. Codes of 200 and more are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Made, not begun.
    Pending,
    /// Under way.
    Running,
    /// Told to stop.
    Cancelling,
    /// Done.
    Success,
    /// Not done; `err` says why.
    Failure,
    /// Ended because it was told to.
    Cancelled,
}

impl Status {
    /// LXD's number.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Pending => 105,
            Self::Running => 103,
            Self::Cancelling => 104,
            Self::Success => 200,
            Self::Failure => 400,
            Self::Cancelled => 401,
        }
    }

    /// LXD's word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Cancelling => "Cancelling",
            Self::Success => "Success",
            Self::Failure => "Failure",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether nothing comes after it.
    pub(crate) fn is_final(self) -> bool {
        self.code() >= 200
    }

    /// Whether an operation may go from here to `next`.
    pub(crate) fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Pending => next != Self::Pending,
            Self::Running => !matches!(next, Self::Pending | Self::Running),
            Self::Cancelling => next.is_final(),
            Self::Success | Self::Failure | Self::Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn nothing_follows_a_final_status() {
        for done in [Status::Success, Status::Failure, Status::Cancelled] {
            for next in [
                Status::Running,
                Status::Cancelling,
                Status::Success,
                Status::Failure,
            ] {
                assert!(!done.leads_to(next));
            }
        }
        assert!(Status::Running.leads_to(Status::Cancelling));
        assert!(!Status::Running.leads_to(Status::Pending));
    }
}
