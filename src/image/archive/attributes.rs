//! What an entry is besides its name, kind and data.

/// Owners, mode, times and everything else that a file has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Permissions, with setuid, setgid and the sticky bit.
    pub(crate) mode: u32,
    /// Whose it is, by number: names mean something only where they were written.
    pub(crate) uid: u32,
    /// Its group.
    pub(crate) gid: u32,
    /// When its data changed.
    pub(crate) modified: Modified,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// Extended attributes.
    pub(crate) xattrs: Vec<Xattr>,
    /// POSIX ACLs as text: of the file, and what new files in a directory get.
    pub(crate) acls: (Option<Vec<u8>>, Option<Vec<u8>>),
}

impl Attributes {
    /// How much memory they take, about.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.extended_bytes()
    }

    /// How many bytes of extended attributes and ACLs there are.
    pub(crate) fn extended_bytes(&self) -> usize {
        let xattrs = self.xattrs.iter();
        let xattrs = xattrs.map(|xattr| xattr.name.len() + xattr.value.len());
        let acls = [&self.acls.0, &self.acls.1].into_iter().flatten();
        xattrs.chain(acls.map(Vec::len)).sum()
    }
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Xattr {
    /// With its namespace.
    pub(crate) name: Vec<u8>,
    /// Any bytes.
    pub(crate) value: Vec<u8>,
}

/// A time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Modified {
    /// Since 1970, or before.
    pub(crate) seconds: i64,
    /// From 0 to 999,999,999, always forward.
    pub(crate) nanoseconds: u32,
}
