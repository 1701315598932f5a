//! What trees are called, and where that puts them.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use super::idmap::IdMap;
use crate::{
    error::{Error, Result},
    image::{Fingerprint, ImageType},
};

/// The tree of an instance, or of one of its snapshots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct TreeName {
    kind: Kind,
    /// `NAME`, or `PROJECT_NAME` outside of the default project.
    instance: String,
    snapshot: Option<String>,
}

/// [`ImageType`], as it is written into markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Container,
    VirtualMachine,
}

impl TreeName {
    /// The tree of an instance.
    ///
    /// # Errors
    ///
    /// 400 when one of the names could mean another place than a directory's entry.
    pub(crate) fn instance(kind: ImageType, project: &str, name: &str) -> Result<Self> {
        component(name)?;
        let kind = match kind {
            ImageType::Container => Kind::Container,
            ImageType::VirtualMachine => Kind::VirtualMachine,
        };
        match project {
            "default" => Self::qualified_instance(kind, name),
            project => Self::qualified_instance(kind, &format!("{project}_{name}")),
        }
    }

    /// The tree of an instance, by the name of its directory.
    pub(super) fn qualified_instance(kind: Kind, qualified: &str) -> Result<Self> {
        component(qualified)?;
        Ok(Self {
            kind,
            instance: qualified.to_owned(),
            snapshot: None,
        })
    }

    /// The tree of a snapshot of the same instance.
    ///
    /// # Errors
    ///
    /// As [`Self::instance`].
    pub(crate) fn snapshot(&self, snapshot: &str) -> Result<Self> {
        component(snapshot)?;
        Ok(Self {
            snapshot: Some(snapshot.to_owned()),
            ..self.clone()
        })
    }

    /// The instance that a snapshot is of; an instance's own name.
    pub(crate) fn owner(&self) -> Self {
        Self {
            snapshot: None,
            ..self.clone()
        }
    }

    /// Whether it is this tree, or a snapshot of this instance.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self == other || self.owner() == *other
    }

    /// Its name after this tree, and with it its snapshots, got another one.
    pub(super) fn renamed(self, from: &Self, to: &Self) -> Self {
        match self.is_of(from) {
            true if self == *from => to.clone(),
            true => Self {
                snapshot: self.snapshot,
                ..to.clone()
            },
            false => self,
        }
    }

    /// Whether it is a snapshot.
    pub(crate) fn is_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Whether it is a virtual machine.
    pub(crate) fn is_virtual_machine(&self) -> bool {
        self.kind == Kind::VirtualMachine
    }

    /// `NAME`, or `PROJECT_NAME` outside of the default project: also liblxc's name for it.
    pub(crate) fn qualified(&self) -> &str {
        &self.instance
    }

    /// Where it is below the pool: two or three components, none of which means another place.
    pub(super) fn path(&self) -> PathBuf {
        let last = self.snapshot.as_ref().unwrap_or(&self.instance);
        self.parent().join(last)
    }

    /// The directory it is in.
    pub(super) fn parent(&self) -> PathBuf {
        match self.snapshot {
            Some(_) => self.snapshots(),
            None => PathBuf::from(self.kind.directory()),
        }
    }

    /// Where the snapshots of its instance are.
    pub(super) fn snapshots(&self) -> PathBuf {
        PathBuf::from(self.kind.snapshots()).join(&self.instance)
    }
}

impl fmt::Display for TreeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.instance)?;
        match &self.snapshot {
            Some(snapshot) => write!(f, "/{snapshot}"),
            None => Ok(()),
        }
    }
}

impl Kind {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Container, Self::VirtualMachine];

    /// Where its instances are.
    pub(super) fn directory(self) -> &'static str {
        match self {
            Self::Container => "containers",
            Self::VirtualMachine => "virtual-machines",
        }
    }

    /// Where the snapshots of its instances are.
    pub(super) fn snapshots(self) -> &'static str {
        match self {
            Self::Container => "containers-snapshots",
            Self::VirtualMachine => "virtual-machines-snapshots",
        }
    }
}

/// The unpacked tree of an image that instances share. Written `FINGERPRINT-BASE-SIZE`, which is
/// also its directory's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SharedKey {
    /// Which image.
    pub(crate) fingerprint: Fingerprint,
    /// Whom its files belong to.
    pub(crate) map: IdMap,
}

impl SharedKey {
    /// Where it is below the pool.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(super::SHARED).join(self.to_string())
    }
}

impl fmt::Display for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.fingerprint, self.map)
    }
}

impl FromStr for SharedKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('-').and_then(|(fingerprint, map)| {
            let fingerprint = fingerprint.parse().ok()?;
            Some((fingerprint, parse_map(map)?))
        });
        let (fingerprint, map) =
            parsed.ok_or_else(|| Error::failed(format!("No shared tree is called {text:?}")))?;
        Ok(Self { fingerprint, map })
    }
}

/// A map as it writes itself: `BASE-SIZE`.
pub(super) fn parse_map(text: &str) -> Option<IdMap> {
    let (base, size) = text.split_once('-')?;
    IdMap::new(base.parse().ok()?, size.parse().ok()?)
}

fn component(name: &str) -> Result<()> {
    let bad = name.is_empty()
        || name == "."
        || name == ".."
        || name.len() > 255
        || name.contains(['/', '\0']);
    if bad {
        return Err(Error::bad_request(format!("Invalid name {name:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_where_lxd_has_them() {
        let c1 = TreeName::instance(ImageType::Container, "default", "c1").unwrap();
        assert_eq!(c1.path(), PathBuf::from("containers/c1"));
        let snapshot = c1.snapshot("s0").unwrap();
        assert_eq!(snapshot.path(), PathBuf::from("containers-snapshots/c1/s0"));
        assert_eq!((snapshot.owner(), snapshot.is_snapshot()), (c1, true));
        let vm = TreeName::instance(ImageType::VirtualMachine, "p", "v").unwrap();
        assert_eq!(vm.path(), PathBuf::from("virtual-machines/p_v"));
        assert_eq!(vm.qualified(), "p_v");
    }

    #[test]
    fn a_name_is_one_component_of_a_path() {
        let long = "x".repeat(256);
        for name in ["", ".", "..", "a/b", "../x", "a\0b", &long] {
            let said = TreeName::instance(ImageType::Container, "default", name).unwrap_err();
            assert_eq!(said.message(), format!("Invalid name {name:?}"));
            let c1 = TreeName::instance(ImageType::Container, "default", "c1").unwrap();
            assert!(c1.snapshot(name).is_err(), "{name:?}");
        }
        assert!(TreeName::instance(ImageType::Container, "../..", "x").is_err());
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let fingerprint: Fingerprint = "ab".repeat(32).parse().unwrap();
        for map in [IdMap::IDENTITY, IdMap::new(1_000_000, 65_536).unwrap()] {
            let key = SharedKey {
                fingerprint: fingerprint.clone(),
                map,
            };
            assert_eq!(key.to_string().parse::<SharedKey>().unwrap(), key);
        }
        for wrong in ["", "x-1-2", &"ab".repeat(32), &format!("{fingerprint}-1")] {
            assert!(wrong.parse::<SharedKey>().is_err(), "{wrong}");
        }
    }
}
