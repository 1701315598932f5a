//! What may stand at the top of an image under a name that means something.

use std::collections::BTreeSet;

use super::header::Kind;
use crate::error::{Error, Result};

/// Refuses what is no file or no directory where one belongs: a link or device there would be
/// opened by whoever uses the image.
pub(super) fn check_kind(top: &str, kind: Kind) -> Result<()> {
    let fits = match top {
        "rootfs" | "templates" | "." => kind == Kind::Directory,
        "rootfs.img" => matches!(kind, Kind::Regular | Kind::Sparse),
        "backup.yaml" => kind == Kind::Regular,
        _ => true,
    };
    let is_link = matches!(kind, Kind::SymbolicLink | Kind::HardLink);
    if !fits && (top == "rootfs.img" || top == "rootfs" && !is_link) {
        // LXD's words for what has no root at all; a link it would have followed.
        return Err(Error::failed("Invalid instance type"));
    }
    let what = match kind {
        _ if fits => return Ok(()),
        Kind::SymbolicLink | Kind::HardLink => "link",
        Kind::Special(_) => "device",
        Kind::Directory => "directory",
        Kind::Regular | Kind::Sparse => "file",
    };
    Err(Error::failed(format!(
        "Image has a {what} in place of {top:?}"
    )))
}

/// Whether a name may come once only. Directories may come again, the same files may not: readers
/// differ in which of them counts.
pub(super) fn is_single(top: &str) -> bool {
    !matches!(top, "rootfs" | "templates")
}

/// Refuses names that lead somewhere else than they say, and an image that is itself no directory.
pub(super) fn check_name(name: &[u8], kind: Kind) -> Result<()> {
    let mut parts = name
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .peekable();
    if parts.peek().is_none() {
        return check_kind(".", kind);
    }
    if parts.any(|part| part == b"..") {
        return Err(Error::failed("Image has an entry with \"..\" in its name"));
    }
    Ok(())
}

/// Most links outside the root that are kept in mind.
const MAX_LINKS: usize = 10_000;

/// The links of an image outside its root, so that nothing is put behind one of them: there it
/// would be somewhere else than its name says.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeSet<Vec<u8>>);

impl Links {
    /// Refuses an entry behind a link that came before it.
    pub(super) fn check(&mut self, name: &[u8], kind: Kind) -> Result<()> {
        let mut path = Vec::new();
        for part in name
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty() && *part != b".")
        {
            if path == b"rootfs" {
                return Ok(());
            }
            if self.0.contains(&path) {
                return Err(Error::failed("Image has an entry behind a link"));
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        if kind == Kind::SymbolicLink {
            self.0.insert(path);
        }
        if self.0.len() > MAX_LINKS {
            return Err(Error::failed("Image has too many links outside its root"));
        }
        Ok(())
    }
}
