//! Overlay mounts: an instance's own files above a tree that it shares.
//!
//! A mount is a file descriptor first, and is nowhere in the file system: whoever holds it uses
//! it, and the kernel unmounts with the last one, also when the daemon is killed. Only for a
//! container that runs it is attached at a path.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags,
        fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_bind, mount_remount,
        move_mount, unmount,
    },
};

use crate::error::{Context, Result};

/// What lies on what.
#[derive(Debug)]
pub(super) struct Layers {
    /// What is only read, the topmost first.
    pub(super) lower: Vec<PathBuf>,
    /// Where changes go, and a directory beside it for the kernel's own use. Without it the whole
    /// is only read.
    pub(super) upper: Option<(PathBuf, PathBuf)>,
}

impl Layers {
    /// Mounts them, nowhere yet.
    pub(super) fn mount(&self) -> io::Result<OwnedFd> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        self.configure(&context)
            .map_err(|errno| explained(&context, errno))?;
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        Ok(fsmount(context, flags, MountAttrFlags::empty())?)
    }

    fn configure(&self, context: &OwnedFd) -> rustix::io::Result<()> {
        let set = |key, value: &Path| fsconfig_set_string(context, key, value);
        set("source", Path::new("lximaged"))?;
        let lower: Vec<_> = self.lower.iter().map(|path| escaped(path)).collect();
        let lower = lower.iter().map(|path| path.as_os_str().as_bytes());
        let lower = lower.collect::<Vec<_>>().join(&b':');
        set(
            "lowerdir",
            &PathBuf::from(std::ffi::OsString::from_vec(lower)),
        )?;
        if let Some((upper, work)) = &self.upper {
            set("upperdir", &escaped(upper))?;
            set("workdir", &escaped(work))?;
        }
        // Directories can be renamed as anywhere else. The mark for it is one that nobody inside
        // a container can set, and that no image brings.
        set("redirect_dir", Path::new("on"))?;
        // An upper directory is copied on its own: no names of inodes in it, and no files
        // without their content.
        set("index", Path::new("off"))?;
        set("metacopy", Path::new("off"))?;
        fsconfig_create(context)
    }
}

/// What the kernel has to say beside the number, for the log.
fn explained(context: &OwnedFd, errno: Errno) -> io::Error {
    let mut said = [0; 512];
    while let Ok(length) = rustix::io::read(context, &mut said) {
        let line = said.get(..length).unwrap_or_default();
        tracing::warn!(%errno, "overlay: {}", String::from_utf8_lossy(line).trim_end());
    }
    errno.into()
}

/// The kernel parts directories by colons.
fn escaped(path: &Path) -> PathBuf {
    let mut bytes = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(*byte);
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Attaches a mount at a directory, for everybody who sees it.
pub(super) fn attach(mount: &OwnedFd, at: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(mount.as_fd(), "", CWD, at, flags)?)
}

/// Mounts a directory on itself, so that it can have options of its own.
pub(super) fn attach_itself(at: &Path) -> io::Result<()> {
    Ok(mount_bind(at, at)?)
}

/// Lets no device be opened through what is mounted at a directory, whoever made its node. The
/// mount's other options stay.
pub(super) fn forbid_devices(at: &Path) -> io::Result<()> {
    let has = rustix::fs::statvfs(at)?.f_flag;
    let kept = [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ];
    let kept = kept.into_iter().filter(|(flag, _)| has.contains(*flag));
    let kept: MountFlags = kept.map(|(_, flag)| flag).collect();
    let flags = MountFlags::BIND | MountFlags::NODEV | kept;
    Ok(mount_remount(at, flags, "")?)
}

/// Detaches what is mounted at a directory. Who still uses it can do so.
pub(super) fn detach(at: &Path) -> io::Result<()> {
    let flags = UnmountFlags::NOFOLLOW;
    match unmount(at, flags) {
        Err(Errno::BUSY) => Ok(unmount(at, flags | UnmountFlags::DETACH)?),
        other => Ok(other?),
    }
}

/// Whether something is mounted at this directory.
pub(super) fn is_attached(at: &Path) -> io::Result<bool> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found = rustix::fs::statx(CWD, at, flags, StatxFlags::TYPE)?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Opens a directory that is in a place of our own.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// What says nothing about a file system but that it, or the host, is full or failing.
const PASSING: &[Errno] = &[
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::NOMEM,
    Errno::MFILE,
    Errno::NFILE,
    Errno::IO,
    Errno::ROFS,
    Errno::INTR,
    Errno::AGAIN,
    Errno::BUSY,
];

/// Whether the file system of an empty directory can carry overlays, tried out.
///
/// # Errors
///
/// What says nothing about that.
pub(super) fn works(directory: &Path) -> Result<bool> {
    let Err(error) = try_out(directory) else {
        return Ok(true);
    };
    if Errno::from_io_error(&error).is_some_and(|errno| PASSING.contains(&errno)) {
        return Err(error).context("Failed to try out overlays");
    }
    let path = directory.display();
    tracing::info!(%error, %path, "no overlays here: every instance gets a whole tree");
    Ok(false)
}

/// Removes a file of the lower directory, which takes all that an upper one has to be able to.
fn try_out(directory: &Path) -> io::Result<()> {
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| directory.join(name));
    for path in [&lower, &upper, &work] {
        std::fs::create_dir(path)?;
    }
    std::fs::create_dir(lower.join("directory"))?;
    std::fs::write(lower.join("file"), "")?;
    let layers = Layers {
        lower: vec![lower],
        upper: Some((upper, work)),
    };
    let merged = layers.mount()?;
    rustix::fs::unlinkat(&merged, "file", AtFlags::empty())?;
    Ok(rustix::fs::renameat(
        &merged,
        "directory",
        &merged,
        "renamed",
    )?)
}
