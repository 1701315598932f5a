//! `multipart/form-data`, written and read by hand.

/// One part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its header lines.
    pub(crate) headers: Vec<String>,
    /// Its content.
    pub(crate) bytes: Vec<u8>,
}

/// A body of parts.
#[derive(Debug, Clone)]
pub(crate) struct Multipart {
    parts: Vec<Part>,
}

/// The boundary of every body made here.
const BOUNDARY: &str = "0123456789abcdef";

/// The `Content-Type` that goes with it.
pub(crate) const CONTENT_TYPE: &str = "multipart/form-data; boundary=0123456789abcdef";

impl Multipart {
    /// A body without parts.
    pub(crate) fn new() -> Self {
        Self { parts: Vec::new() }
    }

    /// A split image as `lxc` sends it.
    pub(crate) fn split(metadata: &[u8], rootfs_name: &str, rootfs: &[u8]) -> Self {
        Self::new()
            .part("metadata", "meta.tar", metadata)
            .part(rootfs_name, "root.img", rootfs)
    }

    /// Adds a file.
    pub(crate) fn part(self, name: &str, filename: &str, bytes: &[u8]) -> Self {
        let disposition = format!("form-data; name=\"{name}\"; filename=\"{filename}\"");
        self.raw_part(&[&format!("Content-Disposition: {disposition}")], bytes)
    }

    /// Adds a part with these header lines.
    pub(crate) fn raw_part(mut self, headers: &[&str], bytes: &[u8]) -> Self {
        let headers = headers.iter().map(|&line| line.to_owned()).collect();
        self.parts.push(Part {
            headers,
            bytes: bytes.to_vec(),
        });
        self
    }

    /// The whole body.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = self.without_end();
        body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
        body
    }

    /// The body without its closing delimiter.
    pub(crate) fn without_end(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for part in &self.parts {
            let headers = part.headers.join("\r\n");
            body.extend(format!("--{BOUNDARY}\r\n{headers}\r\n\r\n").into_bytes());
            body.extend_from_slice(&part.bytes);
            body.extend_from_slice(b"\r\n");
        }
        body
    }

    /// Reads a body that ends as it should.
    #[track_caller]
    pub(crate) fn parse(body: &[u8], boundary: &str) -> Vec<Part> {
        let delimiter = format!("\r\n--{boundary}");
        let framed = [b"\r\n", body].concat();
        let mut pieces = split(&framed, delimiter.as_bytes());
        assert!(
            pieces.remove(0).is_empty(),
            "nothing stands before the first delimiter"
        );
        let end = pieces
            .iter()
            .position(|piece| piece.starts_with(b"--"))
            .unwrap();
        pieces[..end]
            .iter()
            .map(|piece| Part::parse(piece))
            .collect()
    }
}

impl Part {
    fn parse(piece: &[u8]) -> Self {
        let end = piece
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(piece[2..end].to_vec()).unwrap();
        let headers = head.split("\r\n").map(str::to_owned).collect();
        Self {
            headers,
            bytes: piece[end + 4..].to_vec(),
        }
    }
}

fn split<'a>(bytes: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest
        .windows(delimiter.len())
        .position(|window| window == delimiter)
    {
        pieces.push(&rest[..at]);
        rest = &rest[at + delimiter.len()..];
    }
    pieces.push(rest);
    pieces
}
