//! What a tree says of itself, in a file of its own beside its files.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    disk,
    idmap::IdMap,
    name::{SharedKey, parse_map},
};
use crate::error::{Context, Error, Result};

/// The file's name.
pub(super) const RECORD: &str = "tree.json";

/// Written last, before a tree gets its name: where it stands, the tree is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Whom its files belong to.
    pub(super) map: IdMap,
    /// The shared tree that lies below its own files; or the one that it is.
    pub(super) shared: Option<SharedKey>,
}

/// As it is on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    map: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<String>,
}

impl Record {
    /// Reads the record of the tree in this directory.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(RECORD);
        let bytes = fs::read(&path).context(format_args!("Failed to read {}", path.display()))?;
        Self::parse(&bytes)
            .ok_or_else(|| Error::failed(format!("Failed to understand {}", path.display())))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        let shared = written.shared.map(|key| key.parse().ok());
        Some(Self {
            map: parse_map(&written.map)?,
            shared: match shared {
                Some(None) => return None,
                other => other.flatten(),
            },
        })
    }

    /// Writes the record into a tree that has none.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let written = Written {
            map: self.map.to_string(),
            shared: self.shared.as_ref().map(ToString::to_string),
        };
        let text = serde_json::to_vec(&written)
            .map_err(|error| Error::internal("Failed to write a tree's record", error))?;
        disk::write_new(&directory.join(RECORD), &text).context("Failed to write a tree's record")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let map = IdMap::new(1_000_000, 65_536).unwrap();
        let fingerprint = "ab".repeat(32).parse().unwrap();
        let record = Record {
            map,
            shared: Some(SharedKey { fingerprint, map }),
        };
        record.write(directory.path()).unwrap();
        assert_eq!(Record::read(directory.path()).unwrap(), record);
    }

    #[test]
    fn a_record_that_makes_no_sense_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"map":"x"}"#,
            r#"{"map":"1-2","shared":"../x"}"#,
        ] {
            assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
        }
    }
}
