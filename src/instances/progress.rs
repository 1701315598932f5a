//! How far work on a tree is, in the words that LXD's clients show.

use std::time::Duration;

use tokio::sync::watch;

use crate::{api::objects::Metadata, remote::size_text};

/// How often it is told at most, whatever the size, in parts of the whole.
const STEPS: u64 = 110;

/// How often it is told at most where the whole is not known, in bytes.
const STRIDE_BYTES: u64 = 16 * 1024 * 1024;

/// What is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// LXD's name of the work: `create_image_from_container_pack`.
    pub(super) stage: &'static str,
    /// What clients show before it.
    pub(super) label: &'static str,
}

/// How much is done of how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) bytes: u64,
    /// 0 when that is not known.
    pub(super) total_bytes: u64,
}

impl Done {
    /// Notes that so many bytes are done, and tells it when that is news.
    pub(super) fn note(told: &watch::Sender<Self>, bytes: u64) {
        told.send_if_modified(|done| {
            let step = match done.total_bytes {
                0 => STRIDE_BYTES,
                total => total / STEPS,
            };
            let is_news = bytes >= done.bytes + step.max(1);
            if is_news {
                done.bytes = bytes;
            }
            is_news
        });
    }
}

impl Progress {
    /// What an operation tells of it.
    // LXD: all values are texts; a percentage begins at 1.
    pub(super) fn metadata(self, done: Done, elapsed: Duration) -> Metadata {
        let millis = elapsed.as_millis().max(1);
        let speed = u128::from(done.bytes) * 1000 / millis;
        let speed = u64::try_from(speed).unwrap_or(u64::MAX);
        let (key, amount, shown) = if done.total_bytes == 0 {
            let bytes = done.bytes;
            ("processed", bytes.to_string(), size_text(bytes))
        } else {
            let percent = u128::from(done.bytes) * 100 / u128::from(done.total_bytes);
            let percent = percent.clamp(1, 100);
            ("percent", percent.to_string(), format!("{percent}%"))
        };
        let text = format!("{}: {shown} ({}/s)", self.label, size_text(speed));
        let progress = serde_json::json!({
            "stage": self.stage,
            key: amount,
            "speed": speed.to_string(),
        });
        Metadata::from_iter([(self.key(), text.into()), ("progress".to_owned(), progress)])
    }

    /// The key that clients show.
    pub(super) fn key(self) -> String {
        format!("{}_progress", self.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: Progress = Progress {
        stage: "create_image_from_container_pack",
        label: "Image pack",
    };

    #[test]
    fn progress_is_told_as_lxd_tells_it() {
        let done = Done {
            bytes: 31_580_000,
            total_bytes: 250_000_000,
        };
        let metadata = PACK.metadata(done, Duration::from_secs(1));
        let expected = serde_json::json!({
            "create_image_from_container_pack_progress": "Image pack: 12% (31.58MB/s)",
            "progress": {
                "stage": "create_image_from_container_pack",
                "percent": "12",
                "speed": "31580000",
            },
        });
        assert_eq!(serde_json::Value::from(metadata), expected);
        let open = Done {
            bytes: 12_300_000,
            total_bytes: 0,
        };
        let metadata = PACK.metadata(open, Duration::from_secs(2));
        assert_eq!(metadata["progress"]["processed"], "12300000");
        let shown = &metadata["create_image_from_container_pack_progress"];
        assert_eq!(shown, "Image pack: 12.30MB (6.15MB/s)");
    }

    #[test]
    fn a_step_is_news_and_a_byte_is_not() {
        let (told, mut seen) = watch::channel(Done {
            bytes: 0,
            total_bytes: 11_000,
        });
        Done::note(&told, 99);
        assert!(!seen.has_changed().unwrap());
        Done::note(&told, 100);
        assert_eq!(seen.borrow_and_update().bytes, 100);
    }
}
