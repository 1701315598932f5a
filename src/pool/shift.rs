//! Owners from one map of ids to another, also those hidden in attributes.

use std::io;

use super::idmap::IdMap;

/// Whose files are, and whose they are to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    /// Whose they are.
    pub(super) from: IdMap,
    /// Whose they are to be.
    pub(super) to: IdMap,
}

/// Length of an ACL's head, and of each entry: tag, permissions, id.
const ACL_HEAD: usize = 4;
const ACL_ENTRY: usize = 8;

/// Tags of ACL entries that name a user or a group.
const ACL_NAMED: [u16; 2] = [0x02, 0x08];

/// The revision is in the first byte of a capability's first word, which is stored last.
const CAPS_REVISION: usize = 3;

/// Two words of permitted and inheritable capabilities each, after the first word.
const CAPS_2_LENGTH: usize = 20;

/// The same, with the host's id of the root for whom they count.
const CAPS_3_LENGTH: usize = 24;

impl Shift {
    /// An id of the host. What is outside of the first map is nobody's, and stays.
    ///
    /// # Errors
    ///
    /// For somebody whom the second map does not have: a number of the host's would be left.
    pub(super) fn id(self, id: u32) -> io::Result<u32> {
        let Some(inside) = self.from.to_container(id) else {
            return Ok(id);
        };
        self.to.to_host(inside).ok_or_else(|| {
            let size = self.to.size();
            io::Error::other(format!("owner {inside} is not in the id map of {size} ids"))
        })
    }

    /// An attribute's value.
    ///
    /// # Errors
    ///
    /// As [`Self::id`].
    pub(super) fn attribute(self, name: &[u8], value: Vec<u8>) -> io::Result<Vec<u8>> {
        match name {
            b"system.posix_acl_access" | b"system.posix_acl_default" => self.acl(value),
            b"security.capability" => self.capability(value),
            _ => Ok(value),
        }
    }

    fn acl(self, mut value: Vec<u8>) -> io::Result<Vec<u8>> {
        let entries = value.get_mut(ACL_HEAD..).unwrap_or_default();
        for entry in entries.chunks_exact_mut(ACL_ENTRY) {
            if let [tag, tag_high, _, _, id @ ..] = entry
                && ACL_NAMED.contains(&u16::from_le_bytes([*tag, *tag_high]))
                && let Ok(number) = <[u8; 4]>::try_from(&*id)
            {
                id.copy_from_slice(&self.id(u32::from_le_bytes(number))?.to_le_bytes());
            }
        }
        Ok(value)
    }

    /// Capabilities count where the root is the one that they name; without a name, on the host.
    fn capability(self, mut value: Vec<u8>) -> io::Result<Vec<u8>> {
        let named = value.get(CAPS_2_LENGTH..CAPS_3_LENGTH);
        let root = match (value.get(CAPS_REVISION), value.len()) {
            (Some(2), CAPS_2_LENGTH) => 0,
            (Some(3), CAPS_3_LENGTH) => match named.map(<[u8; 4]>::try_from) {
                Some(Ok(id)) => u32::from_le_bytes(id),
                _ => return Ok(value),
            },
            // A form that nobody writes any more.
            _ => return Ok(value),
        };
        let root = self.id(root)?;
        value.truncate(CAPS_2_LENGTH);
        if root != 0 {
            value.extend(root.to_le_bytes());
        }
        if let Some(revision) = value.get_mut(CAPS_REVISION) {
            *revision = if root == 0 { 2 } else { 3 };
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift() -> Shift {
        let to = IdMap::new(100_000, 65_536).unwrap();
        Shift {
            from: IdMap::IDENTITY,
            to,
        }
    }

    fn back() -> Shift {
        let Shift { from, to } = shift();
        Shift { from: to, to: from }
    }

    #[test]
    fn ids_move_and_strangers_stay() {
        assert_eq!(shift().id(1000).unwrap(), 101_000);
        assert_eq!(back().id(101_000).unwrap(), 1000);
        assert_eq!(back().id(7).unwrap(), 7);
        let said = shift().id(70_000).unwrap_err().to_string();
        assert_eq!(said, "owner 70000 is not in the id map of 65536 ids");
    }

    #[test]
    fn named_entries_of_an_acl_move() {
        let entry = |tag: u16, id: u32| {
            let mut bytes = tag.to_le_bytes().to_vec();
            bytes.extend([7, 0]);
            bytes.extend(id.to_le_bytes());
            bytes
        };
        let acl = |user, group| {
            let nobody = u32::MAX;
            [
                vec![2, 0, 0, 0],
                entry(1, nobody),
                entry(2, user),
                entry(8, group),
                entry(32, nobody),
            ]
            .concat()
        };
        let name = b"system.posix_acl_access";
        assert_eq!(
            shift().attribute(name, acl(5, 6)).unwrap(),
            acl(100_005, 100_006)
        );
        assert_eq!(
            back().attribute(name, acl(100_005, 100_006)).unwrap(),
            acl(5, 6)
        );
        assert_eq!(shift().attribute(name, vec![1, 2]).unwrap(), vec![1, 2]);
    }

    #[test]
    fn capabilities_count_for_the_new_root() {
        let name = b"security.capability";
        let mut plain = vec![0, 0, 0, 2];
        plain.extend([9; 16]);
        let mut of_root = vec![0, 0, 0, 3];
        of_root.extend([9; 16]);
        of_root.extend(100_000_u32.to_le_bytes());
        assert_eq!(shift().attribute(name, plain.clone()).unwrap(), of_root);
        assert_eq!(back().attribute(name, of_root.clone()).unwrap(), plain);
        assert_eq!(
            shift().attribute(name, vec![0, 0, 0, 1]).unwrap(),
            vec![0, 0, 0, 1]
        );
        assert_eq!(
            shift().attribute(b"user.x", vec![0, 0, 0, 2]).unwrap(),
            vec![0, 0, 0, 2]
        );
    }
}
