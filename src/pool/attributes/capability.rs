//! Capabilities of files: inside of a container they count only with the number of its root.

use std::io;

use crate::pool::idmap::IdMap;

/// The revision is in the first number's highest byte; the lowest bit says that they are in effect.
const REVISION: u32 = 0xff00_0000;
const REVISION_1: u32 = 0x0100_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;

/// How long the attribute is in each revision.
const BYTES_2: usize = 20;

/// As the kernel of the host has to have them.
pub(crate) fn to_host(value: &[u8], map: IdMap) -> io::Result<Vec<u8>> {
    let (magic, body, root) = parse(value)?;
    let host = map.to_host(root.unwrap_or(0)).ok_or_else(outside)?;
    match (root, host) {
        (_, 0) | (None, _) if magic & REVISION == REVISION_1 => Ok(value.to_vec()),
        (None, 0) => Ok(value.to_vec()),
        (_, host) => Ok(write(magic, body, host)),
    }
}

/// As the container itself sees them.
pub(crate) fn to_container(value: &[u8], map: IdMap) -> io::Result<Vec<u8>> {
    let (magic, body, root) = parse(value)?;
    match root.map(|root| map.to_container(root)) {
        None => Ok(value.to_vec()),
        Some(None) => Err(outside()),
        Some(Some(inside)) => Ok(write(magic, body, inside)),
    }
}

/// The first number, what follows it, and whose root they are for.
fn parse(value: &[u8]) -> io::Result<(u32, &[u8], Option<u32>)> {
    let (magic, body) = value.split_first_chunk().ok_or_else(invalid)?;
    let magic = u32::from_le_bytes(*magic);
    match (magic & REVISION, value.len()) {
        (REVISION_1, 12) | (REVISION_2, BYTES_2) => Ok((magic, body, None)),
        (REVISION_3, 24) => {
            let (body, root) = body.split_last_chunk().ok_or_else(invalid)?;
            Ok((magic, body, Some(u32::from_le_bytes(*root))))
        }
        _ => Err(invalid()),
    }
}

/// Without a root's number where it is the real root's.
fn write(magic: u32, body: &[u8], root: u32) -> Vec<u8> {
    let revision = if root == 0 { REVISION_2 } else { REVISION_3 };
    let magic = magic & !REVISION | revision;
    let mut value = magic.to_le_bytes().to_vec();
    value.extend_from_slice(body);
    if root != 0 {
        value.extend_from_slice(&root.to_le_bytes());
    }
    value
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "invalid capabilities")
}

fn outside() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "capabilities are for somebody who is not in the id map",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_get_the_root_of_the_container_and_lose_it_again() {
        let map = IdMap::new(100_000, 65_536).unwrap();
        let mut value = 0x0200_0001_u32.to_le_bytes().to_vec();
        value.extend([7; 16]);
        let host = to_host(&value, map).unwrap();
        assert_eq!(host.len(), 24);
        assert_eq!(host[..4], 0x0300_0001_u32.to_le_bytes());
        assert_eq!(host[20..], 100_000_u32.to_le_bytes());
        assert_eq!(to_container(&host, map).unwrap(), value);
        assert_eq!(to_host(&value, IdMap::IDENTITY).unwrap(), value);
        let inner = IdMap::new(5, 10).unwrap();
        let nested = to_host(&to_host(&value, inner).unwrap(), map).unwrap();
        assert!(nested.ends_with(&100_005_u32.to_le_bytes()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let map = IdMap::new(100_000, 65_536).unwrap();
        for bad in [&[][..], &[0; 20], &[2, 0, 0, 2], &[0; 300]] {
            assert!(to_host(bad, map).is_err());
        }
        let mut far = 0x0300_0000_u32.to_le_bytes().to_vec();
        far.extend([0; 16]);
        far.extend(7_u32.to_le_bytes());
        assert!(to_container(&far, map).is_err());
    }
}
