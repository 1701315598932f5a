//! A root file system coming into being.
//!
//! It is made from nothing in a directory that nobody else has in hand, each thing beneath the
//! handle of its parent and none in the place of another. So nothing is ever behind a link.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, linkat, makedev, mkdirat, mknodat, openat, symlinkat},
    io::Errno,
};

use super::{wording, writers::Writers};
use crate::{
    error::{Error, Result},
    image::archive::{Attributes, Special},
    pool::{
        attributes::{Shifted, drop_strange_acls},
        beneath,
        idmap::IdMap,
    },
};

/// How many directories are kept open.
const OPEN_DIRECTORIES: usize = 128;

/// Most memory for directories whose attributes are still to come.
const MAX_PENDING_BYTES: usize = 256 * 1024 * 1024;

/// What a directory gets that the archive has no entry for.
const IMPLIED_MODE: u32 = 0o755;

/// A directory's handle and the name in there.
type Spot<'p> = (Arc<OwnedFd>, &'p [u8]);

/// The tree.
pub(super) struct Tree {
    top: Arc<OwnedFd>,
    map: IdMap,
    umask: u32,
    writers: Writers,
    open: HashMap<Vec<u8>, Arc<OwnedFd>>,
    last: (Vec<u8>, Arc<OwnedFd>),
    /// Attributes of the root directory.
    own: Attributes,
    /// Attributes of the directories below: set when nothing is put into them any more, because that
    /// changes their times, and because new files would get their default ACLs.
    pending: Vec<(Box<[u8]>, Attributes)>,
    pending_bytes: usize,
    /// Whether a directory came twice, so that the order counts.
    has_again: bool,
    /// How many things had ACLs that were left out.
    without_acls: u64,
}

impl Tree {
    /// The tree in this directory, which is empty.
    pub(super) fn new(top: OwnedFd, map: IdMap, writers: Writers) -> Self {
        let top = Arc::new(top);
        Self {
            last: (Vec::new(), Arc::clone(&top)),
            top,
            map,
            umask: umask(),
            writers,
            open: HashMap::new(),
            own: implied(),
            pending: Vec::new(),
            pending_bytes: 0,
            has_again: false,
            without_acls: 0,
        }
    }

    /// Attributes without ACLs that nobody could be given. An image is not refused for them.
    pub(super) fn usable(&mut self, path: &[u8], mut attributes: Attributes) -> Attributes {
        if drop_strange_acls(&mut attributes, self.map) {
            self.without_acls += 1;
            if self.without_acls == 1 {
                let path = wording::lossy(path);
                tracing::info!(
                    path,
                    "an ACL is left out: it names somebody who is not known"
                );
            }
        }
        attributes
    }

    /// A directory; one that is there already gets other attributes.
    pub(super) fn directory(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        if !path.is_empty() {
            let (parent, name) = self.spot(path)?;
            match mkdirat(&parent, OsStr::from_bytes(name), Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => {
                    Self::check_directory(&parent, name, path)?;
                    self.has_again = true;
                }
                Err(error) => return Err(wording::entry(path, error)),
            }
        }
        self.remember(path, attributes)
    }

    /// A symbolic link, wherever it leads.
    pub(super) fn symlink(
        &mut self,
        path: &[u8],
        target: Vec<u8>,
        attributes: Attributes,
    ) -> Result<()> {
        let (parent, name) = self.spot(path)?;
        let (name, path, map) = (name.to_vec(), path.to_vec(), self.map);
        self.writers.push(
            target.len() + path.len() + attributes.bytes(),
            Box::new(move || {
                let make = || {
                    symlinkat(
                        OsStr::from_bytes(&target),
                        &*parent,
                        OsStr::from_bytes(&name),
                    )?;
                    Shifted::new(&attributes, map)?.apply_at(parent.as_fd(), &name, true)
                };
                make().map_err(|error| wording::entry(&path, error))
            }),
        )
    }

    /// A device or a pipe. Sockets are left out.
    pub(super) fn special(
        &mut self,
        path: &[u8],
        special: Special,
        attributes: &Attributes,
    ) -> Result<()> {
        let kind = match special {
            Special::CharacterDevice => FileType::CharacterDevice,
            Special::BlockDevice => FileType::BlockDevice,
            Special::Fifo => FileType::Fifo,
            Special::Socket => return Ok(()),
        };
        let (parent, name) = self.spot(path)?;
        let make = || {
            let device = makedev(attributes.device.0, attributes.device.1);
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(&*parent, OsStr::from_bytes(name), kind, mode, device)?;
            Shifted::new(attributes, self.map)?.apply_at(parent.as_fd(), name, false)
        };
        make().map_err(|error| wording::entry(path, error))
    }

