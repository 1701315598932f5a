//! One thing of a tree, read beneath the handle of its directory, as what the archive holds of it.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{
        FileType, OFlags, Stat, fgetxattr, flistxattr, fstat, lgetxattr, llistxattr, major, minor,
        readlinkat,
    },
    io::Errno,
};

use super::{
    Format,
    header::{Header, pad},
};
use crate::{
    error::{Error, Result},
    image::archive::{Modified, Xattr},
    pool::{attributes, beneath, idmap::IdMap},
};

/// Files up to this length are read as a whole, ahead of their turn.
pub(super) const SMALL_BYTES: u64 = 64 * 1024;

/// Longest list of names of extended attributes, and longest value, that Linux has.
const MAX_XATTR_BYTES: usize = 65_536;

/// Most extended attributes of one thing, and most bytes of them: what an import takes, in a
/// header that has room for names too.
const MAX_XATTRS: usize = 256;
const MAX_XATTRS_BYTES: usize = 1024 * 1024 - 32 * 1024;

/// What an attribute takes in a header besides its name and value, at most.
const RECORD_BYTES: usize = 32;

/// What was found in a directory.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The directory, and the name in there.
    pub(super) parent: Arc<OwnedFd>,
    pub(super) name: Box<[u8]>,
    /// Its name in the archive.
    pub(super) path: Box<[u8]>,
    pub(super) stat: Stat,
    /// The name of the same file that came before.
    pub(super) same_as: Option<Arc<[u8]>>,
}

/// A piece of the archive.
#[derive(Debug)]
pub(super) enum Piece {
    /// As it is.
    Bytes(Vec<u8>),
    /// A file too long to be read ahead.
    File(Found),
    /// Something else, when there was enough to be read ahead.
    Other(Found),
}

/// Whose ids are written, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'r> {
    pub(super) map: IdMap,
    pub(super) format: Format,
    /// How many extended attributes there is no room for.
    pub(super) left_out: &'r AtomicU64,
}

