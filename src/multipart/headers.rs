//! The headers of a part.

use bytes::Bytes;
use futures_util::Stream;

use super::{
    disposition::Disposition,
    input::{Input, Text},
    quote::quote,
    too_large,
};
use crate::error::{Error, Result};

/// How many bytes the headers of a part may have together.
const MAX_BYTES: usize = 64 * 1024;

/// How many headers a part may have.
const MAX_FIELDS: usize = 100;

/// Reads the headers of a part and the empty line behind them.
///
/// # Errors
///
/// `EOF` when the body ends among them, `malformed MIME header...` for a line without a colon,
/// `multipart: message too large`, `Invalid multipart image` for an encoded part.
pub(super) async fn read<S, E>(input: &mut Input<S>) -> Result<Disposition>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: Into<Error> + Send,
{
    let mut fields = Fields::default();
    let mut left = MAX_BYTES;
    loop {
        let line = match input.line(left).await? {
            Text::TooLong => return Err(too_large()),
            Text::Rest(rest) if rest.is_empty() => return Err(Error::failed("EOF")),
            Text::Line(line) | Text::Rest(line) => line,
        };
        left -= line.len();
        let text = line
            .strip_suffix(b"\n")
            .map_or(&*line, |l| l.strip_suffix(b"\r").unwrap_or(l));
        if text.is_empty() {
            return fields.into_disposition();
        }
        fields.add(text)?;
    }
}

/// The headers so far: names as sent, values trimmed and unfolded.
#[derive(Default)]
struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    /// Takes a line without its end: a header, or more of the one before.
    fn add(&mut self, line: &[u8]) -> Result<()> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return self.unfold(line);
        }
        let colon = memchr::memchr(b':', line).and_then(|at| line.split_at_checked(at));
        let Some((name, value)) = colon else {
            let text = format!("malformed MIME header: missing colon: {}", quote(line));
            return Err(Error::failed(text));
        };
        if self.0.len() == MAX_FIELDS {
            return Err(too_large());
        }
        let value = value.strip_prefix(b":").unwrap_or(value);
        self.0.push((name.to_vec(), value.trim_ascii().to_vec()));
        Ok(())
    }

    fn unfold(&mut self, line: &[u8]) -> Result<()> {
        let Some((_, value)) = self.0.last_mut() else {
            let line = String::from_utf8_lossy(line);
            let text = format!("malformed MIME header initial line: {line}");
            return Err(Error::failed(text));
        };
        value.push(b' ');
        value.extend_from_slice(line.trim_ascii());
        Ok(())
    }

    /// LXD: Go decodes `quoted-printable` parts. No client sends image files so; storing other
    /// bytes than Go would is worse than a refusal.
    fn into_disposition(self) -> Result<Disposition> {
        let encoding = self.get("Content-Transfer-Encoding").unwrap_or_default();
        if encoding.eq_ignore_ascii_case(b"quoted-printable") {
            return Err(Error::failed("Invalid multipart image"));
        }
        Ok(self
            .get("Content-Disposition")
            .map(Disposition::parse)
            .unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        let is_it = |(found, _): &&(Vec<u8>, Vec<u8>)| found.eq_ignore_ascii_case(name.as_bytes());
        self.0.iter().find(is_it).map(|(_, value)| value.as_slice())
    }
}
