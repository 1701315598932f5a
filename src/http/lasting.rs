//! Answers that last until the database changes: lists and objects that are read again and again
//! are made once.
//!
//! Only rows of the route table that say so are kept; what they answer depends on the database,
//! the caller's view and the target alone.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// The state of the database: another number for each change, by whomever.
pub(crate) type Version = (u64, u64);

/// How many bytes of answers are kept, and of one.
const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_ANSWER_BYTES: usize = MAX_BYTES / 2;

/// Who asks, as far as the answer depends on it, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// [`crate::access::Caller::view`].
    pub(super) view: String,
    /// Path and query.
    pub(super) target: String,
}

/// The body of an answer, and its `ETag`.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// The whole envelope.
    pub(crate) body: Bytes,
    /// What a client may send back as `If-Match`.
    pub(crate) etag: Option<String>,
}

/// What is kept at the moment.
#[derive(Debug, Default)]
pub(crate) struct Lasting(Mutex<Answers>);

/// All of one version.
#[derive(Debug, Default)]
struct Answers {
    version: Version,
    by_key: HashMap<Key, Kept>,
    bytes: usize,
}

impl Lasting {
    /// The answer to the same question, if nothing has changed since.
    pub(super) fn find(&self, version: Version, key: &Key) -> Option<Kept> {
        let answers = self.lock();
        let kept = answers.by_key.get(key)?;
        (answers.version == version).then(|| kept.clone())
    }

    /// Keeps an answer. `version` was asked for before the answer was begun: one that a change
    /// overtook is kept for nothing.
    pub(super) fn keep(&self, version: Version, key: Key, kept: Kept) {
        let size = kept.body.len() + key.target.len();
        if size > MAX_ANSWER_BYTES {
            return;
        }
        let mut answers = self.lock();
        if answers.version != version || answers.bytes + size > MAX_BYTES {
            *answers = Answers {
                version,
                ..Answers::default()
            };
        }
        if answers.by_key.insert(key, kept).is_none() {
            answers.bytes += size;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(target: &str) -> Key {
        Key {
            view: String::new(),
            target: target.to_owned(),
        }
    }

    fn kept(bytes: usize) -> Kept {
        Kept {
            body: Bytes::from(vec![b'x'; bytes]),
            etag: None,
        }
    }

    #[test]
    fn an_answer_lasts_until_a_change() {
        let lasting = Lasting::default();
        lasting.keep((1, 0), key("/a"), kept(3));
        assert_eq!(lasting.find((1, 0), &key("/a")).unwrap().body.len(), 3);
        assert!(lasting.find((1, 0), &key("/b")).is_none());
        assert!(lasting.find((2, 0), &key("/a")).is_none());
        assert!(lasting.find((1, 1), &key("/a")).is_none());
    }

    #[test]
    fn everybody_has_their_own_view() {
        let lasting = Lasting::default();
        lasting.keep((1, 0), key("/a"), kept(3));
        let view = "trusted".to_owned();
        let trusted = Key { view, ..key("/a") };
        assert!(lasting.find((1, 0), &trusted).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let lasting = Lasting::default();
        lasting.keep((1, 0), key("/large"), kept(MAX_ANSWER_BYTES + 1));
        assert!(lasting.find((1, 0), &key("/large")).is_none());
        for number in 0..100 {
            lasting.keep((1, 0), key(&number.to_string()), kept(MAX_BYTES / 10));
            assert!(lasting.lock().bytes <= MAX_BYTES);
        }
        assert!(lasting.find((1, 0), &key("99")).is_some());
        let held: usize = lasting
            .lock()
            .by_key
            .values()
            .map(|kept| kept.body.len())
            .sum();
        assert!(held <= MAX_BYTES);
    }
}
