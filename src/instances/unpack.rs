//! An image becomes the tree of a new instance.

use super::{Instance, Instances, trees};
use crate::{
    db::images::ImageRow,
    error::Result,
    operations::Operation,
    pool::{
        Pending, SharedKey,
        unpack::{ImageFiles, Limits, unpack},
        watch::Watch,
    },
    store::Files,
};

/// The key of an operation's metadata under which clients look for progress.
const PROGRESS: &str = "create_instance_from_image_unpack_progress";

impl Instances {
    /// Makes the tree of a new instance from an image.
    pub(super) async fn unpack(
        &self,
        instance: &Instance,
        (image, files): (&ImageRow, Files),
        operation: &Operation,
    ) -> Result<Pending> {
        let files = ImageFiles {
            image: files.image,
            rootfs: files.rootfs,
        };
        let (pool, name) = self.tree(instance).await?;
        let map = trees::wanted_map(instance.row.kind, &instance.config);
        let key = SharedKey {
            fingerprint: image.fingerprint.clone(),
            map,
        };
        let progress = Progress::new(operation.clone(), image.size_bytes.unsigned_abs());
        let cut = self.tasks.cut().clone();
        let making = move || {
            pool.create_from_image(&name, &key, |directory| {
                let watch = Watch {
                    progress: &|bytes| progress.tell(bytes),
                    cancel: &cut,
                };
                unpack(&files, directory, map, &Limits::default(), &watch).map(drop)
            })
        };
        self.tasks.run_blocking(making).await
    }
}

/// Tells how far the unpacking is, whenever that is another percent.
struct Progress {
    operation: Operation,
    total: u64,
    told: std::sync::atomic::AtomicU64,
    begun: std::time::Instant,
}

impl Progress {
    fn new(operation: Operation, total: u64) -> Self {
        Self {
            operation,
            total,
            told: 0.into(),
            begun: std::time::Instant::now(),
        }
    }

    fn tell(&self, bytes: u64) {
        use std::sync::atomic::Ordering;
        let percent = bytes.saturating_mul(100) / self.total.max(1);
        if self.told.fetch_max(percent, Ordering::Relaxed) >= percent {
            return;
        }
        let milliseconds = self.begun.elapsed().as_millis().max(1);
        let speed = u128::from(bytes).saturating_mul(1000) / milliseconds;
        let speed = u64::try_from(speed).unwrap_or(u64::MAX);
        let text = format!("Unpack: {percent}% ({}/s)", crate::remote::size_text(speed));
        self.operation.tell_progress(PROGRESS, &text);
    }
}
