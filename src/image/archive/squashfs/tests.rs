//! Images made by hand, good and hostile.

use std::{
    io::{Cursor, Write},
    time::{Duration, Instant},
};

use crate::image::{
    ImageType,
    archive::{Limits, inspect_unified},
};

const METADATA: &[u8] = b"architecture: x86_64\ncreation_date: 1424284563\n";
const MISSING: &str = "Metadata tarball is missing metadata.yaml";

const DAMAGED: &str = "Image archive is damaged: squashfs: ";

const PLAIN: u32 = 1 << 24;
const NO_FRAGMENT: u32 = u32::MAX;

/// Where the image's data begin: the metadata, first as a block and then as a fragment.
const DATA: u32 = 96;

/// An image to be made: a root directory and what is in there.
struct Image {
    entries: Vec<Entry>,
    /// Put in place of the root's inode.
    root: Option<Vec<u8>>,
    /// How much goes into a block of metadata.
    chunk: usize,
    is_packed: bool,
}

struct Entry {
    name: Vec<u8>,
    kind: u16,
    inode: Vec<u8>,
}

fn entry(name: impl AsRef<[u8]>, kind: u16, inode: Vec<u8>) -> Entry {
    Entry {
        name: name.as_ref().to_vec(),
        kind,
        inode,
    }
}

fn inode(kind: u16, body: &[u32]) -> Vec<u8> {
    let mut inode = vec![0; 16];
    inode[..2].copy_from_slice(&kind.to_le_bytes());
    inode.extend(body.iter().flat_map(|number| number.to_le_bytes()));
    inode
}

fn directory() -> Vec<u8> {
    inode(1, &[0, 2, 3, 0])
}

/// A file of blocks of these sizes.
fn file(length: usize, sizes: &[u32]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap();
    inode(2, &[&[DATA, NO_FRAGMENT, 0, length], sizes].concat())
}

fn metadata() -> Entry {
    let length = u32::try_from(METADATA.len()).unwrap();
    let file = file(METADATA.len(), &[length | PLAIN]);
    entry("metadata.yaml", 2, file)
}

fn rootfs() -> Entry {
    entry("rootfs", 1, directory())
}

fn with(entries: impl IntoIterator<Item = Entry>) -> Image {
    Image {
        entries: entries.into_iter().collect(),
        root: None,
        chunk: 8192,
        is_packed: false,
    }
}

fn good() -> Image {
    with([metadata(), rootfs()])
}

impl Image {
    fn build(&self) -> Vec<u8> {
        let mut image = vec![0; 96];
        image.extend(METADATA);
        let mut inodes = Vec::new();
        let mut places = Vec::new();
        for entry in &self.entries {
            places.push(inodes.len());
            inodes.extend(&entry.inode);
        }
        let reference = |place: usize| {
            let block = place / self.chunk * (self.chunk + 2);
            (u32::try_from(block).unwrap(), place % self.chunk)
        };
        let mut listing = Vec::new();
        for (entry, place) in self.entries.iter().zip(&places) {
            let (block, offset) = reference(*place);
            listing.extend([0, block, 0].iter().flat_map(|n| n.to_le_bytes()));
            let length = entry.name.len().wrapping_sub(1);
            for number in [offset, 0, usize::from(entry.kind), length] {
                listing.extend(u16::try_from(number & 0xffff).unwrap().to_le_bytes());
            }
            listing.extend(&entry.name);
        }
        let root = inodes.len();
        let size = u32::try_from(listing.len()).unwrap() + 3;
        let default = inode(8, &[2, size, 0, 0, 0, 0]);
        inodes.extend(self.root.as_ref().unwrap_or(&default));

        let mut starts = Vec::new();
        let length = u32::try_from(METADATA.len()).unwrap();
        let fragment = [DATA, 0, length | PLAIN, 0].map(u32::to_le_bytes).concat();
        for table in [&inodes, &listing, &fragment] {
            starts.push(image.len() as u64);
            image.extend(self.table(table));
        }
        let (fragments, ids) = (image.len() as u64, image.len() as u64 + 8);
        image.extend(starts[2].to_le_bytes());
        image.extend([0; 8]);

        let (block, offset) = reference(root);
        let nowhere = u64::MAX;
        let used = image.len() as u64;
        let reference = u64::from(block) << 16 | offset as u64;
        put(&mut image, 0, b"hsqs");
        put(
            &mut image,
            12,
            &[4096_u32, 1].map(u32::to_le_bytes).concat(),
        );
        let numbers = [1_u16, 12, 0, 1, 4, 0];
        put(&mut image, 20, &numbers.map(u16::to_le_bytes).concat());
        let places = [
            reference, used, ids, nowhere, starts[0], starts[1], fragments, nowhere,
        ];
        put(&mut image, 32, &places.map(u64::to_le_bytes).concat());
        image
    }

