//! What is done on a thread of its own: the tree is packed, compressed, hashed and staged in one
//! pass.

use std::{
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    leftovers,
    manifest::{Given, Manifest, Origin},
};
use crate::{
    error::Result,
    image::{Compression, Encoder, Squashfs, Workers},
    images::{Draft, Finished},
    instances::progress::Done,
    pool::{
        self, Pool, TreeName,
        idmap::IdMap,
        pack::{Format, Root, Tree, pack},
        squash::{Limits, Squash},
        watch::Watch,
    },
};

/// What is packed, and how.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) pool: Pool,
    pub(super) name: TreeName,
    pub(super) given: Given,
    pub(super) origin: Origin,
    pub(super) compression: Compression,
    pub(super) workers: Workers,
    pub(super) cancel: CancellationToken,
    /// Is told how far it is.
    pub(super) told: watch::Sender<Done>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) finished: Finished,
    pub(super) manifest: Manifest,
    /// What should not have been in it.
    pub(super) warnings: Vec<String>,
}

/// A draft with everything in it, and how many attributes there was no room for.
type Whole = (Finished, u64);

impl Job {
    /// Packs the tree into `draft`.
    ///
    /// # Errors
    ///
    /// What went wrong first; nothing is left then.
    pub(super) fn run(self, draft: Draft) -> Result<Packed> {
        let existing = self.pool.metadata(&self.name)?;
        let manifest = Manifest::new(existing, self.given.clone(), self.origin)?;
        let ((finished, left_out), mut warnings) = if self.name.is_virtual_machine() {
            (self.pack_disk(draft, &manifest)?, Vec::new())
        } else {
            self.pack_root(draft, &manifest)?
        };
        if left_out > 0 {
            warnings.push(format!(
                "The image lacks {left_out} ACLs and other attributes that a squashfs cannot have"
            ));
        }
        Ok(Packed {
            finished,
            manifest,
            warnings,
        })
    }

    fn pack_root(&self, draft: Draft, manifest: &Manifest) -> Result<(Whole, Vec<String>)> {
        let mounted = self.pool.mount(&self.name)?;
        let warnings = leftovers::find(&mounted.root());
        let total_bytes = pool::measure(mounted.rootfs(), &self.cancel)?;
        self.told.send_if_modified(|done| {
            done.total_bytes = total_bytes;
            false
        });
        let root = Root::Directory(mounted.rootfs());
        let whole = self.pack(draft, manifest, root, mounted.map())?;
        Ok((whole, warnings))
    }

    fn pack_disk(&self, draft: Draft, manifest: &Manifest) -> Result<Whole> {
        let disk = self.pool.open_disk(&self.name)?;
        let scratch = draft.scratch()?;
        let root = Root::Disk {
            disk: disk.as_fd(),
            scratch: scratch.as_fd(),
        };
        self.pack(draft, manifest, root, IdMap::IDENTITY)
    }

    fn pack(&self, draft: Draft, manifest: &Manifest, root: Root<'_>, map: IdMap) -> Result<Whole> {
        let templates = self.pool.open_templates(&self.name)?;
        let tree = Tree {
            metadata: &manifest.text,
            metadata_modified: manifest.metadata.creation_date,
            root,
            templates: templates.as_ref().map(OwnedFd::as_fd),
            format: match self.compression {
                Compression::Squashfs(_) => Format::Squashfs,
                _ => Format::Tar,
            },
        };
        let progress = |bytes| Done::note(&self.told, bytes);
        let watch = Watch {
            progress: &progress,
            cancel: &self.cancel,
        };
        let pack_into = |sink: &mut (dyn Write + Send)| pack(&tree, map, sink, &watch);
        if let Compression::Squashfs(squashfs) = &self.compression {
            return squash(draft, squashfs, (manifest, &self.cancel), pack_into);
        }
        let mut encoder = Encoder::new(&self.compression, &self.workers, draft)?;
        let left_out = pack_into(&mut encoder)?;
        Ok((encoder.finish()?.finish()?, left_out))
    }
}

/// A squashfs is made whole before it can be hashed from its beginning.
fn squash(
    mut draft: Draft,
    squashfs: &Squashfs,
    (manifest, cancel): (&Manifest, &CancellationToken),
    pack_into: impl FnOnce(&mut (dyn Write + Send)) -> Result<u64>,
) -> Result<Whole> {
    let made_at = u32::try_from(manifest.metadata.creation_date).unwrap_or_default();
    let limits = Limits {
        room: draft.room(),
        cancel: cancel.clone(),
    };
    let mut squash = Squash::begin(squashfs, draft.directory(), made_at, limits)?;
    let left_out = pack_into(&mut squash)?;
    let mut file = squash.finish()?;
    io::copy(&mut file, &mut draft)?;
    Ok((draft.finish()?, left_out))
}
