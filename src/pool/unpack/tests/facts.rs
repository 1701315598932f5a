//! Everything that can be known of a tree, so that two can be compared.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::FileTypeExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{lgetxattr, llistxattr};

use crate::pool::{attributes, idmap::IdMap};

/// What is known of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pool) struct Facts {
    pub(in crate::pool) kind: char,
    pub(in crate::pool) mode: u32,
    pub(in crate::pool) uid: u32,
    pub(in crate::pool) gid: u32,
    pub(in crate::pool) device: u64,
    pub(in crate::pool) modified: (i64, i64),
    /// What else is the same file.
    pub(in crate::pool) first_name: Option<PathBuf>,
    pub(in crate::pool) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// A file's bytes, or where a link leads.
    pub(in crate::pool) content: Vec<u8>,
    /// Whether it takes less on disk than it is long.
    pub(in crate::pool) is_sparse: bool,
}

/// All of a tree by names within it.
pub(in crate::pool) fn facts(root: &Path) -> BTreeMap<PathBuf, Facts> {
    let mut all = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    visit(root, Path::new(""), &mut all, &mut inodes);
    all
}

fn visit(
    root: &Path,
    name: &Path,
    all: &mut BTreeMap<PathBuf, Facts>,
    inodes: &mut BTreeMap<u64, PathBuf>,
) {
    let path = root.join(name);
    let metadata = fs::symlink_metadata(&path).unwrap();
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_dir() => 'd',
        () if kind.is_file() => 'f',
        () if kind.is_symlink() => 'l',
        () if kind.is_char_device() => 'c',
        () if kind.is_block_device() => 'b',
        () if kind.is_fifo() => 'p',
        () => 's',
    };
    let first_name = (kind != 'd' && metadata.nlink() > 1)
        .then(|| {
            inodes
                .entry(metadata.ino())
                .or_insert_with(|| name.to_owned())
        })
        .cloned();
    let content = match kind {
        'f' => fs::read(&path).unwrap(),
        'l' => fs::read_link(&path)
            .unwrap()
            .as_os_str()
            .as_bytes()
            .to_vec(),
        _ => Vec::new(),
    };
    let facts = Facts {
        kind,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        device: if "bc".contains(kind) {
            metadata.rdev()
        } else {
            0
        },
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        first_name,
        xattrs: xattrs(&path),
        content,
        is_sparse: kind == 'f' && metadata.blocks() * 512 + 65_536 < metadata.len(),
    };
    all.insert(name.to_owned(), facts);
    if kind == 'd' {
        let mut names: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        for child in names {
            visit(root, &name.join(child), all, inodes);
        }
    }
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 65_536];
    let count = llistxattr(path, &mut names).unwrap();
    let names = names[..count]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 65_536];
            let count = lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
            (name.to_vec(), value[..count].to_vec())
        })
        .collect()
}

/// The same tree with owners shifted to the host.
pub(in crate::pool) fn shifted(
    tree: &BTreeMap<PathBuf, Facts>,
    map: IdMap,
) -> BTreeMap<PathBuf, Facts> {
    let shift = |facts: &Facts| Facts {
        uid: map.to_host(facts.uid).unwrap(),
        gid: map.to_host(facts.gid).unwrap(),
        xattrs: facts
            .xattrs
            .iter()
            .map(|(name, value)| {
                let value = attributes::to_host(name, value, map).unwrap();
                (name.clone(), value)
            })
            .collect(),
        ..facts.clone()
    };
    tree.iter()
        .map(|(name, facts)| (name.clone(), shift(facts)))
        .collect()
}

/// Panics with the first differences of two trees.
pub(in crate::pool) fn assert_same(
    one: &BTreeMap<PathBuf, Facts>,
    other: &BTreeMap<PathBuf, Facts>,
) {
    let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for name in names {
        let short = |facts: Option<&Facts>| {
            facts.map(|facts| {
                let mut facts = facts.clone();
                facts.content.truncate(40);
                facts
            })
        };
        let (one, other) = (one.get(name), other.get(name));
        assert!(
            one == other,
            "{}:\n{:?}\n{:?}",
            name.display(),
            short(one),
            short(other)
        );
    }
}
