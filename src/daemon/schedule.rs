//! The one table of everything that the daemon does by itself, again and again.

use std::time::Duration;

use crate::{
    api::objects::Metadata,
    images::Images,
    instances::Instances,
    jobs::{Job, every, when_due},
    operations::{Operation, Operations},
    remote::Streams,
};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The table. What is due at the start runs in this order.
// LXD: its words are kept where it has some.
pub(super) fn jobs(
    (images, instances): (&Images, &Instances),
    operations: &Operations,
    streams: &Streams,
) -> Vec<Job> {
    let expiry = images.clone();
    let sweep = images.clone();
    let (ended, tokens) = (operations.clone(), operations.clone());
    let (streams, doubting) = (streams.clone(), images.clone());
    let (snapshots, over, trees) = (instances.clone(), instances.clone(), instances.clone());
    vec![
        Job::new(
            "expiry",
            "Cleaning up expired images",
            every(DAY),
            move |operation| {
                let images = expiry.clone();
                async move { images.expire(operation).await }
            },
        )
        .at_start()
        .alone()
        .after_changes_of(&["images.remote_cache_expiry", "images.auto_update_interval"]),
        Job::new(
            "operations",
            "Forgetting operations that have ended",
            every(HOUR),
            move |operation| {
                let forgotten = ended.forget_ended();
                async move {
                    count(&operation, "forgotten", forgotten);
                    Ok(())
                }
            },
        ),
        Job::new(
            "tokens",
            "Removing expired tokens",
            every(HOUR),
            move |operation| {
                let removed = tokens.end_expired_tokens();
                async move {
                    count(&operation, "removed", removed);
                    Ok(())
                }
            },
        ),
        Job::new(
            "sweep",
            "Pruning leftover image files",
            every(DAY),
            move |operation| {
                let images = sweep.clone();
                async move { images.sweep(operation).await }
            },
        )
        .alone(),
        Job::new(
            "streams-cache",
            "Removing unused image lists",
            every(DAY),
            move |operation| {
                let (streams, images) = (streams.clone(), doubting.clone());
                async move {
                    if let Some(waiting) = images.waits_for_clock().await? {
                        let told = [("waiting".to_owned(), waiting.into())];
                        operation.set_metadata(Metadata::from_iter(told));
                        return Ok(());
                    }
                    let removed = streams.remove_unused().await?;
                    count(&operation, "removed", removed);
                    Ok(())
                }
            },
        ),
        Job::new(
            "snapshot-expiry",
            "Cleaning up expired instance snapshots",
            when_due(move || {
                let instances = over.clone();
                async move { instances.until_snapshots_expire().await }
            }),
            move |operation| {
                let instances = snapshots.clone();
                async move { instances.expire_snapshots(operation).await }
            },
        ),
        Job::new(
            "unpacked-trees",
            "Removing unpacked images that nobody uses",
            every(DAY),
            move |operation| {
                let instances = trees.clone();
                async move { instances.sweep_trees(operation).await }
            },
        ),
        updating(images),
    ]
}

fn updating(images: &Images) -> Job {
    let (updates, until, by_hand) = (images.clone(), images.clone(), images.clone());
    Job::new(
        "auto-update",
        "Updating images",
        when_due(move || {
            let images = until.clone();
            async move { images.until_updates().await }
        }),
        move |operation| {
            let images = updates.clone();
            async move { images.update_all(operation).await }
        },
    )
    .at_start()
    .by_hand(move || by_hand.make_updates_due())
}

/// Tells how many there were.
fn count(operation: &Operation, what: &str, number: usize) {
    operation.set_metadata(Metadata::from_iter([(what.to_owned(), number.into())]));
}