    /// Another name of something that is there.
    pub(super) fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        self.writers.wait()?;
        let (from, from_name) = self.spot(target)?;
        let (to, to_name) = self.spot(path)?;
        let (from_name, to_name) = (OsStr::from_bytes(from_name), OsStr::from_bytes(to_name));
        // Without the flag to follow one, a link's target is never looked at.
        let outcome = linkat(&*from, from_name, &*to, to_name, AtFlags::empty());
        outcome.map_err(|error| match error {
            Errno::NOENT => {
                let (path, target) = (wording::lossy(path), wording::lossy(target));
                let reason = format!("Image has a link {path:?} to {target:?}, which is not there");
                Error::failed(reason)
            }
            _ => wording::entry(path, error),
        })
    }

    /// A whole file, made by another thread, that holds so many bytes of memory until then.
    pub(super) fn small(
        &mut self,
        path: &[u8],
        attributes: Attributes,
        bytes: usize,
        fill: impl FnOnce(&File) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let (parent, name) = self.spot(path)?;
        let (name, path) = (name.to_vec(), path.to_vec());
        let (map, umask) = (self.map, self.umask);
        self.writers.push(
            bytes + path.len() + attributes.bytes(),
            Box::new(move || {
                let make = || {
                    let shifted = Shifted::new(&attributes, map)?;
                    let mode = shifted.first_mode(umask);
                    let file = File::from(create(&parent, &name, mode)?);
                    fill(&file)?;
                    shifted.apply(&file, mode.is_some())
                };
                make().map_err(|error| wording::entry(&path, error))
            }),
        )
    }

    /// What follows is better done by another thread than what came before.
    pub(super) fn cut(&mut self) -> Result<()> {
        self.writers.flush()
    }

    /// A long file, filled by several threads in pieces of at most so many bytes.
    pub(super) fn shared(&mut self, path: &[u8], attributes: Attributes) -> Result<Shared> {
        Ok(Shared(Arc::new(Output {
            file: self.begin(path)?,
            path: path.to_vec(),
            attributes,
            map: self.map,
            pieces: AtomicUsize::new(1),
        })))
    }

    /// Has another thread fill a piece of a long file.
    pub(super) fn piece(
        &mut self,
        output: &Shared,
        bytes: usize,
        fill: impl FnOnce(&File) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let output = Arc::clone(&output.0);
        output.pieces.fetch_add(1, Ordering::Relaxed);
        self.writers.push(
            bytes + output.attributes.bytes(),
            Box::new(move || {
                let filled = fill(&output.file).and_then(|()| output.done());
                filled.map_err(|error| wording::entry(&output.path, error))
            }),
        )
    }

    /// A file that the caller fills and then finishes.
    pub(super) fn begin(&mut self, path: &[u8]) -> Result<File> {
        let (parent, name) = self.spot(path)?;
        let file = create(&parent, name, None).map_err(|error| wording::entry(path, error))?;
        Ok(File::from(file))
    }

    /// Gives a file that is filled its attributes.
    pub(super) fn finish(&self, path: &[u8], file: &File, attributes: &Attributes) -> Result<()> {
        let outcome = Shifted::new(attributes, self.map);
        let outcome = outcome.and_then(|shifted| shifted.apply(file, false));
        outcome.map_err(|error| wording::entry(path, error))
    }

    /// Waits for everything, and gives the directories their attributes.
    pub(super) fn close(mut self) -> Result<()> {
        self.writers.wait()?;
        if self.without_acls > 1 {
            tracing::info!(count = self.without_acls, "ACLs were left out");
        }
        self.open.clear();
        settle(&self.top, b"", &self.own, self.map)?;
        for (path, attributes) in std::mem::take(&mut self.pending) {
            let (top, map) = (Arc::clone(&self.top), self.map);
            let bytes = path.len() + attributes.bytes();
            let job = move || settle(&top, &path, &attributes, map);
            if self.has_again {
                job()?;
            } else {
                self.writers.push(bytes, Box::new(job))?;
            }
        }
        self.writers.wait()
    }

    /// The directory that something is in, and its name there. Directories that have no entry of
    /// their own come into being with the first thing in them.
    fn spot<'p>(&mut self, path: &'p [u8]) -> Result<Spot<'p>> {
        let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
            return Ok((Arc::clone(&self.top), path));
        };
        let (parent, name) = path.split_at_checked(slash).unwrap_or_default();
        let name = name.get(1..).unwrap_or_default();
        if self.last.0 != parent {
            let handle = match self.open.get(parent) {
                Some(handle) => Arc::clone(handle),
                None => self.open_parent(parent)?,
            };
            self.last = (parent.to_vec(), handle);
        }
        Ok((Arc::clone(&self.last.1), name))
    }

    fn open_parent(&mut self, parent: &[u8]) -> Result<Arc<OwnedFd>> {
        let handle = match open_directory(&self.top, parent) {
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {
                // A link of that name may be about to be made.
                self.writers.wait()?;
                self.imply(parent)?
            }
            outcome => outcome.map_err(|error| wording::entry(parent, error))?,
        };
        if self.open.len() >= OPEN_DIRECTORIES {
            self.open.clear();
        }
        let handle = Arc::new(handle);
        self.open.insert(parent.to_vec(), Arc::clone(&handle));
        Ok(handle)
    }

    /// Makes a directory that is not there, and those that it is in.
    fn imply(&mut self, path: &[u8]) -> Result<OwnedFd> {
        let mut handle = self.top.try_clone()?;
        let mut end = 0;
        for part in path.split(|byte| *byte == b'/') {
            end += part.len();
            let path = path.get(..end).unwrap_or(path);
            end += 1;
            match mkdirat(&handle, OsStr::from_bytes(part), Mode::RWXU) {
                Ok(()) => self.remember(path, implied())?,
                // What is no directory shows below.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(wording::entry(path, error)),
            }
            handle = open_directory(&handle, part).map_err(|error| wording::entry(path, error))?;
        }
        Ok(handle)
    }

    fn check_directory(parent: &OwnedFd, name: &[u8], path: &[u8]) -> Result<()> {
        match open_directory(parent, name) {
            Ok(_) => Ok(()),
            Err(_) => Err(wording::entry(path, Errno::EXIST)),
        }
    }

    fn remember(&mut self, path: &[u8], attributes: Attributes) -> Result<()> {
        if path.is_empty() {
            self.own = attributes;
            return Ok(());
        }
        self.pending_bytes += path.len() + attributes.bytes();
        if self.pending_bytes > MAX_PENDING_BYTES {
            return Err(Error::failed("Image has too many directories"));
        }
        self.pending.push((path.into(), attributes));
        Ok(())
    }
}

