//! How the bytes behind a fingerprint are laid out in files.

/// Which file of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The unified tarball, or the metadata tarball of a split image.
    Image,
    /// The root file system or disk of a split image.
    Rootfs,
}

/// One file, or metadata and root file system in two. A split image and a unified one made of the
/// same bytes have the same fingerprint, so a fingerprint is bound to the layout it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One tarball with metadata and root.
    Unified {
        /// Its length.
        size_bytes: i64,
    },
    /// A metadata tarball, and the root file system or disk in a file of its own.
    Split {
        /// Length of the metadata tarball.
        metadata_size_bytes: i64,
        /// Length of the root file.
        rootfs_size_bytes: i64,
    },
}

impl Layout {
    /// From the length of the first file and, for a split image, of the second.
    pub(crate) fn from_sizes(image_bytes: i64, rootfs_bytes: Option<i64>) -> Self {
        match rootfs_bytes {
            None => Self::Unified {
                size_bytes: image_bytes,
            },
            Some(rootfs_size_bytes) => Self::Split {
                metadata_size_bytes: image_bytes,
                rootfs_size_bytes,
            },
        }
    }

    /// Length of the file named by the fingerprint alone.
    pub(crate) fn image_size_bytes(&self) -> i64 {
        match *self {
            Self::Unified { size_bytes } => size_bytes,
            Self::Split {
                metadata_size_bytes,
                ..
            } => metadata_size_bytes,
        }
    }

    /// Length of the second file of a split image.
    pub(crate) fn rootfs_size_bytes(&self) -> Option<i64> {
        match *self {
            Self::Unified { .. } => None,
            Self::Split {
                rootfs_size_bytes, ..
            } => Some(rootfs_size_bytes),
        }
    }

    /// Length of everything.
    pub(crate) fn total_bytes(&self) -> i64 {
        self.image_size_bytes()
            .saturating_add(self.rootfs_size_bytes().unwrap_or(0))
    }
}
