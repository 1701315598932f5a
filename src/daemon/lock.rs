//! One daemon for one state directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Context, Error, Result};

/// Holds the directory for as long as it lives.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Takes the directory, or tells who has it.
    pub(super) fn take(directory: &Path) -> Result<Self> {
        let path = directory.join("lximaged.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .context(format_args!("Failed to open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let holder = fs::read_to_string(&path)?;
            return Err(Error::failed(format!(
                "Another lximaged (process {}) is already running on {}",
                holder.trim(),
                directory.display()
            )));
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn a_directory_is_taken_once_and_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let error = Lock::take(dir.path()).unwrap_err();
        let text = format!(
            "Another lximaged (process {}) is already running on",
            std::process::id()
        );
        assert!(error.message().starts_with(&text), "{error}");
        drop(first);
        Lock::take(dir.path()).unwrap();
    }
}
