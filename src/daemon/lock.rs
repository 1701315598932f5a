//! One daemon for one state directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::error::{Context, Error, Result};

/// Holds the directory for as long as it lives.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Takes the directory, or tells who has it.
    ///
    /// # Errors
    ///
    /// When another daemon has it, or its lock file cannot be used.
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
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(taken(directory, &path)),
            Err(error) => {
                let failed = format!("Failed to lock {}", path.display());
                return Err(io::Error::from(error)).context(failed);
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

/// Who has the directory. It has not said so yet when it has only just begun.
fn taken(directory: &Path, path: &Path) -> Error {
    let holder = fs::read_to_string(path).unwrap_or_default();
    let process = match holder.trim() {
        "" => String::new(),
        id => format!(" (process {id})"),
    };
    Error::failed(format!(
        "Another lximaged{process} is already running on {}",
        directory.display()
    ))
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
        assert!(error.message().ends_with(&dir.path().display().to_string()));
        drop(first);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_lock_file_that_cannot_be_used_is_not_blamed_on_another_daemon() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("lximaged.lock")).unwrap();
        let error = Lock::take(dir.path()).unwrap_err();
        assert!(error.message().starts_with("Failed to open"), "{error}");
    }
}
