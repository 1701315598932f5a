//! Images for instances, without a network: what is here is used.

use super::*;
use crate::{db::blobs, error::Kind, images::Lent};

impl Bench {
    /// An image for an instance.
    async fn ensure(
        &self,
        project: &str,
        source: &RemoteSource,
        behalf: &Behalf,
    ) -> Result<Fingerprint> {
        let scope = self.scope(project).await;
        let (images, source, behalf) = (self.images.clone(), source.clone(), behalf.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.told(move |operation| async move {
            let kind = ImageType::Container;
            let ensured = images.ensure_for_instance(&scope, &source, (kind, &behalf), &operation);
            drop(sender.send(ensured.await));
            Ok(())
        })
        .await;
        receiver.await.unwrap()
    }

    /// An image for an instance, its files open.
    async fn lend(&self, source: &RemoteSource) -> Result<Lent> {
        let scope = self.scope("default").await;
        let (images, source) = (self.images.clone(), source.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.told(move |operation| async move {
            let (kind, behalf) = (ImageType::Container, admin());
            let lent = images.lend_remote(&scope, &source, (kind, &behalf), &operation);
            drop(sender.send(lent.await));
            Ok(())
        })
        .await;
        receiver.await.unwrap()
    }

    async fn find_cached(&self, project: &str, source: &RemoteSource) -> Option<Vec<String>> {
        let scope = self.scope(project).await;
        let kind = (ImageType::Container, &admin());
        self.images.find_cached(&scope, source, kind).await.unwrap()
    }
}

#[tokio::test]
async fn the_older_image_is_used_instead_of_asking_its_server() {
    let bench = Bench::new().await;
    let older = Wanted {
        created_at: NOON - Duration::DAY,
        ..cached("older")
    };
    bench.admit(older).await;
    let found = bench.admit(cached("newer")).await;
    bench.wait(Duration::HOUR);
    assert_eq!(
        bench
            .ensure("default", &alias("a"), &admin())
            .await
            .unwrap(),
        found
    );
    let row = bench.row("default", &found).await.unwrap();
    assert_eq!(row.last_used_at, "2030-01-01T13:00:00Z");
    assert!(row.cached && row.auto_update && !row.public);
    assert_eq!(
        bench.find_cached("default", &alias("a")).await.unwrap(),
        ["default"]
    );
    assert_eq!(bench.find_cached("default", &alias("b")).await, None);
}

#[tokio::test]
async fn it_is_not_preferred_when_nobody_keeps_it_up_to_date() {
    for (auto_update, interval) in [(false, "6"), (true, "0")] {
        let bench = Bench::new().await;
        let found = bench
            .admit(Wanted {
                auto_update,
                ..cached("one")
            })
            .await;
        bench.set("images.auto_update_interval", interval).await;
        assert_eq!(bench.find_cached("default", &alias("a")).await, None);
        // Its server is asked, cannot be reached, and then the image that is here is used.
        assert_eq!(
            bench
                .ensure("default", &alias("a"), &admin())
                .await
                .unwrap(),
            found
        );
        let error = bench
            .ensure("default", &alias("b"), &admin())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    }
}

#[tokio::test]
async fn what_was_asked_for_decides() {
    let bench = Bench::new().await;
    let found = bench.admit(cached("one")).await;
    let other = |change: fn(&mut RemoteSource)| {
        let mut source = alias("a");
        change(&mut source);
        source
    };
    let others = [
        other(|source| source.server = "https://127.0.0.1:2".to_owned()),
        other(|source| source.secret = "x".to_owned()),
        other(|source| source.project = "p".to_owned()),
        alias("A"),
    ];
    for source in others {
        assert!(
            bench.ensure("default", &source, &admin()).await.is_err(),
            "{source:?}"
        );
    }
    // Another protocol, and a machine of another kind.
    let lxd = other(|source| source.protocol = "lxd".to_owned());
    assert_eq!(bench.find_cached("default", &lxd).await, None);
    let strange = Wanted {
        architecture: "s390x",
        source: Some("z"),
        ..cached("two")
    };
    bench.admit(strange).await;
    assert!(
        bench
            .ensure("default", &alias("z"), &admin())
            .await
            .is_err()
    );
    // A whole fingerprint says all that a server could.
    let named = alias(found.as_str());
    assert_eq!(
        bench.ensure("default", &named, &admin()).await.unwrap(),
        found
    );
}

#[tokio::test]
async fn an_image_of_another_project_is_shared_as_it_was_downloaded() {
    let bench = Bench::new().await;
    bench
        .project("other", &[("images.auto_update_cached", "false")])
        .await;
    bench
        .project("sharing", &[("features.images", "false")])
        .await;
    let found = bench
        .admit(Wanted {
            cached: false,
            ..cached("one")
        })
        .await;
    let scope = bench.scope("default").await;
    let put = crate::images::ImagePatch {
        public: Some(true),
        properties: Some(BTreeMap::from([("os".to_owned(), "mine".to_owned())])),
        ..Default::default()
    };
    let edit = Edit::new(requestor(), None);
    bench
        .images
        .patch(&scope, found.as_str(), put, edit)
        .await
        .unwrap();
    assert_eq!(bench.find_cached("other", &alias("a")).await, None);
    assert_eq!(
        bench.ensure("other", &alias("a"), &admin()).await.unwrap(),
        found
    );
    let row = bench.row("other", &found).await.unwrap();
    assert_eq!(
        (row.cached, row.auto_update, row.public),
        (true, false, false)
    );
    assert_eq!(row.properties, "{\"os\":\"one\"}");
    assert_eq!(row.last_used_at, "2030-01-01T12:00:00Z");
    // The project that shares the images of `default` uses its row, which stays what it was.
    bench.wait(Duration::HOUR);
    assert_eq!(
        bench
            .ensure("sharing", &alias("a"), &admin())
            .await
            .unwrap(),
        found
    );
    let row = bench.row("default", &found).await.unwrap();
    assert_eq!((row.cached, row.public), (false, true));
    assert_eq!(row.last_used_at, "2030-01-01T13:00:00Z");
}

#[tokio::test]
async fn what_another_project_got_is_not_for_everybody() {
    let bench = Bench::new().await;
    bench
        .project("other", &[("restricted.images.servers", "127.0.0.1")])
        .await;
    bench.admit(cached("one")).await;
    let scope = bench.scope("other").await;
    let restricted = Behalf::restricted(&scope);
    // This server may be trusted there, and the caller not.
    let error = bench
        .ensure("other", &alias("a"), &restricted)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let free = Wanted {
        restricted: true,
        source: Some("b"),
        ..cached("two")
    };
    let found = bench.admit(free).await;
    assert_eq!(
        bench
            .ensure("other", &alias("b"), &restricted)
            .await
            .unwrap(),
        found
    );
    // A server that this project may not use.
    let scope = bench.scope("default").await;
    let nowhere = Behalf::restricted(&scope);
    let error = bench
        .ensure("other", &alias("b"), &nowhere)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
}

#[tokio::test]
async fn what_is_lent_outlives_its_image() {
    let bench = Bench::new().await;
    let found = bench.admit(cached("one")).await;
    let scope = bench.scope("default").await;
    let lent = bench.images.lend(&scope, &found).await.unwrap();
    let row = bench.row("default", &found).await.unwrap();
    let any = |_: &ImageRow| true;
    bench
        .images
        .delete_if(&scope, &row, None, any)
        .await
        .unwrap();
    assert_eq!(lent.row.properties, "{\"os\":\"one\"}");
    assert_eq!(std::io::read_to_string(lent.files.image).unwrap(), "one");
    let gone = bench.images.lend(&scope, &found).await.unwrap_err();
    assert_eq!(gone.message(), "Image not found");
    assert!(bench.images.used_now(&scope, &found).await.is_err());
}

#[tokio::test]
async fn an_image_that_goes_while_it_is_looked_for_is_looked_for_again() {
    let bench = Bench::new().await;
    let left = Wanted {
        created_at: NOON - Duration::DAY,
        ..cached("left")
    };
    let left = bench.admit(left).await;
    let taken = bench.admit(cached("taken")).await;
    let scope = bench.scope("default").await;
    // Whoever holds the writer takes the image away before it can be marked as used.
    let mut transaction = bench.db.write().await.unwrap();
    let take = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        db::images::delete(&mut transaction, scope.images, &taken)
            .await
            .unwrap();
        blobs::release(&mut transaction, &taken).await.unwrap();
        Db::commit(transaction).await.unwrap();
    };
    let wanted = alias("a");
    let (lent, ()) = tokio::join!(bench.lend(&wanted), take);
    assert_eq!(lent.unwrap().row.fingerprint, left);
}
