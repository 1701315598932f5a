//! Auto-update without a network: what fails stays, and is told.

use super::*;
use crate::images::admit::Replaced;

fn replacing(old: &Fingerprint) -> Replaced {
    Replaced {
        fingerprint: old.clone(),
        only_if_kept: true,
    }
}

impl Bench {
    async fn update(&self) -> Value {
        let images = self.images.clone();
        self.told(move |operation| async move { images.update_all(operation).await })
            .await
    }
}

#[tokio::test]
async fn a_failure_leaves_the_image_and_is_told() {
    let bench = Bench::new().await;
    let found = bench.admit(cached("one")).await;
    bench
        .admit(Wanted {
            source: None,
            ..cached("two")
        })
        .await;
    bench
        .admit(Wanted {
            auto_update: false,
            ..cached("three")
        })
        .await;
    let told = bench.update().await;
    assert_eq!(
        (&told["checked"], &told["updated"]),
        (&1.into(), &serde_json::json!([]))
    );
    let failing = &told["failing"][0];
    assert_eq!(failing["fingerprint"], found.as_str());
    assert_eq!(
        (&failing["project"], &failing["failures"]),
        (&"default".into(), &1.into())
    );
    assert!(
        failing["error"]
            .as_str()
            .unwrap()
            .contains("connection refused"),
        "{failing}"
    );
    assert!(bench.has("default", &found).await);
    // Nothing is due before it is tried again; by hand everything is.
    assert_eq!(bench.update().await["checked"], 0);
    bench.images.make_updates_due();
    let told = bench.update().await;
    assert_eq!(
        (&told["checked"], &told["failing"][0]["failures"]),
        (&1.into(), &2.into())
    );
    // What is not to be kept up to date any more is no trouble.
    let scope = bench.scope("default").await;
    let put = crate::images::ImagePatch {
        auto_update: Some(false),
        ..Default::default()
    };
    let edit = Edit::new(requestor(), None);
    bench
        .images
        .patch(&scope, found.as_str(), put, edit)
        .await
        .unwrap();
    assert_eq!(bench.update().await["failing"], serde_json::json!([]));
}

#[tokio::test]
async fn an_interval_of_none_looks_at_nothing() {
    let bench = Bench::new().await;
    bench.admit(cached("one")).await;
    bench
        .project("often", &[("images.auto_update_interval", "1")])
        .await;
    bench
        .project("never", &[("images.auto_update_interval", "0")])
        .await;
    for project in ["often", "never"] {
        bench
            .admit(Wanted {
                project,
                ..cached("one")
            })
            .await;
    }
    bench.set("images.auto_update_interval", "0").await;
    let told = bench.update().await;
    assert_eq!(
        (&told["checked"], &told["failing"][0]["project"]),
        (&1.into(), &"often".into())
    );
    let until = bench.images.until_updates().await.unwrap();
    assert!(until <= std::time::Duration::from_mins(10), "{until:?}");
}

#[tokio::test]
async fn whoever_waits_for_the_older_image_does_not_find_its_files() {
    let bench = Bench::new().await;
    bench.project("p1", &[]).await;
    let old = bench.admit(cached("old")).await;
    let mut newer = bench.candidate(cached("new")).await;
    newer.replaces = Some(replacing(&old));
    let again = bench.candidate(cached("old")).await;
    let (here, there) = (bench.scope("default").await, bench.scope("p1").await);
    let held = bench.images.store.lock(&old).await;
    let images = &bench.images;
    // Both wait for it, in this order.
    let (updated, copied, ()) = tokio::join!(
        images.admit(&here, newer, None),
        images.admit(&there, again, None),
        async { drop(held) }
    );
    updated.unwrap();
    copied.unwrap();
    assert!(!bench.home.path().join("quarantine").exists());
    assert!(!bench.has("default", &old).await && bench.has("p1", &old).await);
    bench.images.open(&old).await.unwrap();
}

#[tokio::test]
async fn an_image_that_was_taken_off_auto_update_meanwhile_stays() {
    let bench = Bench::new().await;
    let scope = bench.scope("default").await;
    let pinned = Wanted {
        auto_update: false,
        ..cached("old")
    };
    let old = bench.admit(pinned).await;
    let mut newer = bench.candidate(cached("new")).await;
    newer.replaces = Some(replacing(&old));
    let refused = bench.images.admit(&scope, newer, None).await.unwrap_err();
    assert_eq!(refused.message(), "Image not found");
    // Nor does one that is here already take its place, unless somebody asks for that.
    let new = bench.admit(cached("new")).await;
    let mut replaced = replacing(&old);
    let images = &bench.images;
    images.supersede(&scope, &replaced, &new).await.unwrap_err();
    assert!(bench.has("default", &old).await);
    replaced.only_if_kept = false;
    assert!(images.supersede(&scope, &replaced, &new).await.unwrap());
    assert!(!bench.has("default", &old).await);
}

#[tokio::test]
async fn an_update_that_somebody_else_has_finished_is_done_and_one_of_a_deleted_image_is_not_begun()
{
    let bench = Bench::new().await;
    let scope = bench.scope("default").await;
    let new = bench.admit(cached("new")).await;
    let gone = replacing(&"a".repeat(64).parse().unwrap());
    let images = &bench.images;
    assert!(images.supersede(&scope, &gone, &new).await.unwrap());
    let newest = "b".repeat(64).parse().unwrap();
    let refused = images.supersede(&scope, &gone, &newest).await.unwrap_err();
    assert_eq!(refused.message(), "Image not found");
    let same = images.supersede(&scope, &gone, &gone.fingerprint).await;
    assert_eq!(same.unwrap_err().message(), "Image not found");
}

#[tokio::test]
async fn a_successor_that_is_here_is_what_the_older_image_was() {
    let bench = Bench::new().await;
    let scope = bench.scope("default").await;
    let mut older = bench.candidate(cached("old")).await;
    older.public = true;
    let old = bench.images.admit(&scope, older, None).await.unwrap();
    let unused = Wanted {
        source: None,
        last_used_at: (NOON - Duration::days(9)).into(),
        ..cached("new")
    };
    let new = bench.admit(unused).await;
    let replaced = replacing(&old);
    let superseded = bench.images.supersede(&scope, &replaced, &new);
    assert!(superseded.await.unwrap());
    let row = bench.row("default", &new).await.unwrap();
    assert_eq!(
        (row.public, row.last_used_at),
        (true, Timestamp::from(NOON).to_string())
    );
    // What its server says of the next one is not laid under what it said of the older one.
    let mut newest = bench.candidate(cached("newest")).await;
    newest.replaces = Some(replacing(&new));
    let newest = bench.images.admit(&scope, newest, None).await.unwrap();
    let row = bench.row("default", &newest).await.unwrap();
    assert_eq!(row.properties, "{\"os\":\"newest\"}");
}
