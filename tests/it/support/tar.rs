//! Tar archives header by header, so that they can be as wrong as an attacker makes them.

/// What a header says an entry is.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A regular file.
    File = b'0',
    /// A hard link.
    HardLink = b'1',
    /// A symbolic link.
    SymbolicLink = b'2',
    /// A character device.
    CharacterDevice = b'3',
    /// A block device.
    BlockDevice = b'4',
    /// A directory.
    Directory = b'5',
    /// A named pipe.
    Fifo = b'6',
    /// What GNU tar says of the name of the entry after it.
    LongName = b'L',
    /// What POSIX says of all entries after it.
    Global = b'g',
    /// What POSIX says of the entry after it.
    Extended = b'x',
}

/// The types that one name can have.
pub(crate) const KINDS: [Kind; 7] = [
    Kind::File,
    Kind::HardLink,
    Kind::SymbolicLink,
    Kind::CharacterDevice,
    Kind::BlockDevice,
    Kind::Directory,
    Kind::Fifo,
];

/// An archive being written. Entries stand in the order they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// An empty archive.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(Kind::File, name, "", content.as_ref())
    }

    /// Adds a directory.
    pub(crate) fn directory(self, name: &str) -> Self {
        self.entry(Kind::Directory, name, "", b"")
    }

    /// Adds a link, device or pipe.
    pub(crate) fn special(self, kind: Kind, name: &str, target: &str) -> Self {
        self.entry(kind, name, target, b"")
    }

    /// Adds an extended header with these records.
    pub(crate) fn extended(self, records: &[(&str, &str)]) -> Self {
        let records: Vec<u8> = records.iter().flat_map(|(k, v)| record(k, v)).collect();
        self.entry(Kind::Extended, "pax", "", &records)
    }

    /// Adds a file whose header announces another size than it has.
    pub(crate) fn file_of_size(mut self, name: &str, size_bytes: u64, content: &[u8]) -> Self {
        self.bytes.extend(header(Kind::File, name, "", size_bytes));
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// Adds blocks as they are.
    pub(crate) fn raw(mut self, blocks: &[u8]) -> Self {
        self.bytes.extend_from_slice(blocks);
        self
    }

    /// Adds a header that announces `size_bytes`, with no content behind it.
    pub(crate) fn announce(mut self, name: &str, size_bytes: u64) -> Self {
        self.bytes.extend(header(Kind::File, name, "", size_bytes));
        self
    }

    /// Adds any entry.
    pub(crate) fn entry(mut self, kind: Kind, name: &str, target: &str, content: &[u8]) -> Self {
        self.bytes
            .extend(header(kind, name, target, content.len() as u64));
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// The archive without the zero blocks at its end.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.bytes
    }

    /// The whole archive.
    pub(crate) fn build(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(10240), 0);
        self.bytes
    }
}

/// A record of an extended header, with the length of all of it in front.
pub(crate) fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

/// A POSIX (ustar) header.
fn header(kind: Kind, name: &str, target: &str, size_bytes: u64) -> [u8; 512] {
    let mut block = [0; 512];
    let mode = if matches!(kind, Kind::Directory) {
        0o755
    } else {
        0o644
    };
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, format!("{mode:07o}\0").as_bytes());
    put(&mut block, 108, b"0000000\x000000000\0");
    put(&mut block, 124, format!("{size_bytes:011o}\0").as_bytes());
    put(&mut block, 136, b"00000000001\0        ");
    block[156] = kind as u8;
    put(&mut block, 157, target.as_bytes());
    put(&mut block, 257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    block
}

fn put(block: &mut [u8; 512], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}
