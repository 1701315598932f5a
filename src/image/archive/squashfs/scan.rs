//! Looking for what matters in an image.

use std::io::{ErrorKind, Read, Seek};

use super::{
    Squashfs,
    directory::Entry,
    inode::{Body, Inode},
    malformed,
};
use crate::{
    error::Error,
    image::{
        ImageType,
        archive::{
            Limits,
            qcow2::{HEADER_BYTES, check_header},
            seen::{Seen, Trouble, check_metadata, find_top, metadata_too_large, too_many_entries},
        },
    },
};

/// Most entries of the root directory.
const MAX_ENTRIES: u64 = 100_000;

/// Looks at all that is in the root directory.
pub(in crate::image::archive) fn scan(
    mut input: impl Read + Seek,
    limits: &Limits,
    seen: &mut Seen,
) -> Result<(), Trouble> {
    let mut image = Squashfs::open(&mut input).map_err(|error| match error.kind() {
        ErrorKind::Unsupported => Trouble::Refused(Error::failed(error.to_string())),
        _ => Trouble::Read(error),
    })?;
    let most = limits.entries.min(MAX_ENTRIES);
    let mut entries = 0;
    let mut listing = image.root()?;
    while let Some(entry) = listing.next(&mut image)? {
        entries += 1;
        if entries > most {
            return Err(too_many_entries(most).into());
        }
        look_at(&mut image, &entry, limits, seen)?;
    }
    Ok(())
}

fn look_at(
    image: &mut Squashfs<'_>,
    entry: &Entry,
    limits: &Limits,
    seen: &mut Seen,
) -> Result<(), Trouble> {
    let Some(top) = find_top(&entry.name) else {
        return Ok(());
    };
    let inode = Inode::read(image, entry.inode)?;
    if inode.kind() != entry.kind {
        return Err(malformed("an entry is not what its inode is").into());
    }
    seen.remember(top, entry.kind)?;
    match (top, inode.body) {
        ("metadata.yaml", Body::Regular(mut file)) => {
            let limit = limits.metadata_bytes;
            if file.size_bytes > limit {
                return Err(metadata_too_large(limit).into());
            }
            seen.metadata = Some(file.read(image, limit)?);
        }
        ("metadata.yaml", _) => check_metadata(entry.kind)?,
        ("rootfs", Body::Directory(_)) => {
            seen.root.get_or_insert(ImageType::Container);
        }
        ("rootfs.img", Body::Regular(mut file)) => {
            check_header(&file.read(image, HEADER_BYTES as u64)?)?;
            seen.root.get_or_insert(ImageType::VirtualMachine);
        }
        _ => {}
    }
    Ok(())
}
