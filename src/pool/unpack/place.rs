//! Where an entry goes, by its name.

use crate::{
    error::{Error, Result},
    image::archive::{Kind, Seen, find_top},
};

/// Where an entry goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it means nothing, or not to us.
    Nowhere,
    /// `metadata.yaml`.
    Metadata,
    /// `templates/`, and what in there.
    Template(Vec<u8>),
    /// The root file system, and what in there; it itself is empty.
    Root(Vec<u8>),
    /// The disk of a virtual machine.
    Disk,
}

/// What an archive is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything.
    Whole,
    /// Metadata and templates; the root file system is in another file.
    Metadata,
    /// The root file system alone.
    Root,
}

/// The name of an entry, without what means nothing in it.
#[derive(Debug)]
pub(super) struct Name {
    /// Parts with one `/` between them.
    pub(super) path: Vec<u8>,
    /// How many parts.
    pub(super) depth: usize,
}

impl Name {
    /// Takes a name apart. A hostile one names something else than it says. What stands at its
    /// beginning makes no name absolute: the usual busybox images have `/rootfs/etc/inittab`, and
    /// `tar` puts it where it belongs.
    pub(super) fn parse(name: &[u8]) -> Result<Self> {
        let mut path = Vec::with_capacity(name.len());
        let mut depth = 0;
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => {
                    return Err(Error::failed("Image has an entry with \"..\" in its name"));
                }
                _ if depth > 0 => path.push(b'/'),
                _ => {}
            }
            depth += 1;
            path.extend_from_slice(part);
        }
        Ok(Self { path, depth })
    }
}

impl Part {
    /// Where the entry of this name goes. Refuses what comes twice at the top, and as what it must
    /// not be.
    pub(super) fn place(self, name: Name, kind: Kind, seen: &mut Seen) -> Result<Place> {
        if name.path.is_empty() && kind != Kind::Directory {
            return Err(Error::failed(
                "Image has something else than a directory as its root",
            ));
        }
        if self == Self::Root {
            return Ok(Place::Root(name.path));
        }
        let mut parts = name.path.splitn(2, |byte| *byte == b'/');
        let (first, rest) = (parts.next().unwrap_or_default(), parts.next());
        let Some(top) = find_top(first) else {
            return Ok(Place::Nowhere);
        };
        let is_top = rest.is_none();
        seen.remember(top, if is_top { kind } else { Kind::Directory })?;
        let rest = rest.unwrap_or_default().to_vec();
        Ok(match top {
            "metadata.yaml" if is_top => Place::Metadata,
            "templates" => Place::Template(rest),
            "rootfs" if self == Self::Whole => Place::Root(rest),
            "rootfs.img" if self == Self::Whole && is_top => Place::Disk,
            _ => Place::Nowhere,
        })
    }

    /// What in the root file system a hard link there leads to.
    pub(super) fn linked(self, link: &[u8]) -> Result<Vec<u8>> {
        let outside = || Error::failed("Image has a link to something outside of its root");
        let name = Name::parse(link)?;
        let target = match self {
            Self::Root => name.path,
            _ => match name.path.strip_prefix(b"rootfs/") {
                Some(target) => target.to_vec(),
                None => return Err(outside()),
            },
        };
        if target.is_empty() {
            return Err(outside());
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, kind: Kind) -> Result<Place> {
        Part::Whole.place(Name::parse(name.as_bytes())?, kind, &mut Seen::default())
    }

    #[test]
    fn only_what_belongs_to_an_image_goes_anywhere() {
        let root = |path: &str| Place::Root(path.as_bytes().to_vec());
        assert_eq!(place("./rootfs/", Kind::Directory).unwrap(), root(""));
        assert_eq!(place("rootfs//a/./b", Kind::Regular).unwrap(), root("a/b"));
        assert_eq!(place("/rootfs/a", Kind::Regular).unwrap(), root("a"));
        assert_eq!(
            place("metadata.yaml", Kind::Regular).unwrap(),
            Place::Metadata
        );
        assert_eq!(place("rootfs.img", Kind::Regular).unwrap(), Place::Disk);
        let template = Place::Template(b"x".to_vec());
        assert_eq!(place("templates/x", Kind::Regular).unwrap(), template);
        for nowhere in ["backup.yaml", "exec-output", "state/x", "rootfs2/etc"] {
            assert_eq!(place(nowhere, Kind::Regular).unwrap(), Place::Nowhere);
        }
        for bad in ["/../rootfs/x", "rootfs/../x", "..", "rootfs/x/.."] {
            assert!(place(bad, Kind::Regular).is_err(), "{bad}");
        }
        assert!(place("rootfs", Kind::SymbolicLink).is_err());
        assert!(place(".", Kind::SymbolicLink).is_err());
    }

    #[test]
    fn links_stay_in_the_root() {
        assert_eq!(Part::Whole.linked(b"./rootfs/a").unwrap(), b"a");
        assert_eq!(Part::Root.linked(b"./a/b").unwrap(), b"a/b");
        for bad in [
            "metadata.yaml",
            "rootfs",
            "rootfs/../x",
            "/etc/rootfs/x",
            "rootfsx/a",
        ] {
            assert!(Part::Whole.linked(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Part::Root.linked(b".").is_err());
    }
}