/// A long file that several threads fill. Whoever is the last gives it its attributes.
pub(super) struct Shared(Arc<Output>);

impl Shared {
    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    /// No more pieces come.
    pub(super) fn close(self) -> Result<()> {
        let done = self.0.done();
        done.map_err(|error| wording::entry(&self.0.path, error))
    }
}

struct Output {
    file: File,
    path: Vec<u8>,
    attributes: Attributes,
    map: IdMap,
    pieces: AtomicUsize,
}

impl Output {
    fn done(&self) -> io::Result<()> {
        if self.pieces.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        Shifted::new(&self.attributes, self.map)?.apply(&self.file, false)
    }
}

fn implied() -> Attributes {
    Attributes {
        mode: IMPLIED_MODE,
        ..Attributes::default()
    }
}

fn open_directory(parent: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    beneath::open(parent, OsStr::from_bytes(path), flags, Mode::empty())
}

fn create(parent: &OwnedFd, name: &[u8], mode: Option<Mode>) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = mode.unwrap_or(Mode::RUSR | Mode::WUSR);
    Ok(openat(parent, OsStr::from_bytes(name), flags, mode)?)
}

fn settle(top: &OwnedFd, path: &[u8], attributes: &Attributes, map: IdMap) -> Result<()> {
    let settle = || {
        let path: &[u8] = if path.is_empty() { b"." } else { path };
        let directory = beneath::open_directory(top, OsStr::from_bytes(path))?;
        Shifted::new(attributes, map)?.apply(&directory, false)
    };
    settle().map_err(|error| wording::entry(path, error))
}

/// What the process takes away from the modes of new files. It can only be asked for by setting
/// it, which other threads would notice; so the kernel's account of the process is read.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o777)
}
