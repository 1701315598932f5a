//! What trees are called, and where that puts them.

use std::path::PathBuf;

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
enum Kind {
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
        let instance = match project {
            "default" => name.to_owned(),
            project => format!("{project}_{name}"),
        };
        component(name)?;
        component(&instance)?;
        let kind = match kind {
            ImageType::Container => Kind::Container,
            ImageType::VirtualMachine => Kind::VirtualMachine,
        };
        Ok(Self {
            kind,
            instance,
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
        let path = self.parent();
        match &self.snapshot {
            Some(snapshot) => path.join(snapshot),
            None => path.join(&self.instance),
        }
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
        PathBuf::from(format!("{}-snapshots", self.kind.directory())).join(&self.instance)
    }
}

impl Kind {
    fn directory(self) -> &'static str {
        match self {
            Self::Container => "containers",
            Self::VirtualMachine => "virtual-machines",
        }
    }
}

/// The unpacked tree of an image that instances share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SharedKey {
    /// Which image.
    pub(crate) fingerprint: Fingerprint,
    /// Whom its files belong to.
    pub(crate) map: IdMap,
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