    fn table(&self, bytes: &[u8]) -> Vec<u8> {
        let mut table = Vec::new();
        for chunk in bytes.chunks(self.chunk) {
            let (data, flag) = if self.is_packed {
                (zlib(chunk), 0)
            } else {
                (chunk.to_vec(), 1 << 15)
            };
            let length = u16::try_from(data.len()).unwrap() | flag;
            table.extend(length.to_le_bytes());
            table.extend(data);
        }
        table
    }
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

fn inspect(image: &[u8]) -> Result<ImageType, String> {
    let limits = Limits::default();
    match inspect_unified(Cursor::new(image), image.len() as u64, &limits) {
        Ok(inspected) => Ok(inspected.kind),
        Err(error) => Err(error.message().to_owned()),
    }
}

#[track_caller]
fn refusal(image: &Image) -> String {
    inspect(&image.build()).unwrap_err()
}

#[test]
fn images_are_read_from_plain_and_packed_blocks_and_from_fragments() {
    assert_eq!(inspect(&good().build()), Ok(ImageType::Container));
    let packed = Image {
        is_packed: true,
        ..good()
    };
    assert_eq!(inspect(&packed.build()), Ok(ImageType::Container));
    let length = u32::try_from(METADATA.len()).unwrap();
    let in_fragment = inode(2, &[0, 0, 0, length]);
    let image = with([entry("metadata.yaml", 2, in_fragment), rootfs()]);
    assert_eq!(inspect(&image.build()), Ok(ImageType::Container));
    let disk = entry("rootfs.img", 2, file(3, &[3 | PLAIN]));
    let image = with([metadata(), disk]);
    assert_eq!(inspect(&image.build()), Ok(ImageType::VirtualMachine));
    let split_up = Image { chunk: 5, ..good() };
    assert_eq!(inspect(&split_up.build()), Ok(ImageType::Container));
}

#[test]
fn names_at_the_top_mean_what_they_mean_in_archives() {
    let link = || inode(3, &[1, 1, u32::from(b'x')]);
    let pipe = || inode(6, &[1]);
    for (kind, inode) in [(1, directory()), (3, link()), (6, pipe())] {
        let image = with([entry("metadata.yaml", kind, inode), rootfs()]);
        let text = "Cannot read non-regular file \"metadata.yaml\"";
        assert_eq!(refusal(&image), text);
    }
    for name in ["rootfs", "templates"] {
        let image = with([metadata(), entry(name, 3, link())]);
        let text = format!("Image has a link in place of {name:?}");
        assert_eq!(refusal(&image), text);
    }
    for (name, kind, inode) in [
        ("rootfs", 2, file(0, &[])),
        ("rootfs", 6, pipe()),
        ("rootfs.img", 1, directory()),
        ("rootfs.img", 3, link()),
        ("root", 1, directory()),
    ] {
        let image = with([metadata(), entry(name, kind, inode)]);
        assert_eq!(refusal(&image), "Invalid instance type", "{name} {kind}");
    }
    assert_eq!(refusal(&with([rootfs()])), MISSING);
    assert_eq!(refusal(&with([])), MISSING);
    let empty = with([entry("metadata.yaml", 2, file(0, &[])), rootfs()]);
    assert_eq!(refusal(&empty), "EOF");
}

#[test]
fn a_disk_that_refers_to_another_file_is_refused() {
    let mut image = with([
        metadata(),
        entry("rootfs.img", 2, file(47, &[0x2f | PLAIN])),
    ])
    .build();
    put(
        &mut image,
        DATA as usize,
        b"QFI\xfb\0\0\0\x03\0\0\0\0\0\0\0\x01",
    );
    // The metadata are the same bytes, but are read only once everything is known.
    assert_eq!(
        inspect(&image).unwrap_err(),
        "Disk images with a backing file are not allowed"
    );
}

#[test]
fn names_that_are_none_or_come_twice_are_refused() {
    for name in ["", ".", "..", "a/b", "/", "a\0", &"x".repeat(257)] {
        let image = with([entry(name, 1, directory())]);
        assert_eq!(refusal(&image), MISSING, "{name:?}");
    }
    for name in ["z/b", "z\0", &"z".repeat(257)] {
        let image = with([metadata(), rootfs(), entry(name, 1, directory())]);
        let text = refusal(&image);
        assert!(text.starts_with(DAMAGED), "{text}");
    }
    let longest = entry("x".repeat(256), 1, directory());
    let image = with([metadata(), rootfs(), longest]);
    assert_eq!(inspect(&image.build()), Ok(ImageType::Container));
    for last in ["metadata.yaml", "rootfs", "a"] {
        let image = with([metadata(), rootfs(), entry(last, 1, directory())]);
        assert_eq!(refusal(&image), format!("{DAMAGED}names are not in order"));
    }
}

#[test]
fn an_entry_must_be_what_its_inode_is() {
    for (kind, inode) in [
        (2, directory()),
        (1, file(0, &[])),
        (8, inode(8, &[0; 6])),
        (0, directory()),
        (1, inode(0, &[0; 8])),
        (1, inode(15, &[0; 8])),
    ] {
        let refused = refusal(&with([
            metadata(),
            rootfs(),
            entry("templates", kind, inode),
        ]));
        assert!(refused.starts_with(DAMAGED), "{refused}");
    }
}

#[test]
fn data_that_are_not_there_are_refused() {
    let length = METADATA.len();
    let size = u32::try_from(length).unwrap();
    let far = inode(2, &[u32::MAX, NO_FRAGMENT, 0, size, size | PLAIN]);
    let early = inode(2, &[0, NO_FRAGMENT, 0, size, size | PLAIN]);
    for inode in [
        file(length, &[size]),
        file(length, &[(size - 1) | PLAIN]),
        file(length, &[(size + 1) | PLAIN]),
        file(length, &[PLAIN]),
        file(length, &[u32::MAX]),
        file(4096, &[0x1001 | PLAIN]),
        far,
        early,
        inode(2, &[0, 1, 0, size]),
        inode(2, &[0, 0, 1, size]),
        inode(2, &[0, 0, u32::MAX, size]),
        inode(2, &[0, 0, 0, size + 1]),
    ] {
        let image = with([entry("metadata.yaml", 2, inode), rootfs()]);
        assert_eq!(refusal(&image), MISSING);
    }
}

#[test]
fn metadata_are_bounded() {
    let sparse = |length: usize| {
        let sizes = vec![0; length.div_ceil(4096)];
        refusal(&with([
            entry("metadata.yaml", 2, file(length, &sizes)),
            rootfs(),
        ]))
    };
    assert!(sparse(1 << 20).starts_with("yaml: "));
    assert_eq!(
        sparse((1 << 20) + 1),
        "metadata.yaml is larger than 1048576 bytes"
    );
    let endless = [0, 0, u32::MAX, u32::MAX, 0, 0, 1, NO_FRAGMENT, 0, 0];
    let endless = entry("metadata.yaml", 2, inode(9, &endless));
    assert!(refusal(&with([endless, rootfs()])).contains("larger than"));
}

#[test]
fn entries_are_bounded() {
    let image = good().build();
    let limits = Limits {
        entries: 1,
        ..Limits::default()
    };
    let error = inspect_unified(Cursor::new(&image), 0, &limits).unwrap_err();
    assert_eq!(error.message(), "Image has more than 1 entries");
    let limits = Limits {
        entries: 2,
        ..limits
    };
    assert!(inspect_unified(Cursor::new(&image), 0, &limits).is_ok());
}

#[test]
fn a_directory_is_bounded_in_every_way() {
    let began = Instant::now();
    let many = |count| (0..count).map(|n| entry(format!("n{n:06}"), 1, Vec::new()));
    let image = with(
        [metadata()]
            .into_iter()
            .chain(many(99_999))
            .chain([rootfs()]),
    );
    assert_eq!(refusal(&image), "Image has more than 100000 entries");
    let image = with(
        [metadata()]
            .into_iter()
            .chain(many(99_998))
            .chain([rootfs()]),
    );
    assert_eq!(inspect(&image.build()), Ok(ImageType::Container));

    // Another length than there is, or another place.
    for (place, size) in [
        (0, u32::MAX),
        (0, (16 << 20) + 4),
        (0, 1 << 20),
        (u32::MAX, 50),
        (1, 50),
    ] {
        let root = Some(inode(8, &[2, size, place, 0, 0, 0]));
        assert!(
            inspect(&Image { root, ..good() }.build()).is_err(),
            "{place} {size}"
        );
    }
    // More names after a header than there may be.
    let mut image = good().build();
    let listing = usize::try_from(u64::from_le_bytes(image[72..80].try_into().unwrap())).unwrap();
    for count in [256, u32::MAX] {
        put(&mut image, listing + 2, &count.to_le_bytes());
        assert_eq!(inspect(&image).unwrap_err(), MISSING);
    }
    // A long directory in blocks of a byte each.
    let crumbs = Image {
        chunk: 1,
        ..with(many(500).chain([rootfs()]))
    };
    assert_eq!(refusal(&crumbs), MISSING);
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_root_that_holds_itself_or_is_no_directory_is_refused() {
    let root = Some(file(0, &[]));
    assert_eq!(refusal(&Image { root, ..good() }), MISSING);
    let root = Some(Vec::new());
    assert_eq!(refusal(&Image { root, ..good() }), MISSING);
    // An entry without an inode of its own gets the next one: the root.
    let image = with([metadata(), rootfs(), entry("templates", 1, Vec::new())]);
    assert_eq!(
        refusal(&image),
        format!("{DAMAGED}the root is in a directory")
    );
    let mut image = good().build();
    put(&mut image, 32, &u64::MAX.to_le_bytes());
    assert_eq!(inspect(&image).unwrap_err(), MISSING);
}

#[test]
fn a_superblock_that_makes_no_sense_is_refused() {
    let image = good().build();
    let used = image.len() as u64;
    let shorts = [
        (20, &[0_u16, 7, u16::MAX][..]),
        (22, &[0, 11, 13, 31, 32, u16::MAX]),
        (26, &[0]),
        (28, &[3, 5]),
        (30, &[1]),
    ];
    for (at, values) in shorts {
        for value in values {
            let mut image = image.clone();
            put(&mut image, at, &value.to_le_bytes());
            assert_eq!(inspect(&image).unwrap_err(), MISSING, "{at} {value}");
        }
    }
    for size in [0, 1, 2048, 4095, 8192, 2 << 20, u32::MAX] {
        let mut image = image.clone();
        put(&mut image, 12, &u32::to_le_bytes(size));
        assert_eq!(inspect(&image).unwrap_err(), MISSING, "{size}");
    }
    for at in [40, 48, 56, 64, 72, 80, 88] {
        for place in [0, 95, used, used + 1, u64::MAX - 1] {
            let mut image = image.clone();
            put(&mut image, at, &place.to_le_bytes());
            let is_good = at == 40 && place == used;
            assert_eq!(inspect(&image).is_ok(), is_good, "{at} {place}");
        }
    }
    let mut lzo = image;
    put(&mut lzo, 20, &[3]);
    let text = "Squashfs images compressed by lzo are not supported";
    assert_eq!(inspect(&lzo).unwrap_err(), text);
}

#[test]
fn nothing_panics_and_nothing_takes_long_whatever_is_changed() {
    let began = Instant::now();
    for is_packed in [false, true] {
        let image = Image {
            is_packed,
            ..good()
        }
        .build();
        for length in 0..image.len() {
            let mut cut = image[..length].to_vec();
            assert!(inspect(&cut).is_err(), "{length}");
            if (96..image.len() - 8).contains(&length) {
                put(&mut cut, 40, &(length as u64).to_le_bytes());
                assert!(inspect(&cut).is_err(), "{length}");
            }
        }
        for at in 4..image.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, image[at] ^ 1, image[at] ^ 0x80] {
                let mut image = image.clone();
                image[at] = value;
                drop(inspect(&image));
            }
        }
    }
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "{:?}",
        began.elapsed()
    );
}
