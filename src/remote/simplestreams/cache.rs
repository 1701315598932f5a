//! Documents kept on disk: `cache/HASH-OF-THE-URL`, a line of JSON about the document and then the
//! document itself. When it was last found to be current is the file's modification time, when it
//! was last asked for its access time.

use std::{
    fs::{self, File, FileTimes, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::remote::Pin;

/// The longest line about a document.
const MAX_LINE_BYTES: u64 = 16 * 1024;

/// What is known about a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_modified: Option<String>,
    /// SHA-256 of the document.
    pub(super) sha256: String,
}

/// A document on disk.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) about: About,
    pub(super) checked: OffsetDateTime,
}

/// The directory of documents. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Cache(PathBuf);

impl Cache {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    // What one certificate vouched for is not what another one would have.
    fn path(&self, url: &str, pin: Option<&Pin>) -> PathBuf {
        let mut digest = Sha256::new();
        digest.update(url);
        if let Some(pin) = pin {
            digest.update(b"\n");
            digest.update(pin.der());
        }
        self.0.join(hex::encode(digest.finalize()))
    }

    /// What is kept of a URL, without the document itself, which is asked for now. A file that
    /// cannot be read is as good as none.
    pub(super) fn find(&self, url: &str, pin: Option<&Pin>, now: OffsetDateTime) -> Option<Kept> {
        let (about, _, file) = open(&self.path(url, pin)).ok()?;
        let checked = file.metadata().and_then(|data| data.modified()).ok()?;
        let checked = checked.into();
        if let Err(error) = file.set_times(FileTimes::new().set_accessed(now.into())) {
            tracing::debug!(%error, url, "the kept stream cannot be touched");
        }
        (about.url == url).then_some(Kept { about, checked })
    }

    /// The document itself, if it is still whole and no longer than `max_bytes`.
    pub(super) fn read(
        &self,
        about: &About,
        pin: Option<&Pin>,
        max_bytes: usize,
    ) -> Option<Vec<u8>> {
        let (_, reader, _) = open(&self.path(&about.url, pin)).ok()?;
        let mut body = Vec::new();
        reader
            .take(max_bytes as u64 + 1)
            .read_to_end(&mut body)
            .ok()?;
        let is_whole = hex::encode(Sha256::digest(&body)) == about.sha256;
        (is_whole && body.len() <= max_bytes).then_some(body)
    }

    /// Keeps a document. When that fails, it will be fetched again.
    pub(super) fn write(&self, about: &About, pin: Option<&Pin>, body: &[u8]) {
        let path = self.path(&about.url, pin);
        if let Err(error) = self.try_write(&path, about, body) {
            tracing::warn!(%error, url = about.url, "the stream cannot be kept");
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what is lost of this cache is fetched again"
    )]
    fn try_write(&self, path: &Path, about: &About, body: &[u8]) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let new = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| {
                serde_json::to_writer(&mut file, about)?;
                file.write_all(b"\n")?;
                file.write_all(body)?;
                file.sync_data()?;
                fs::rename(&new, path)
            });
        if written.is_err() {
            drop(fs::remove_file(&new));
        }
        written
    }

    /// Removes the documents that were last asked for and found to be current before `then`, and
    /// what a write left behind. Returns how many.
    pub(super) fn remove_unused(&self, then: OffsetDateTime) -> io::Result<usize> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry?;
            let data = entry.metadata()?;
            let used = data.modified()?.max(data.accessed()?);
            if OffsetDateTime::from(used) < then {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The document was found to be current.
    pub(super) fn touch(&self, about: &About, pin: Option<&Pin>, now: OffsetDateTime) {
        let file = OpenOptions::new()
            .append(true)
            .open(self.path(&about.url, pin));
        let touched = file.and_then(|file| file.set_modified(now.into()));
        if let Err(error) = touched {
            tracing::debug!(%error, url = about.url, "the kept stream cannot be touched");
        }
    }
}

fn open(path: &Path) -> io::Result<(About, BufReader<File>, File)> {
    let file = File::open(path)?;
    let mut reader = BufReader::new(file.try_clone()?);
    let mut line = Vec::new();
    reader
        .by_ref()
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut line)?;
    Ok((serde_json::from_slice(&line)?, reader, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_back_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("cache"));
        let url = "https://a.org/streams/v1/index.json";
        let now = time::macros::datetime!(2030-01-01 12:00 UTC);
        assert!(cache.find(url, None, now).is_none());
        let body = b"{\"a\":\n1}\n";
        let about = About {
            url: url.to_owned(),
            etag: Some("\"x\"".to_owned()),
            last_modified: None,
            sha256: hex::encode(Sha256::digest(body)),
        };
        cache.write(&about, None, body);
        let kept = cache.find(url, None, now).unwrap();
        assert_eq!(kept.about, about);
        assert_eq!(cache.read(&about, None, 100).unwrap(), body);
        assert!(cache.read(&about, None, body.len() - 1).is_none());
        assert!(cache.find("https://a.org/", None, now).is_none());
        let path = cache.path(url, None);
        let mut torn = fs::read(&path).unwrap();
        torn.pop();
        fs::write(&path, torn).unwrap();
        assert!(cache.read(&about, None, 100).is_none());
        // It was last found to be current long ago, and is asked for all the time.
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        file.set_modified((now - time::Duration::days(90)).into())
            .unwrap();
        assert!(cache.find(url, None, now).is_some());
        assert_eq!(cache.remove_unused(now).unwrap(), 0);
        let later = now + time::Duration::nanoseconds(1);
        assert_eq!(cache.remove_unused(later).unwrap(), 1);
        assert!(cache.find(url, None, now).is_none());
        fs::write(&path, b"").unwrap();
        assert!(cache.find(url, None, now).is_none());
    }
}
