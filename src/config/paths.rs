//! Where the daemon keeps its things.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::error::{Context, Error, Result};

/// The places below a state directory.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The state directory itself, absolute.
    pub(crate) directory: PathBuf,
    /// The Unix socket.
    pub(crate) socket: PathBuf,
    /// The database file.
    pub(crate) database: PathBuf,
    /// Storage pools that name no place of their own.
    pub(crate) pools: PathBuf,
}

impl Paths {
    /// The places below `directory`.
    pub(crate) fn below(directory: &Path) -> Result<Self> {
        let directory = std::path::absolute(directory).context("Invalid state directory")?;
        Ok(Self {
            socket: directory.join("unix.socket"),
            database: directory.join("database/lximaged.db"),
            pools: directory.join("storage-pools"),
            directory,
        })
    }
}

/// Where the state is when nobody says otherwise: with the system's for root, below the XDG state
/// directory for others.
pub(crate) fn default_directory() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/lximaged"));
    }
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(state) = absolute("XDG_STATE_HOME") {
        return Ok(state.join("lximaged"));
    }
    let home = absolute("HOME");
    let home =
        home.ok_or_else(|| Error::failed("Neither --dir nor HOME says where to keep things"));
    Ok(home?.join(".local/state/lximaged"))
}
