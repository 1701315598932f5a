//! Whose files are whose: ids inside of a container, and what they are on the host.

use std::fmt;

/// A run of ids inside of a container that are a run of ids of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IdMap {
    /// What 0 is on the host.
    base: u32,
    /// How many ids there are.
    size: u32,
}

impl IdMap {
    /// Ids inside are ids outside: privileged containers.
    pub(crate) const IDENTITY: Self = Self {
        base: 0,
        size: u32::MAX,
    };

    /// A map of `size` ids from 0 on to the host's from `base` on. `None` if there are not so
    /// many.
    pub(crate) fn new(base: u32, size: u32) -> Option<Self> {
        // The last number is no id but says "leave it".
        base.checked_add(size)?;
        (size > 0).then_some(Self { base, size })
    }

    /// The host's id of a container's.
    pub(crate) fn to_host(self, inside: u32) -> Option<u32> {
        (inside < self.size).then(|| self.base.saturating_add(inside))
    }

    /// The container's id of a host's.
    pub(crate) fn to_container(self, outside: u32) -> Option<u32> {
        outside
            .checked_sub(self.base)
            .filter(|inside| *inside < self.size)
    }

    /// Whether ids are the same inside and outside.
    pub(crate) fn is_identity(self) -> bool {
        self.base == 0
    }

    /// The host's id of the container's root.
    pub(crate) fn root(self) -> u32 {
        self.base
    }

    /// How many ids there are.
    pub(crate) fn size(self) -> u32 {
        self.size
    }
}

/// As names of files have it: `BASE-SIZE`.
impl fmt::Display for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.base, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_there_and_back_and_no_further_than_the_map() {
        let map = IdMap::new(100_000, 65_536).unwrap();
        assert_eq!(map.to_host(0), Some(100_000));
        assert_eq!(map.to_host(65_535), Some(165_535));
        assert_eq!(map.to_host(65_536), None);
        assert_eq!(map.to_container(165_535), Some(65_535));
        assert_eq!(map.to_container(165_536), None);
        assert_eq!(map.to_container(99_999), None);
        assert_eq!(IdMap::IDENTITY.to_host(u32::MAX - 1), Some(u32::MAX - 1));
        assert_eq!(IdMap::IDENTITY.to_host(u32::MAX), None);
        assert_eq!(IdMap::new(u32::MAX, 1), None);
        assert_eq!(IdMap::new(0, 0), None);
    }
}
