//! POSIX ACLs: as the kernel takes them, and as archives spell them.

use std::io;

/// The version that the kernel knows, and how long an entry is.
const VERSION: [u8; 4] = [2, 0, 0, 0];
const ENTRY_BYTES: usize = 8;

/// Most entries.
const MAX_ENTRIES: usize = 4096;

/// Tags of entries that name somebody.
const USER: u16 = 0x02;
const GROUP: u16 = 0x08;

/// What stands for nobody in an entry that names nobody.
const NOBODY: u32 = u32::MAX;

/// Somebody whom an ACL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named<'t> {
    /// By number.
    Id(u32),
    /// A user by name.
    User(&'t [u8]),
    /// A group by name.
    Group(&'t [u8]),
}

/// An ACL as the kernel takes it, with other ids in it.
pub(crate) fn shift(acl: &[u8], to: impl Fn(u32) -> Option<u32>) -> io::Result<Vec<u8>> {
    let entries = acl.strip_prefix(&VERSION).ok_or_else(invalid)?;
    let mut shifted = VERSION.to_vec();
    for entry in entries.chunks(ENTRY_BYTES) {
        let (head, id) = entry.split_at_checked(4).ok_or_else(invalid)?;
        let id = u32::from_le_bytes(id.try_into().map_err(|_short| invalid())?);
        let tag = head.first_chunk().map(|tag| u16::from_le_bytes(*tag));
        let id = match tag {
            Some(USER | GROUP) => to(id).ok_or_else(outside)?,
            _ => id,
        };
        shifted.extend_from_slice(head);
        shifted.extend_from_slice(&id.to_le_bytes());
    }
    Ok(shifted)
}

/// An ACL as archives have it: as text, or, as LXD writes it, as the kernel's.
pub(crate) fn read(value: &[u8], to: impl Fn(Named<'_>) -> Option<u32>) -> io::Result<Vec<u8>> {
    if value.starts_with(&VERSION) {
        return shift(value, |id| to(Named::Id(id)));
    }
    parse(value, to)
}

/// An ACL out of its text, in any of the ways that archives have it: entries between commas or
/// line ends, with numbers, names, or names that are followed by their numbers.
fn parse(text: &[u8], to: impl Fn(Named<'_>) -> Option<u32>) -> io::Result<Vec<u8>> {
    let mut entries = Vec::new();
    let lines = text.split(|byte| matches!(byte, b',' | b'\n'));
    for line in lines.map(without_comment).filter(|line| !line.is_empty()) {
        entries.push(entry(line, &to)?);
    }
    if entries.len() > MAX_ENTRIES {
        return Err(invalid());
    }
    // The kernel wants them in order.
    entries.sort_by_key(|(tag, _, id)| (*tag, *id));
    let mut acl = VERSION.to_vec();
    for (tag, permissions, id) in entries {
        acl.extend_from_slice(&tag.to_le_bytes());
        acl.extend_from_slice(&permissions.to_le_bytes());
        acl.extend_from_slice(&id.to_le_bytes());
    }
    Ok(acl)
}

fn without_comment(line: &[u8]) -> &[u8] {
    let line = line.split(|byte| *byte == b'#').next();
    line.unwrap_or_default().trim_ascii()
}

fn entry(line: &[u8], to: impl Fn(Named<'_>) -> Option<u32>) -> io::Result<(u16, u16, u32)> {
    let mut fields = line.split(|byte| *byte == b':').map(<[u8]>::trim_ascii);
    let mut next = || fields.next().unwrap_or_default();
    let (tag, who, permissions, number) = (next(), next(), next(), next());
    let named = |is_user| match (number, who) {
        ([], who) => match (id(who), is_user) {
            (Some(id), _) => Named::Id(id),
            (None, true) => Named::User(who),
            (None, false) => Named::Group(who),
        },
        (number, _) => id(number).map_or(Named::Id(NOBODY), Named::Id),
    };
    let (tag, id) = match (tag, who) {
        (b"user" | b"u", []) => (0x01, NOBODY),
        (b"user" | b"u", _) => (USER, to(named(true)).ok_or_else(outside)?),
        (b"group" | b"g", []) => (0x04, NOBODY),
        (b"group" | b"g", _) => (GROUP, to(named(false)).ok_or_else(outside)?),
        (b"mask" | b"m", []) => (0x10, NOBODY),
        (b"other" | b"o", []) => (0x20, NOBODY),
        // Some leave the empty field of these out.
        (b"mask" | b"m", permissions) => return Ok((0x10, bits(permissions)?, NOBODY)),
        (b"other" | b"o", permissions) => return Ok((0x20, bits(permissions)?, NOBODY)),
        _ => return Err(invalid()),
    };
    Ok((tag, bits(permissions)?, id))
}

fn id(text: &[u8]) -> Option<u32> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    is_number.then_some(())?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn bits(text: &[u8]) -> io::Result<u16> {
    text.iter().try_fold(0, |bits, letter| match letter {
        b'r' => Ok(bits | 4),
        b'w' => Ok(bits | 2),
        b'x' => Ok(bits | 1),
        b'-' => Ok(bits),
        _ => Err(invalid()),
    })
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "invalid ACL")
}

fn outside() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "an ACL names somebody who is not in the id map",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(named: Named<'_>) -> Option<u32> {
        match named {
            Named::Id(id) => Some(id + 100),
            Named::User(b"lisa") => Some(7),
            _ => None,
        }
    }

    #[test]
    fn text_of_every_kind_is_taken_and_put_in_order() {
        let acl = parse(
            b"user::rw-\nother::r--\nuser:8:r-x\nmask::rwx\ngroup::---\n",
            numbers,
        );
        let acl = acl.unwrap();
        let tags: Vec<u8> = acl[4..].chunks(8).map(|entry| entry[0]).collect();
        assert_eq!(tags, [1, 2, 4, 0x10, 0x20]);
        assert_eq!(acl[12..20], [2, 0, 5, 0, 108, 0, 0, 0]);
        assert_eq!(
            acl,
            parse(b"u::rw-,u:x:r-x:8,g::---,m:rwx,o:r--", numbers).unwrap()
        );
        assert_eq!(parse(b"u:lisa:r", numbers).unwrap()[8], 7);
        for bad in [&b"user:homer:rwx"[..], b"user::rwz", b"who::r", b"user"] {
            let outcome = parse(bad, numbers);
            assert!(outcome.is_err() || bad == b"user", "{bad:?}");
        }
    }

    #[test]
    fn ids_are_shifted_where_somebody_is_named() {
        let acl = parse(b"u::rwx,u:8:r,g::r,g:9:r,m::r,o::r", |named| match named {
            Named::Id(id) => Some(id),
            _ => None,
        });
        let acl = acl.unwrap();
        let shifted = shift(&acl, |id| id.checked_add(1000)).unwrap();
        let back = shift(&shifted, |id| id.checked_sub(1000)).unwrap();
        assert_eq!(back, acl);
        assert_eq!(shifted[16..20], 1008_u32.to_le_bytes());
        assert_eq!(shifted[8..12], u32::MAX.to_le_bytes());
        assert!(shift(&acl, |_| None).is_err());
        assert!(shift(b"\x01\0\0\0", Some).is_err());
        assert!(shift(&acl[..acl.len() - 1], Some).is_err());
        assert_eq!(shift(&VERSION, Some).unwrap(), VERSION);
    }
}
