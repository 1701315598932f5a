//! Owners from one map of ids to another, also those hidden in attributes.

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
    pub(super) fn id(self, id: u32) -> u32 {
        let inside = self.from.to_container(id);
        inside.and_then(|id| self.to.to_host(id)).unwrap_or(id)
    }

    /// An attribute's value.
    pub(super) fn attribute(self, name: &[u8], value: Vec<u8>) -> Vec<u8> {
        match name {
            b"system.posix_acl_access" | b"system.posix_acl_default" => self.acl(value),
            b"security.capability" => self.capability(value),
            _ => value,
        }
    }

    fn acl(self, mut value: Vec<u8>) -> Vec<u8> {
        let entries = value.get_mut(ACL_HEAD..).unwrap_or_default();
        for entry in entries.chunks_exact_mut(ACL_ENTRY) {
            if let [tag, tag_high, _, _, id @ ..] = entry
                && ACL_NAMED.contains(&u16::from_le_bytes([*tag, *tag_high]))
                && let Ok(number) = <[u8; 4]>::try_from(&*id)
            {
                id.copy_from_slice(&self.id(u32::from_le_bytes(number)).to_le_bytes());
            }
        }
        value
    }

    /// Capabilities count where the root is the one that they name; without a name, on the host.
    fn capability(self, mut value: Vec<u8>) -> Vec<u8> {
        let named = value.get(CAPS_2_LENGTH..CAPS_3_LENGTH);
        let root = match (value.get(CAPS_REVISION), value.len()) {
            (Some(2), CAPS_2_LENGTH) => 0,
            (Some(3), CAPS_3_LENGTH) => match named.map(<[u8; 4]>::try_from) {
                Some(Ok(id)) => u32::from_le_bytes(id),
                _ => return value,
            },
            // A form that nobody writes any more.
            _ => return value,
        };
        let root = self.id(root);
        value.truncate(CAPS_2_LENGTH);
        if root != 0 {
            value.extend(root.to_le_bytes());
        }
        if let Some(revision) = value.get_mut(CAPS_REVISION) {
            *revision = if root == 0 { 2 } else { 3 };
        }
        value
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
        assert_eq!(shift().id(1000), 101_000);
        assert_eq!(back().id(101_000), 1000);
        assert_eq!(back().id(7), 7);
        assert_eq!(shift().id(70_000), 70_000);
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
        assert_eq!(shift().attribute(name, acl(5, 6)), acl(100_005, 100_006));
        assert_eq!(back().attribute(name, acl(100_005, 100_006)), acl(5, 6));
        assert_eq!(shift().attribute(name, vec![1, 2]), vec![1, 2]);
    }

    #[test]
    fn capabilities_count_for_the_new_root() {
        let name = b"security.capability";
        let mut plain = vec![0, 0, 0, 2];
        plain.extend([9; 16]);
        let mut of_root = vec![0, 0, 0, 3];
        of_root.extend([9; 16]);
        of_root.extend(100_000_u32.to_le_bytes());
        assert_eq!(shift().attribute(name, plain.clone()), of_root);
        assert_eq!(back().attribute(name, of_root.clone()), plain);
        assert_eq!(shift().attribute(name, vec![0, 0, 0, 1]), vec![0, 0, 0, 1]);
        assert_eq!(
            shift().attribute(b"user.x", vec![0, 0, 0, 2]),
            vec![0, 0, 0, 2]
        );
    }
}