impl Reader<'_> {
    /// Adds an entry to a piece. Gives back a file that is too long for it.
    pub(super) fn read(self, found: Found, into: &mut Vec<u8>) -> Result<Option<Found>> {
        let path = found.path.clone();
        let outcome = match FileType::from_raw_mode(found.stat.st_mode) {
            _ if found.same_as.is_some() => self.hard_link(&found, into),
            FileType::RegularFile if length(&found.stat) > SMALL_BYTES => return Ok(Some(found)),
            FileType::RegularFile => self.small(&found, into),
            FileType::Symlink => self.symlink(&found, into),
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                self.special(&found, into)
            }
            // LXD: sockets are left out; they mean nothing without the one who listened.
            _ => Ok(()),
        };
        outcome
            .or_else(is_gone)
            .map_err(|error| failed(&path, error))?;
        Ok(None)
    }

    /// Opens a file that is too long to be read ahead; none if it is no file any more.
    pub(super) fn open(found: &Found) -> Result<Option<(File, Stat)>> {
        match regular(found) {
            Ok(opened) => Ok(opened),
            Err(error) => is_gone(error)
                .map(|()| None)
                .map_err(|error| failed(&found.path, error)),
        }
    }

    /// The header of a directory.
    pub(super) fn directory(
        self,
        path: &[u8],
        directory: BorrowedFd<'_>,
        into: &mut Vec<u8>,
    ) -> Result<()> {
        let mut write = || {
            let stat = fstat(directory)?;
            let mut header = self.header(path, b'5', &stat)?;
            header.records = records(self.xattrs(directory)?);
            header.write(into);
            Ok(())
        };
        write().map_err(|error| failed(path, error))
    }

    /// What every kind of entry has in its header.
    pub(super) fn header<'h>(
        self,
        path: &'h [u8],
        flag: u8,
        stat: &Stat,
    ) -> io::Result<Header<'h>> {
        let container = |id: u32| {
            self.map.to_container(id).ok_or_else(|| {
                let reason = format!("its owner {id} is outside of the instance's id map");
                io::Error::new(io::ErrorKind::InvalidData, reason)
            })
        };
        Ok(Header {
            name: path,
            flag,
            mode: stat.st_mode & 0o7777,
            uid: container(stat.st_uid)?,
            gid: container(stat.st_gid)?,
            modified: Modified {
                seconds: stat.st_mtime,
                nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            },
            ..Header::default()
        })
    }

    /// The extended attributes of an open file.
    pub(super) fn xattrs(self, file: BorrowedFd<'_>) -> io::Result<Vec<Xattr>> {
        self.collect(
            |names| flistxattr(file, names),
            |name, value| fgetxattr(file, name, value),
        )
    }

    fn small(self, found: &Found, into: &mut Vec<u8>) -> io::Result<()> {
        let Some((mut file, stat)) = regular(found)? else {
            return Ok(());
        };
        // It may have grown since it was found; what it has now is not all read.
        let size_bytes = length(&stat).min(SMALL_BYTES);
        let mut header = self.header(&found.path, b'0', &stat)?;
        header.size_bytes = size_bytes;
        header.records = records(self.xattrs(file.as_fd())?);
        header.write(into);
        let start = into.len();
        io::Read::read_to_end(&mut io::Read::take(&mut file, size_bytes), into)?;
        // It may have become shorter as well.
        into.resize(start + usize::try_from(size_bytes).unwrap_or_default(), 0);
        pad(into, size_bytes);
        Ok(())
    }

    fn hard_link(self, found: &Found, into: &mut Vec<u8>) -> io::Result<()> {
        let mut header = self.header(&found.path, b'1', &found.stat)?;
        header.link = found.same_as.as_deref().unwrap_or_default();
        header.write(into);
        Ok(())
    }

    fn symlink(self, found: &Found, into: &mut Vec<u8>) -> io::Result<()> {
        let name = OsStr::from_bytes(&found.name);
        let target = match readlinkat(&*found.parent, name, Vec::new()) {
            // It is no link any more.
            Err(Errno::INVAL) => return Ok(()),
            target => target?.into_bytes(),
        };
        let mut header = self.header(&found.path, b'2', &found.stat)?;
        header.link = &target;
        header.records = records(self.xattrs_at(found)?);
        header.write(into);
        Ok(())
    }

    fn special(self, found: &Found, into: &mut Vec<u8>) -> io::Result<()> {
        let flag = match FileType::from_raw_mode(found.stat.st_mode) {
            FileType::CharacterDevice => b'3',
            FileType::BlockDevice => b'4',
            _ => b'6',
        };
        let mut header = self.header(&found.path, flag, &found.stat)?;
        if flag != b'6' {
            header.device = (major(found.stat.st_rdev), minor(found.stat.st_rdev));
        }
        header.records = records(self.xattrs_at(found)?);
        header.write(into);
        Ok(())
    }

    /// The extended attributes of what cannot be opened.
    fn xattrs_at(self, found: &Found) -> io::Result<Vec<Xattr>> {
        // The kernel takes attributes of what is not open by path only; this one begins with our
        // own handle, and a link at its end is not followed.
        let mut path = format!("/proc/self/fd/{}/", found.parent.as_raw_fd()).into_bytes();
        path.extend_from_slice(&found.name);
        let path = OsStr::from_bytes(&path);
        self.collect(
            |names| llistxattr(path, names),
            |name, value| lgetxattr(path, name, value),
        )
    }

    fn has_room(self, name: &[u8]) -> bool {
        let has_room =
            self.format == Format::Tar || OF_SQUASHFS.iter().any(|prefix| name.starts_with(prefix));
        if !has_room {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    fn collect(
        self,
        list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
        get: impl Fn(&OsStr, &mut [u8]) -> rustix::io::Result<usize>,
    ) -> io::Result<Vec<Xattr>> {
        let mut short = [0; 256];
        let names = match list(&mut short) {
            Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Ok(count) => short.get(..count).unwrap_or_default().to_vec(),
            Err(Errno::RANGE) => filled(&list)?,
            Err(error) => return Err(error.into()),
        };
        let mut names: Vec<&[u8]> = names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty() && !attributes::is_overlays(name))
            .filter(|name| self.has_room(name))
            .collect();
        names.sort_unstable();
        if names.len() > MAX_XATTRS {
            let reason = format!("it has more than {MAX_XATTRS} extended attributes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let (mut xattrs, mut bytes) = (Vec::new(), 0);
        for name in names {
            match filled(|value| get(OsStr::from_bytes(name), value)) {
                Ok(value) => {
                    bytes += name.len() + value.len() + RECORD_BYTES;
                    if bytes > MAX_XATTRS_BYTES {
                        let reason =
                            format!("it has more than {MAX_XATTRS_BYTES} bytes of attributes");
                        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
                    }
                    xattrs.push(Xattr {
                        name: name.to_vec(),
                        value: attributes::to_container(name, &value, self.map)?,
                    });
                }
                // It went, or is listed but not there.
                Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(xattrs)
    }
}

/// Which extended attributes a squashfs has.
const OF_SQUASHFS: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];

/// How long a file is.
pub(super) fn length(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// The records for extended attributes.
pub(super) fn records(xattrs: Vec<Xattr>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let key = |name: &[u8]| [b"SCHILY.xattr.", name].concat();
    let xattrs = xattrs.into_iter();
    xattrs
        .map(|xattr| (key(&xattr.name), xattr.value))
        .collect()
}

fn filled(fill: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; MAX_XATTR_BYTES];
    let count = fill(&mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Opens a regular file and nothing else.
fn regular(found: &Found) -> io::Result<Option<(File, Stat)>> {
    let name = OsStr::from_bytes(&found.name);
    let opened = beneath::open_file(&*found.parent, name, OFlags::RDONLY | OFlags::NOATIME)?;
    Ok(opened.map(|(file, stat)| (File::from(file), stat)))
}

/// What is gone before it is read is left out, as if it had gone before.
fn is_gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

/// A failure of reading something.
pub(super) fn failed(path: &[u8], error: io::Error) -> Error {
    let path = String::from_utf8_lossy(path);
    Error::from(error).context(format!("Failed to read {path:?}"))
}
