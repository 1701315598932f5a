//! Answers that send image files: one file with ranges and conditions, or several as a form.
//!
//! The bytes come from open descriptors, so an image that is deleted meanwhile is still sent whole.
//! What cannot be sent whole is never ended well-formed: the body fails, the connection is cut.
//! Deliberately absent: which files an image has, what they are called, who may read them.
//! Start with [`unified`] and [`split`].

mod answer;
mod body;
mod conditions;
mod content;
mod date;
mod range;
#[cfg(test)]
mod tests;

use std::{fs::File, io};

use axum::response::Response;
use http::{HeaderMap, Method};
use time::OffsetDateTime;

/// Something that is dropped when the last byte was handed over, the client went away or reading
/// failed, whichever comes first: a lock, a counter, a guard that tells somebody.
pub(crate) type Lease = Box<dyn Send>;

/// One file to be sent as it is.
pub(crate) struct Download {
    /// Where the bytes come from; read by position, so its cursor does not matter.
    pub(crate) file: File,
    /// The name that the client is told.
    pub(crate) filename: String,
    /// How many bytes are promised. A file that has fewer aborts the transfer.
    pub(crate) size_bytes: u64,
    /// When the contents last changed; `None` sends no `Last-Modified`.
    pub(crate) modified: Option<OffsetDateTime>,
    /// What names exactly these bytes (the fingerprint), without quotes.
    /// LXD: sends none; with it a resumed download cannot mix two images.
    pub(crate) etag: Option<String>,
    /// Held until the transfer ends.
    pub(crate) lease: Lease,
}

impl Download {
    /// The whole of `file` as it is now, with its own time of change, no tag and no lease.
    ///
    /// # Errors
    ///
    /// When the file's size cannot be asked for.
    pub(crate) fn new(file: File, filename: impl Into<String>) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let modified = metadata.modified().ok().map(OffsetDateTime::from);
        let (filename, size_bytes) = (filename.into(), metadata.len());
        Ok(Self {
            file,
            filename,
            size_bytes,
            modified,
            etag: None,
            lease: Box::new(()),
        })
    }

    /// The same with a strong `ETag`; `tag` goes between its quotes.
    #[must_use]
    pub(crate) fn tagged(mut self, tag: impl Into<String>) -> Self {
        self.etag = Some(tag.into());
        self
    }
}

/// One file of a form.
pub(crate) struct Part {
    /// The form's name for it: `metadata`, `rootfs` or `rootfs.img`.
    pub(crate) name: String,
    /// The name that the client is told.
    pub(crate) filename: String,
    /// Where the bytes come from; read by position.
    pub(crate) file: File,
    /// How many bytes are promised. A file that has fewer aborts the transfer.
    pub(crate) size_bytes: u64,
}

/// Answers GET or HEAD for one file: 200, 206, 304, 412 or 416, as Go's `http.ServeContent` does.
///
/// LXD: its 412 and 416 announce the length of the file and send less; here the length is right.
pub(crate) fn unified(download: Download, method: &Method, request: &HeaderMap) -> Response {
    answer::unified(download, method, request)
}

/// Answers GET or HEAD for several files: 200 with one `multipart/form-data` body.
///
/// Ranges and conditions are ignored, as LXD does. LXD: sends no length, so that a cut-off looks
/// like an end, and ends the form twice; here the length is announced and the form ends once.
pub(crate) fn split(parts: Vec<Part>, method: &Method, lease: Lease) -> Response {
    answer::split(parts, method, lease)
}
