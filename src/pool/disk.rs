//! Small things that are made to last: directories, records, names of trees.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags};

use crate::error::{Context, Result};

/// Makes a directory that only the daemon's user can enter; one that exists stays as it is.
pub(super) fn private_directory(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.context(format_args!("Failed to make {}", path.display()))
}

/// Lets everybody pass through a directory, without seeing what is in it.
pub(super) fn open_for_passage(path: &Path) -> Result<()> {
    let opened = fs::metadata(path).and_then(|found| {
        let mode = found.permissions().mode() & 0o7777;
        match mode | 0o011 {
            wanted if wanted == mode => Ok(()),
            wanted => fs::set_permissions(path, fs::Permissions::from_mode(wanted)),
        }
    });
    opened.context(format_args!("Failed to open {}", path.display()))
}

/// Writes a new file and syncs it; its name lasts once its directory is synced.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the entries of a directory last.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    let synced = fs::File::open(path).and_then(|directory| directory.sync_all());
    synced.context(format_args!("Failed to sync {}", path.display()))
}

/// Makes all last that is in a small directory. What others write meanwhile is not waited for.
pub(super) fn sync_small(path: &Path) -> Result<()> {
    for entry in entries(path)? {
        let found = fs::symlink_metadata(&entry).context("Failed to sync a tree")?;
        if found.is_dir() {
            sync_small(&entry)?;
        } else if found.is_file() {
            let synced = fs::File::open(&entry).and_then(|file| file.sync_all());
            synced.context(format_args!("Failed to sync {}", entry.display()))?;
        }
    }
    sync_directory(path)
}

/// Makes all last that was written to the file system of this directory.
pub(super) fn sync_file_system(path: &Path) -> Result<()> {
    let synced = fs::File::open(path)
        .and_then(|directory| rustix::fs::syncfs(directory).map_err(io::Error::from));
    synced.context(format_args!("Failed to sync {}", path.display()))
}

/// Moves a directory to a name that nothing has, and makes that last.
pub(super) fn move_to(from: &Path, to: &Path) -> Result<()> {
    let moved = rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE);
    let moved = moved.map_err(io::Error::from);
    moved.context(format_args!("Failed to move to {}", to.display()))?;
    sync_parent(from)?;
    sync_parent(to)
}

/// Lets two directories change places, and makes that last.
pub(super) fn exchange(one: &Path, other: &Path) -> Result<()> {
    let changed = rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    let changed = changed.map_err(io::Error::from);
    changed.context(format_args!("Failed to replace {}", one.display()))?;
    sync_parent(one)?;
    sync_parent(other)
}

/// Whether there is anything at a path; a link counts as itself.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn sync_parent(path: &Path) -> Result<()> {
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// What is in a directory, sorted; nothing when there is none.
pub(super) fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(format_args!("Failed to read {}", path.display()))?,
    };
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.context(format_args!("Failed to read {}", path.display()))?;
    paths.sort();
    Ok(paths)
}
