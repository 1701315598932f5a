//! What separates the parts, and where it stands in the bytes.

use memchr::memmem::Finder;

/// The delimiter of one body: a line end, two dashes and the boundary.
pub(super) struct Delimiter {
    text: Vec<u8>,
    line_end: usize,
    finder: Finder<'static>,
}

/// What a line between the parts is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A part begins behind it.
    Delimiter,
    /// Nothing begins behind it.
    End,
    /// Only the line end.
    Empty,
    /// Something else.
    Other,
}

/// What a part's data holds next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// This many bytes of data, at least one.
    Data(usize),
    /// The delimiter, which is not used up.
    End,
    /// Something that cannot be decided yet.
    NeedMore,
}

/// Whether what looks like a delimiter is one; that depends on what follows it.
enum Match {
    Yes,
    No,
    Unknown,
}

impl Delimiter {
    /// The delimiter for `boundary`, with CRLF as line end until the first line says otherwise.
    pub(super) fn new(boundary: &[u8]) -> Self {
        Self::with_line_end(b"\r\n", boundary)
    }

    fn with_line_end(line_end: &[u8], boundary: &[u8]) -> Self {
        let text = [line_end, b"--", boundary].concat();
        let finder = Finder::new(&text).into_owned();
        Self {
            text,
            line_end: line_end.len(),
            finder,
        }
    }

    /// Whether there is nothing that could separate parts.
    pub(super) fn has_empty_boundary(&self) -> bool {
        self.dash_boundary() == b"--"
    }

    /// What `line` (with its end) is. When `first`, no delimiter was seen yet, and one that ends
    /// with LF only makes that the line end of the whole body.
    pub(super) fn judge(&mut self, line: &[u8], first: bool) -> Line {
        if let Some(behind) = line.strip_prefix(self.dash_boundary()) {
            let behind = skip_blanks(behind);
            if first && behind == b"\n" {
                let boundary = self.dash_boundary().get(2..).unwrap_or_default().to_vec();
                *self = Self::with_line_end(b"\n", &boundary);
            }
            if behind == self.line_end() {
                return Line::Delimiter;
            }
        }
        match line {
            _ if self.is_end(line) => Line::End,
            _ if line == self.line_end() => Line::Empty,
            _ => Line::Other,
        }
    }

    /// Whether `line` is the closing delimiter, with or without a line end.
    pub(super) fn is_end(&self, line: &[u8]) -> bool {
        let behind = line
            .strip_prefix(self.dash_boundary())
            .and_then(|l| l.strip_prefix(b"--"));
        behind
            .map(skip_blanks)
            .is_some_and(|rest| rest.is_empty() || rest == self.line_end())
    }

    /// What `window`, a stretch of a part's data, starts with. At the `start` of the data the
    /// delimiter needs no line end. When the body has `ended`, nothing follows the window.
    pub(super) fn scan(&self, window: &[u8], start: bool, ended: bool) -> Scan {
        if start {
            let bare = self.dash_boundary();
            if let Some(behind) = window.strip_prefix(bare) {
                return decide(0, bare.len(), behind, ended);
            }
            if !ended && bare.starts_with(window) {
                return Scan::NeedMore;
            }
        }
        if let Some(at) = self.finder.find(window) {
            let end = at + self.text.len();
            return decide(at, end, window.get(end..).unwrap_or_default(), ended);
        }
        match window.len() - self.undecided_tail(window, ended) {
            0 => Scan::NeedMore,
            count => Scan::Data(count),
        }
    }

    /// How many bytes at the end of `window` may be the beginning of a delimiter.
    fn undecided_tail(&self, window: &[u8], ended: bool) -> usize {
        if ended {
            return 0;
        }
        let from = window.len().saturating_sub(self.text.len());
        let tail = window.get(from..).unwrap_or_default();
        let first = self.text.first().copied().unwrap_or_default();
        let candidate = memchr::memrchr(first, tail).and_then(|at| tail.get(at..));
        candidate
            .filter(|candidate| self.text.starts_with(candidate))
            .map_or(0, <[u8]>::len)
    }

    fn dash_boundary(&self) -> &[u8] {
        self.text.get(self.line_end..).unwrap_or_default()
    }

    fn line_end(&self) -> &[u8] {
        self.text.get(..self.line_end).unwrap_or_default()
    }
}

/// What it means that a delimiter seems to stand from `at` to `end`, with `behind` after it.
fn decide(at: usize, end: usize, behind: &[u8], ended: bool) -> Scan {
    match (follows(behind, ended), at) {
        (Match::No, _) => Scan::Data(end),
        (Match::Yes, 0) => Scan::End,
        (Match::Unknown, 0) => Scan::NeedMore,
        (Match::Yes | Match::Unknown, _) => Scan::Data(at),
    }
}

/// Whether `behind` may follow a delimiter: the end, a blank, a line end, or two dashes.
fn follows(behind: &[u8], ended: bool) -> Match {
    match behind {
        [b' ' | b'\t' | b'\r' | b'\n', ..] | [b'-', b'-', ..] => Match::Yes,
        [] if ended => Match::Yes,
        [] | [b'-'] if !ended => Match::Unknown,
        _ => Match::No,
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let count = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    text.get(count..).unwrap_or_default()
}
