//! What an instance is doing.

use super::{Instance, Instances};
use crate::{api::objects::InstanceState, error::Result};

/// Go's zero time, which means never.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing.
    Stopped,
    /// It runs.
    Running,
    /// It was stopped in its tracks, and can go on.
    Frozen,
}

impl Status {
    /// LXD's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
            Self::Frozen => "Frozen",
        }
    }

    /// LXD's number for it.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Stopped => 102,
            Self::Running => 103,
            Self::Frozen => 110,
        }
    }
}

impl Instances {
    /// What an instance is doing.
    pub(crate) fn status(&self, _instance: &Instance) -> Status {
        Status::Stopped
    }

    /// What an instance is doing and uses.
    pub(crate) async fn state(&self, instance: &Instance) -> Result<InstanceState> {
        let status = self.status(instance);
        Ok(InstanceState {
            status: status.name(),
            status_code: status.code(),
            ..InstanceState::default()
        })
    }
}
