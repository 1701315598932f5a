//! Auto-update without a network: what fails stays, and is told.

use super::*;

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
