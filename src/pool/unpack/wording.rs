//! What to say of an image that cannot be unpacked.

use std::io;

use rustix::io::Errno;

use crate::error::Error;

/// An entry that could not be made, named as in the root file system.
pub(super) fn entry(path: &[u8], error: impl Into<io::Error>) -> Error {
    let error = error.into();
    let name = lossy(path);
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::EXIST) => Error::failed(format!("Image has a duplicate entry {name:?}")),
        Some(Errno::LOOP | Errno::NOTDIR) => {
            Error::failed(format!("Image has an entry behind a link: {name:?}"))
        }
        _ => failed(error, Some(&name)),
    }
}

/// A failure of reading or writing.
pub(super) fn failed(error: impl Into<io::Error>, name: Option<&str>) -> Error {
    let error = error.into();
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    if matches!(errno, Some(Errno::NOSPC | Errno::DQUOT)) {
        return Error::internal("Unable to unpack image, run out of disk space", error);
    }
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::internal("unexpected EOF", error),
        _ => Error::from(error),
    };
    let reason = match name {
        Some(name) => reason.context(format!("{name:?}")),
        None => reason,
    };
    reason.context("Unpack failed")
}

/// A name to be read by somebody, at most so long.
pub(super) fn lossy(name: &[u8]) -> String {
    const MOST: usize = 256;
    let text = String::from_utf8_lossy(name);
    if text.chars().count() <= MOST {
        return text.into_owned();
    }
    text.chars().take(MOST).chain("…".chars()).collect()
}
