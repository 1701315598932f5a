//! The templates of an instance: a few small files, the same from wherever they are packed.

use std::{
    ffi::OsStr,
    io::Read,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, fstat},
    io::Errno,
};

use super::{entry::failed, header::Header, stream::Stream};
use crate::{
    error::{Error, Result},
    image::archive::Modified,
    pool::beneath,
};

/// What an image may have of them.
const MAX_BYTES: u64 = 1024 * 1024;
const MAX_FILES: usize = 256;
const MAX_DEPTH: usize = 16;

/// Writes the directory and everything in it.
pub(super) fn write(
    stream: &mut Stream<'_, '_>,
    directory: BorrowedFd<'_>,
    modified: Modified,
) -> Result<()> {
    let directory = beneath::open_directory(directory, ".")?;
    let mut left = MAX_FILES;
    level(stream, &directory, b"templates", (modified, &mut left, 0))
}

fn level(
    stream: &mut Stream<'_, '_>,
    directory: &OwnedFd,
    path: &[u8],
    (modified, left, depth): (Modified, &mut usize, usize),
) -> Result<()> {
    let header = Header {
        name: path,
        flag: b'5',
        mode: 0o755,
        modified,
        ..Header::default()
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    stream.write(&bytes)?;
    for name in names(directory, path)? {
        *left = left.checked_sub(1).ok_or_else(too_many)?;
        let path = [path, b"/", &name].concat();
        match entry(directory, &name, &path)? {
            Entry::File(data) => super::file(stream, &path, &data, modified)?,
            Entry::Directory(_) if depth >= MAX_DEPTH => return Err(too_many()),
            Entry::Directory(directory) => {
                level(stream, &directory, &path, (modified, &mut *left, depth + 1))?;
            }
        }
    }
    Ok(())
}

enum Entry {
    File(Vec<u8>),
    Directory(OwnedFd),
}

/// What is there, if it is a file or a directory. A pipe would be waited for without end, and is
/// not opened to wait.
fn entry(directory: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Entry> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let refused = || {
        let name = String::from_utf8_lossy(path);
        Error::failed(format!("There is no file in place of {name:?}"))
    };
    let handle = match beneath::open(directory, OsStr::from_bytes(name), flags, Mode::empty()) {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(refused());
        }
        outcome => outcome.map_err(|error| failed(path, error))?,
    };
    let stat = fstat(&handle).map_err(|error| failed(path, error.into()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok(Entry::Directory(handle)),
        FileType::RegularFile => {
            let mut data = Vec::new();
            let mut file = std::fs::File::from(handle).take(MAX_BYTES + 1);
            let outcome = file.read_to_end(&mut data);
            outcome.map_err(|error| failed(path, error))?;
            if data.len() as u64 > MAX_BYTES {
                let name = String::from_utf8_lossy(path);
                return Err(Error::failed(format!(
                    "{name:?} is larger than {MAX_BYTES} bytes"
                )));
            }
            Ok(Entry::File(data))
        }
        _ => Err(refused()),
    }
}

fn names(directory: &OwnedFd, path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let wrong = |error: Errno| failed(path, error.into());
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name().to_bytes().to_vec();
        if !matches!(name.as_slice(), b"." | b"..") {
            names.push(name);
        }
        if names.len() > MAX_FILES {
            return Err(too_many());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn too_many() -> Error {
    Error::failed(format!("Instance has more than {MAX_FILES} templates"))
}
