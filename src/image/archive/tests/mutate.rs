//! Archives that are wrong in ways that readers differ about: real ones, with something changed.
//! The same number always gives the same archive.

/// Numbers without a pattern.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap()
    }

    fn one_of<'v, T: ?Sized>(&mut self, values: &[&'v T]) -> &'v T {
        values[self.below(values.len())]
    }
}

/// Where a field of a header is, and what is interesting in it.
type Field = (usize, usize, &'static [&'static [u8]]);

const NUMBERS: &[&[u8]] = &[
    b"0000000\0",
    b"0000001\0",
    b"       \0",
    b"\0\0\0\0\0\0\0\0",
    b"  17\0",
    b"-1\0",
    b"+7\0",
    b"9\0",
    b"\x0017\0",
    b"\x80\0\0\0\0\0\0\x05",
    b"\x80\0\0\0\0\0\0\0\0\0\x02\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
    b"\x81\0\0\0\0\0\0\0\0\0\0\x01",
    b"17 x",
    b"77777777777\0",
    b"777777777777",
];

const SIZES: &[&[u8]] = &[
    b"00000000000\0",
    b"00000000001\0",
    b"00000001000\0",
    b"00000002000\0",
    b"00000000777 ",
    b"        777\0",
    b"1000\0 junk",
    b"\x80\0\0\0\0\0\0\0\0\0\x02\0",
    b"\x80\0\0\0\0\0\0\0\0\0\0\x05",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"           \0",
    b"\x00000001000\0",
    b"-0000000001\0",
    b"0x000000200\0",
];

const NAMES: &[&[u8]] = &[
    b"a\0",
    b"\0",
    b"./a\0",
    b"a/\0",
    b"a//\0",
    b"/a\0",
    b"../a\0",
    b".\0",
    b"./\0",
    b"/\0",
    b"a b\0",
    b" a\0",
    b"a -> b\0",
    b"a\nb\0",
    b"a\\b\0",
    b"\xff\xfe\0",
    b"\xc3\xa4\0",
    b"metadata.yaml\0",
    b"rootfs/\0",
];

const LINKS: &[&[u8]] = &[b"a\0", b"\0", b".\0", b"/\0", b"a\nb\0", b"\xff\0"];

const MAGICS: &[&[u8]] = &[
    b"ustar\x0000",
    b"ustar  \0",
    b"ustar\0\0\0",
    b"\0\0\0\0\0\0\0\0",
    b"ustar 00",
    b"ustarX00",
    b"USTAR\x0000",
];

const FIELDS: &[Field] = &[
    (0, 100, NAMES),
    (100, 8, NUMBERS),
    (108, 8, NUMBERS),
    (116, 8, NUMBERS),
    (124, 12, SIZES),
    (124, 12, SIZES),
    (136, 12, NUMBERS),
    (157, 100, LINKS),
    (257, 8, MAGICS),
    (265, 32, NAMES),
    (329, 8, NUMBERS),
    (337, 8, NUMBERS),
    (345, 155, NAMES),
    (386, 12, SIZES),
    (398, 12, SIZES),
    (482, 1, &[b"\0", b"\x01", b"1"]),
    (483, 12, SIZES),
    (508, 4, &[b"tar\0", b"\0\0\0\0"]),
];

const FLAGS: &[u8] = b"\x0001234567xgLKSDMNVXAZx0000";

