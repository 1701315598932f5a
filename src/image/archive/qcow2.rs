//! Disk images: their header, so that none refers to another file.

use std::io::{ErrorKind, Read};

use crate::{
    error::{Error, Result},
    image::ImageType,
};

/// As much of the header as is looked at.
pub(super) const HEADER_BYTES: usize = 104;

/// What a qcow2 file begins with.
pub(super) const MAGIC: &[u8] = b"QFI\xfb";

/// The bit that says that the data is in another file.
const EXTERNAL_DATA: u64 = 1 << 2;

/// A disk in qcow2 that refers to no other file.
#[derive(Debug)]
pub(crate) struct Disk {
    /// How long the disk is for whoever uses it.
    pub(crate) size_bytes: u64,
}

impl Disk {
    /// As much of a file as has to be read.
    pub(crate) const HEADER_BYTES: usize = HEADER_BYTES;

    /// Reads the header of a file that has to be qcow2.
    ///
    /// # Errors
    ///
    /// What is something else, refers to another file, or is encrypted.
    pub(crate) fn parse(header: &[u8]) -> Result<Self> {
        if !header.starts_with(MAGIC) {
            return Err(Error::failed("Image is not in qcow2 format"));
        }
        check_header(header)?;
        let field = |at: usize| {
            header
                .get(at..)?
                .first_chunk()
                .map(|b| u64::from_be_bytes(*b))
        };
        let encryption = header.get(32..36);
        if encryption != Some(&[0; 4]) {
            return Err(Error::failed("Encrypted disk images are not allowed"));
        }
        let size_bytes = field(24).ok_or_else(|| Error::failed("Image is not in qcow2 format"))?;
        Ok(Self { size_bytes })
    }
}

/// Looks at the root file of a split image. LXD takes anything here and finds out when an
/// instance is made; a disk that refers to a file of the host is refused at once.
pub(crate) fn check_root(root: &mut impl Read, kind: ImageType) -> Result<()> {
    if kind == ImageType::Container {
        return Ok(());
    }
    let mut header = [0; HEADER_BYTES];
    let mut filled = 0;
    while let Some(free) = header.get_mut(filled..).filter(|free| !free.is_empty()) {
        match root.read(free) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    check_header(header.get(..filled).unwrap_or_default())
}

/// Refuses a qcow2 header that names another file or makes no sense; what is no qcow2 passes.
pub(super) fn check_header(header: &[u8]) -> Result<()> {
    if !header.starts_with(MAGIC) {
        return Ok(());
    }
    let u32_at = |at: usize| {
        header
            .get(at..)?
            .first_chunk()
            .map(|b| u32::from_be_bytes(*b))
    };
    let u64_at = |at: usize| {
        header
            .get(at..)?
            .first_chunk()
            .map(|b| u64::from_be_bytes(*b))
    };
    let version = u32_at(4);
    if !matches!(version, Some(2 | 3)) {
        return Err(Error::failed("Unsupported version of the disk image"));
    }
    if u64_at(8) != Some(0) || u32_at(16) != Some(0) {
        return Err(Error::failed(
            "Disk images with a backing file are not allowed",
        ));
    }
    if version == Some(3) && u64_at(72).is_none_or(|features| features & EXTERNAL_DATA != 0) {
        return Err(Error::failed(
            "Disk images with an external data file are not allowed",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u32, backing: u64, features: u64) -> Vec<u8> {
        let mut header = vec![0; HEADER_BYTES];
        header.splice(0..4, MAGIC.iter().copied());
        header.splice(4..8, version.to_be_bytes());
        header.splice(8..16, backing.to_be_bytes());
        header.splice(72..80, features.to_be_bytes());
        header
    }

    #[test]
    fn a_disk_that_refers_to_another_file_is_refused() {
        let check = |bytes: Vec<u8>| check_root(&mut bytes.as_slice(), ImageType::VirtualMachine);
        assert!(check(header(2, 0, 0)).is_ok());
        assert!(check(header(3, 0, 1)).is_ok());
        assert!(
            check(header(3, 104, 0))
                .unwrap_err()
                .message()
                .contains("backing file")
        );
        assert!(
            check(header(3, 0, EXTERNAL_DATA))
                .unwrap_err()
                .message()
                .contains("data file")
        );
        assert!(check(header(9, 0, 0)).is_err());
        assert!(check(b"garbage".to_vec()).is_ok());
        assert!(check(MAGIC.to_vec()).is_err());
    }
}
