//! The `Range` header: which stretches of a file are wanted.

/// A `Range` header with more stretches than this is ignored, as RFC 9110 14.2 permits: each costs
/// a header of its own in the answer.
const MAX_RANGES: usize = 256;

/// A stretch of a file that lies within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Where it starts, in bytes from the file's beginning.
    pub(super) start: u64,
    /// How many bytes it has; 0 only for the suffix `-0`.
    pub(super) length: u64,
}

impl Range {
    /// The `Content-Range` of this stretch of a file of `size` bytes.
    pub(super) fn content_range(self, size: u64) -> String {
        let end = i128::from(self.start) + i128::from(self.length) - 1;
        format!("bytes {}-{end}/{size}", self.start)
    }
}

/// Why a `Range` header gets 416.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not in the form that ranges have.
    Malformed,
    /// All it asks for lies behind the end.
    NoOverlap,
}

impl Refusal {
    /// Go's text for it, which is the body of the answer.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Malformed => "invalid range\n",
            Self::NoOverlap => "invalid range: failed to overlap\n",
        }
    }
}

/// The stretches that `header` names of a file of `size` bytes, as Go reads them; none means the
/// whole file, which is also the answer to ranges that are more than the file together.
pub(super) fn parse(header: &str, size: u64) -> Result<Vec<Range>, Refusal> {
    let list = header.strip_prefix("bytes=").ok_or(Refusal::Malformed)?;
    let (mut ranges, mut missed) = (Vec::new(), false);
    for item in list.split(',').map(trim).filter(|item| !item.is_empty()) {
        match parse_one(item, size)? {
            Some(range) if ranges.len() <= MAX_RANGES => ranges.push(range),
            Some(_) => {}
            None => missed = true,
        }
    }
    if missed && ranges.is_empty() {
        return Err(Refusal::NoOverlap);
    }
    let sum = ranges.iter().fold(0, |sum: u64, range| sum.saturating_add(range.length));
    if sum > size || ranges.len() > MAX_RANGES {
        ranges.clear();
    }
    Ok(ranges)
}

/// One `start-end`, `start-` or `-suffix`; `None` when it starts behind the end.
fn parse_one(item: &str, size: u64) -> Result<Option<Range>, Refusal> {
    let (start, end) = item.split_once('-').ok_or(Refusal::Malformed)?;
    let (start, end) = (trim(start), trim(end));
    if start.is_empty() {
        let length = number(end)?.min(size);
        return Ok(Some(Range { start: size - length, length }));
    }
    let start = number(start)?;
    if start >= size {
        return Ok(None);
    }
    let last = if end.is_empty() { size } else { number(end)? };
    if last < start {
        return Err(Refusal::Malformed);
    }
    Ok(Some(Range { start, length: last.min(size - 1) - start + 1 }))
}

/// A number as Go's `ParseInt` takes it: up to 63 bits, perhaps with a plus sign.
fn number(text: &str) -> Result<u64, Refusal> {
    let signed = text.parse::<i64>().ok().filter(|_| !text.starts_with('-'));
    signed.and_then(|number| u64::try_from(number).ok()).ok_or(Refusal::Malformed)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(header: &str) -> Result<Vec<(u64, u64)>, Refusal> {
        let parsed = parse(header, 10240)?;
        Ok(parsed.into_iter().map(|range| (range.start, range.length)).collect())
    }

    #[test]
    fn ranges_are_read_as_lxd_reads_them() {
        for (header, expected) in [
            ("bytes=0-9", vec![(0, 10)]),
            ("bytes=-5", vec![(10235, 5)]),
            ("bytes=10230-", vec![(10230, 10)]),
            ("bytes=0-99999999", vec![(0, 10240)]),
            ("bytes=-99999999", vec![(0, 10240)]),
            ("bytes=10239-10240", vec![(10239, 1)]),
            ("bytes=0-1,5-6", vec![(0, 2), (5, 2)]),
            ("bytes=1-2, 3-4,", vec![(1, 2), (3, 2)]),
            ("bytes= 1 - 2 ", vec![(1, 2)]),
            ("bytes=\t1-2", vec![(1, 2)]),
            ("bytes=+1-+3", vec![(1, 3)]),
            ("bytes=1-2,99999999-", vec![(1, 2)]),
            ("bytes=-0", vec![(10240, 0)]),
            ("bytes=", vec![]),
            ("bytes=,", vec![]),
            ("bytes=0-10239,0-0", vec![]),
        ] {
            assert_eq!(ranges(header), Ok(expected), "{header}");
        }
    }

    #[test]
    fn what_is_no_range_is_told_from_what_lies_behind_the_end() {
        for header in ["bytes=99999999-", "bytes=10240-", "bytes=10240-,20000-30000"] {
            assert_eq!(ranges(header), Err(Refusal::NoOverlap), "{header}");
        }
        for header in [
            "", "items=0-1", "Bytes=0-1", "bytes =0-1", "bytes=5-2", "bytes=x", "bytes=-", "bytes=5",
            "bytes=0--1", "bytes=--5", "bytes=--0", "bytes=99999999999999999999-",
            "bytes=0-99999999999999999999", "bytes=0-1,x", "bytes=99999999-,x",
        ] {
            assert_eq!(ranges(header), Err(Refusal::Malformed), "{header}");
        }
    }

    #[test]
    fn a_header_with_very_many_ranges_gets_the_whole_file() {
        let header = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(ranges(&header(MAX_RANGES)).map(|all| all.len()), Ok(MAX_RANGES));
        assert_eq!(ranges(&header(MAX_RANGES + 1)), Ok(vec![]));
        assert_eq!(ranges(&header(10 * MAX_RANGES)), Ok(vec![]));
    }

    #[test]
    fn an_empty_file_overlaps_nothing() {
        assert_eq!(parse("bytes=0-", 0), Err(Refusal::NoOverlap));
        assert_eq!(parse("bytes=-5", 0), Ok(vec![Range { start: 0, length: 0 }]));
        assert_eq!(Range { start: 0, length: 0 }.content_range(0), "bytes 0--1/0");
    }

    #[test]
    fn content_ranges_name_the_last_byte_and_the_size() {
        assert_eq!(Range { start: 5, length: 2 }.content_range(10240), "bytes 5-6/10240");
    }
}