const RECORDS: &[(&str, &str)] = &[
    ("path", "a"),
    ("path", "b/"),
    ("path", ""),
    ("path", "metadata.yaml"),
    ("path", "x\ny"),
    ("path", "x\0y"),
    ("path", "ä"),
    ("linkpath", "t"),
    ("linkpath", ""),
    ("size", "0"),
    ("size", "5"),
    ("size", "512"),
    ("size", "1024"),
    ("size", ""),
    ("size", "-1"),
    ("size", "0x5"),
    ("size", "5.0"),
    ("size", "99999999999999999999"),
    ("mtime", "1.5"),
    ("mtime", "-1"),
    ("mtime", "x"),
    ("mtime", ""),
    ("atime", "1."),
    ("uid", "5"),
    ("uid", "-5"),
    ("uid", "4294967296"),
    ("uname", "root"),
    ("uname", ""),
    ("gname", "a\0b"),
    ("comment", "a=b\n12 path=z\n"),
    ("hdrcharset", "BINARY"),
    ("hdrcharset", "ISO-IR 10646 2000 UTF-8"),
    ("hdrcharset", "latin1"),
    ("GNU.sparse.major", "1"),
    ("GNU.sparse.minor", "0"),
    ("GNU.sparse.name", "s"),
    ("GNU.sparse.realsize", "1024"),
    ("GNU.sparse.size", "1024"),
    ("GNU.sparse.numblocks", "1"),
    ("GNU.sparse.map", "0,5"),
    ("GNU.sparse.offset", "0"),
    ("GNU.sparse.numbytes", "5"),
    ("GNU.volume.label", "v"),
    ("SCHILY.realsize", "7"),
    ("SCHILY.nlink", "7"),
    ("SCHILY.xattr.user.a", "b"),
    ("LIBARCHIVE.xattr.user.a", "Yg"),
    ("SUN.holesdata", "0 5"),
    ("RHT.security.selinux", "x"),
    ("VENDOR.a", "b"),
    ("ä", "b"),
];

/// The `number`th archive: one of `seeds`, with up to four things changed.
pub(super) fn archive(number: u64, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random::new(number);
    let mut blocks: Vec<[u8; 512]> = seeds[random.below(seeds.len())].as_chunks().0.to_vec();
    for _ in 0..=random.below(4) {
        change(&mut random, &mut blocks);
    }
    let mut bytes = blocks.concat();
    match random.below(40) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => bytes.extend(b"trailing"),
        _ => {}
    }
    bytes
}

fn change(random: &mut Random, blocks: &mut Vec<[u8; 512]>) {
    let headers: Vec<usize> = (0..blocks.len())
        .filter(|at| super::super::header::has_checksum(&blocks[*at]))
        .collect();
    let Some(&at) = headers.get(random.below(headers.len().max(1))) else {
        return;
    };
    match random.below(16) {
        0..=5 => {
            let (from, length, values) = FIELDS[random.below(FIELDS.len())];
            let value = random.one_of(values);
            let length = length.min(value.len());
            blocks[at][from..from + length].copy_from_slice(&value[..length]);
        }
        6..=7 => blocks[at][156] = FLAGS[random.below(FLAGS.len())],
        8 => blocks[at][random.below(512)] = u8::try_from(random.below(256)).unwrap(),
        9 => {
            let copy = blocks[at];
            blocks.insert(random.below(blocks.len() + 1), copy);
            return;
        }
        10 => {
            blocks.remove(random.below(blocks.len()));
            return;
        }
        11 => {
            let other = random.below(blocks.len());
            blocks.swap(at, other);
            return;
        }
        12 if random.below(4) == 0 => {
            blocks.insert(random.below(blocks.len() + 1), [0; 512]);
            return;
        }
        _ => {
            insert_extended(random, blocks, at);
            return;
        }
    }
    if random.below(20) > 0 {
        set_checksum(&mut blocks[at]);
    }
}

fn insert_extended(random: &mut Random, blocks: &mut Vec<[u8; 512]>, at: usize) {
    let (flag, data) = match random.below(8) {
        0 => (b'L', long_name(random)),
        1 => (b'K', long_name(random)),
        2 => (b'g', records(random)),
        _ => (b'x', records(random)),
    };
    let entry = super::entry("ext", flag, &data);
    blocks.splice(at..at, entry.as_chunks().0.iter().copied());
}

fn long_name(random: &mut Random) -> Vec<u8> {
    let end: &[u8] = random.one_of(&[&b"\0"[..], b"\0", b"\0", b"", b"\0\0", b"\0x"]);
    let name: &[u8] = random.one_of(&[&b"long"[..], b"long/", b"", b"l\nn", &[b'n'; 300]]);
    [name, end].concat()
}

fn records(random: &mut Random) -> Vec<u8> {
    let mut data = Vec::new();
    for _ in 0..=random.below(3) {
        let (key, value) = RECORDS[random.below(RECORDS.len())];
        data.extend(record(key, value));
    }
    match random.below(24) {
        0 => data[0] = b'0',
        1 => data.truncate(data.len() - 1),
        2 => data.extend(b"\0\0"),
        3 => data.insert(0, b' '),
        4 => data.insert(0, b'0'),
        _ => {}
    }
    data
}

/// A record of an extended header.
pub(super) fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

fn set_checksum(block: &mut [u8; 512]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
