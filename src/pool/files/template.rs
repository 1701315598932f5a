//! Where templates are written to.

use std::{fs::File, io::Write as _};

use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    root::{Root, Walk},
    write::Owner,
};
use crate::error::{Context, Error, Result};

/// LXD's words for a name that leads out of the container.
const OUTSIDE: &str = "Template is attempting access to path outside of container";

/// The longest name that the kernel takes.
const MAX_PATH_BYTES: usize = 4096;

impl Root {
    /// Writes what a template renders to. A file that exists keeps owner and mode, and is left
    /// alone with `create_only`; a new one, and the directories it needs, are the root's. It is
    /// rendered only when it is to be written, and before anything is changed.
    ///
    /// # Errors
    ///
    /// LXD's texts for names that lead out of the container and for what is no file.
    pub(crate) fn write_template<T: AsRef<[u8]>>(
        &self,
        path: &str,
        create_only: bool,
        render: impl FnOnce() -> Result<T>,
    ) -> Result<()> {
        let inside = path.trim_start_matches('/');
        let too_long = inside.len() >= MAX_PATH_BYTES;
        if inside.is_empty() || too_long || inside.contains('\0') {
            return Err(Error::failed(OUTSIDE));
        }
        let found = match self.find(Walk::Beneath, inside) {
            Err(Errno::NOENT) => return self.write_new_template(inside, render),
            found => found.map_err(|errno| refused(path, errno))?,
        };
        if found.kind() != FileType::RegularFile {
            let errno = match found.kind() {
                FileType::Directory => Errno::ISDIR,
                _ => Errno::INVAL,
            };
            return Err(refused(path, errno));
        }
        if create_only {
            return Ok(());
        }
        let text = render()?;
        let file = found
            .regular(OFlags::WRONLY)
            .map_err(|errno| refused(path, errno))?;
        replace(file.into(), text.as_ref())
    }

    fn write_new_template<T: AsRef<[u8]>>(
        &self,
        inside: &str,
        render: impl FnOnce() -> Result<T>,
    ) -> Result<()> {
        let text = render()?;
        if let Some((parent, _)) = inside.rsplit_once('/') {
            self.make_directories(parent)
                .map_err(|errno| refused(inside, errno))?;
        }
        let file = self
            .create(Walk::Beneath, inside, self.ids(Owner::default())?, 0o644)
            .map_err(|errno| refused(inside, errno))?;
        replace(file.into(), text.as_ref())
    }

    /// Makes the directories that are missing, the container's root's.
    fn make_directories(&self, path: &str) -> rustix::io::Result<()> {
        let ends = path.match_indices('/').map(|(end, _)| end);
        for end in ends.chain([path.len()]) {
            let prefix = path.get(..end).unwrap_or_default();
            match self.find(Walk::Beneath, prefix) {
                Err(Errno::NOENT) => self.make_one(prefix)?,
                Ok(found) if found.kind() == FileType::Directory => {}
                Ok(_) => return Err(Errno::NOTDIR),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn make_one(&self, path: &str) -> rustix::io::Result<()> {
        let Some((parent, name)) = self.parent(Walk::Beneath, path)? else {
            return Ok(());
        };
        rustix::fs::mkdirat(&parent, name, Mode::RWXU)?;
        let ids = self
            .ids(Owner::default())
            .map_err(|_none| Errno::OVERFLOW)?;
        Self::own_directory(&parent, name, ids, 0o755)
    }
}

/// Writes in place, so that a file stays what it is to everybody who knows it: its owner, its
/// attributes, its other names. What is cut short by a full disk is written again at the next
/// start, which is when its trigger is done.
fn replace(mut file: File, text: &[u8]) -> Result<()> {
    let written = file
        .write_all(text)
        .and_then(|()| file.set_len(text.len() as u64));
    written.context("Failed to write template file")
}

fn refused(path: &str, errno: Errno) -> Error {
    match errno {
        Errno::XDEV => Error::failed(OUTSIDE),
        errno => {
            let text = std::io::Error::from(errno).to_string();
            let reason = text.split(" (os error").next().unwrap_or_default();
            let reason = reason.to_lowercase();
            Error::failed(format!(
                "Failed to create template file: open {path}: {reason}"
            ))
        }
    }
}
