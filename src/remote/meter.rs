//! How far a download is, in the words that LXD's clients show.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::Held;

/// How often it is told at most.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Tells how far a download is. Clones tell the same people.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    told: Arc<watch::Sender<Option<String>>>,
    held: Option<Held>,
    label: &'static str,
    total_bytes: Option<u64>,
    done_bytes: u64,
    started: Instant,
    last_told: Option<Instant>,
}

impl Meter {
    /// Tells `told`.
    pub(crate) fn new(told: Arc<watch::Sender<Option<String>>>) -> Self {
        Self {
            told,
            held: None,
            label: "",
            total_bytes: None,
            done_bytes: 0,
            started: Instant::now(),
            last_told: None,
        }
    }

    /// A download that a limit holds back.
    pub(crate) fn held(mut self, held: Option<Held>) -> Self {
        self.held = held;
        self
    }

    /// So many bytes have come: waits until more may.
    pub(super) async fn wait(&self, bytes: u64) {
        if let Some(held) = &self.held {
            held.wait(bytes).await;
        }
    }

    /// For a file of its own, called `label`, of so many bytes if that is known.
    pub(super) fn of(&self, label: &'static str, total_bytes: Option<u64>) -> Self {
        Self {
            label,
            total_bytes,
            held: self.held.clone(),
            ..Self::new(Arc::clone(&self.told))
        }
    }

    /// More bytes have come.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        let is_done = self.total_bytes == Some(self.done_bytes);
        let is_new = self
            .last_told
            .is_none_or(|last| last.elapsed() >= TOLD_EVERY);
        if is_new || is_done {
            self.last_told = Some(Instant::now());
            let text = self.text(self.started.elapsed());
            self.told.send_replace(Some(text));
        }
    }

    fn text(&self, elapsed: Duration) -> String {
        let millis = elapsed.as_millis().max(1);
        let speed = u128::from(self.done_bytes) * 1000 / millis;
        let speed = size(u64::try_from(speed).unwrap_or(u64::MAX));
        let label = self.label;
        match self.total_bytes.filter(|total| *total > 0) {
            Some(total) => {
                let percent = u128::from(self.done_bytes) * 100 / u128::from(total);
                format!("{label}{}% ({speed}/s)", percent.clamp(1, 100))
            }
            None => format!("{label}{} ({speed}/s)", size(self.done_bytes)),
        }
    }
}

/// A number of bytes in decimal units.
// LXD: two decimals, none below 1000.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut scale, mut shown) = (1_u64, None);
    for unit in UNITS {
        if bytes / scale < 1000 {
            break;
        }
        scale *= 1000;
        shown = Some(unit);
    }
    let Some(unit) = shown else {
        return format!("{bytes}B");
    };
    let hundredths = u128::from(bytes) * 100 / u128::from(scale);
    format!("{}.{:02}{unit}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.00kB"),
            (181_419, "181.41kB"),
            (12_300_000, "12.30MB"),
            (u64::MAX, "18.44EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn progress_is_told_as_lxd_tells_it() {
        let (told, seen) = watch::channel(None);
        let meter = Meter::new(Arc::new(told));
        let mut file = meter.of("rootfs: ", Some(2000));
        file.add(500);
        let text = seen.borrow().clone().unwrap();
        assert!(text.starts_with("rootfs: 25% ("), "{text}");
        file.add(1500);
        let text = seen.borrow().clone().unwrap();
        assert!(text.starts_with("rootfs: 100% ("), "{text}");
        let mut open = meter.of("", None);
        open.add(1234);
        let text = seen.borrow().clone().unwrap();
        assert!(
            text.starts_with("1.23kB (") && text.ends_with("B/s)"),
            "{text}"
        );
    }
}
