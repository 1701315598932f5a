//! Start-up: makes the files on disk agree with the rows.
//!
//! Removed is only what is known to be uncommitted: staging, files whose commit marker still
//! stands in staging, and files that the database marks as removed. Any other file without a row
//! (a lost or restored database) goes to `quarantine/` and is never deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rustix::fs::{CWD, RenameFlags};

use super::{
    Store,
    commit::{MARKER, unlink},
    private_directory, sync_directory,
};
use crate::{
    error::{Context, Error, Result},
    image::{Fingerprint, Layout},
};

/// What a sweep did and found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// How many unfinished uploads it removed.
    pub(crate) unfinished: usize,
    /// Files it moved to the quarantine, by name.
    pub(crate) quarantined: Vec<String>,
    /// Images whose files are missing or have another size than recorded.
    pub(crate) damaged: Vec<String>,
}

impl Store {
    /// Sweeps, given what the database records: the `known` files, and those it has marked as
    /// `removed`. Runs before anything else uses the store.
    pub(crate) fn sweep(
        &self,
        known: &BTreeMap<Fingerprint, Layout>,
        removed: &[Fingerprint],
    ) -> Result<Swept> {
        let mut swept = Swept::default();
        for fingerprint in removed.iter().filter(|f| !known.contains_key(f)) {
            self.unlink_both(fingerprint)?;
        }
        for entry in names(&self.staging)? {
            self.sweep_staging(&entry, known)?;
            swept.unfinished += 1;
        }
        let expected = expected_names(known);
        for name in names(&self.images)?
            .into_iter()
            .filter(|name| !expected.contains(name))
        {
            self.set_aside(&self.images.join(&name))?;
            swept.quarantined.push(name);
        }
        sync_directory(&self.images)?;
        swept.damaged = self.damaged(known);
        Ok(swept)
    }

    /// Removes one staging directory, and the files its marker says it was about to commit.
    fn sweep_staging(&self, name: &str, known: &BTreeMap<Fingerprint, Layout>) -> Result<()> {
        let path = self.staging.join(name);
        if !path.is_dir() {
            return unlink(&path);
        }
        for entry in names(&path)? {
            let marked = entry
                .strip_prefix(MARKER)
                .and_then(|text| text.parse().ok());
            let Some(fingerprint) = marked else { continue };
            if !known.contains_key(&fingerprint) {
                self.unlink_both(&fingerprint)?;
            }
        }
        sync_directory(&self.images)?;
        fs::remove_dir_all(&path).context("Failed to sweep staged files")
    }

    fn unlink_both(&self, fingerprint: &Fingerprint) -> Result<()> {
        unlink(&self.rootfs_path(fingerprint))?;
        unlink(&self.image_path(fingerprint))
    }

    /// Moves a file that no row explains out of the store, if there is one.
    pub(super) fn set_aside(&self, path: &Path) -> Result<()> {
        if fs::symlink_metadata(path).is_err() {
            return Ok(());
        }
        private_directory(&self.quarantine)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let places = std::iter::once(name.clone().into_owned())
            .chain((1..1000).map(|number| format!("{name}.{number}")));
        for place in places {
            let to = self.quarantine.join(place);
            match rustix::fs::renameat_with(CWD, path, CWD, to, RenameFlags::NOREPLACE) {
                Err(rustix::io::Errno::EXIST) => {}
                moved => {
                    return moved
                        .map_err(std::io::Error::from)
                        .context("Failed to set a file aside");
                }
            }
        }
        Err(Error::failed(format!(
            "The quarantine is full of files named {name}"
        )))
    }

    fn damaged(&self, known: &BTreeMap<Fingerprint, Layout>) -> Vec<String> {
        known
            .iter()
            .filter(|(fingerprint, layout)| !self.is_whole(fingerprint, **layout))
            .map(|(fingerprint, _)| fingerprint.to_string())
            .collect()
    }

    /// Whether the files of a fingerprint are there, with the sizes that are recorded.
    pub(crate) fn is_whole(&self, fingerprint: &Fingerprint, layout: Layout) -> bool {
        let has = |path: &Path, size: i64| {
            fs::symlink_metadata(path)
                .is_ok_and(|data| data.is_file() && i64::try_from(data.len()) == Ok(size))
        };
        has(&self.image_path(fingerprint), layout.image_size_bytes())
            && layout
                .rootfs_size_bytes()
                .is_none_or(|size| has(&self.rootfs_path(fingerprint), size))
    }
}

fn expected_names(known: &BTreeMap<Fingerprint, Layout>) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for (fingerprint, layout) in known {
        expected.insert(fingerprint.to_string());
        if let Layout::Split { .. } = layout {
            expected.insert(format!("{fingerprint}.rootfs"));
        }
    }
    expected
}

/// The names in a directory, sorted. A name that is not text stays as its readable form and is
/// set aside like any other stranger.
fn names(path: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(path).context(format_args!("Failed to read {}", path.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context(format_args!("Failed to read {}", path.display()))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
