//! What expires when, to the nanosecond.

use super::*;
use crate::images::doubt::Doubts;

const TEN_DAYS: Duration = Duration::days(10);
const INSTANT: Duration = Duration::NANOSECOND;

impl Bench {
    async fn expire(&self) -> Value {
        let images = self.images.clone();
        self.told(move |operation| async move { images.expire(operation).await })
            .await
    }
}

#[tokio::test]
async fn a_cached_image_goes_when_it_was_not_used_for_so_many_days() {
    let bench = Bench::new().await;
    let found = bench.admit(cached("one")).await;
    bench.wait(TEN_DAYS - INSTANT);
    assert_eq!(bench.expire().await["removed"], serde_json::json!([]));
    assert!(bench.has("default", &found).await);
    bench.wait(INSTANT);
    let told = bench.expire().await;
    let removed = serde_json::json!([{"project": "default", "fingerprint": found.as_str()}]);
    assert_eq!(told["removed"], removed);
    assert!(!bench.has("default", &found).await);
    let mut session = bench.db.read().await.unwrap();
    assert!(
        db::blobs::find(&mut session, &found)
            .await
            .unwrap()
            .is_none()
    );
    assert!(db::blobs::removed(&mut session).await.unwrap().is_empty());
    drop(session);
    assert!(
        !bench
            .home
            .path()
            .join("images")
            .join(found.as_str())
            .exists()
    );
    // Again: there is nothing left to do.
    assert_eq!(bench.expire().await["removed"], serde_json::json!([]));
}

#[tokio::test]
async fn one_that_was_never_used_counts_from_when_it_came() {
    let bench = Bench::new().await;
    let never = Wanted {
        last_used_at: Timestamp::ZERO,
        ..cached("one")
    };
    let found = bench.admit(never).await;
    bench.wait(TEN_DAYS - INSTANT);
    bench.expire().await;
    assert!(bench.has("default", &found).await);
    bench.wait(INSTANT);
    bench.expire().await;
    assert!(!bench.has("default", &found).await);
}

#[tokio::test]
async fn a_use_keeps_it() {
    let bench = Bench::new().await;
    let found = bench.admit(cached("one")).await;
    bench.wait(TEN_DAYS - INSTANT);
    let scope = bench.scope("default").await;
    bench.images.used_now(&scope, &found).await.unwrap();
    bench.wait(INSTANT);
    bench.expire().await;
    assert!(bench.has("default", &found).await);
}

#[tokio::test]
async fn its_own_expiry_date_comes_first_when_it_is_earlier() {
    let bench = Bench::new().await;
    let date = NOON + Duration::hours(2);
    let found = bench
        .admit(Wanted {
            expires_at: date.into(),
            ..cached("one")
        })
        .await;
    let epoch = OffsetDateTime::UNIX_EPOCH.into();
    let never = bench
        .admit(Wanted {
            expires_at: epoch,
            ..cached("two")
        })
        .await;
    bench.wait(Duration::hours(2) - INSTANT);
    bench.expire().await;
    assert!(bench.has("default", &found).await);
    bench.wait(INSTANT);
    bench.expire().await;
    assert!(!bench.has("default", &found).await);
    assert!(bench.has("default", &never).await);
}

#[tokio::test]
async fn an_image_that_was_asked_for_by_name_never_goes() {
    let bench = Bench::new().await;
    let past = (NOON - Duration::DAY).into();
    let found = bench
        .admit(Wanted {
            cached: false,
            expires_at: past,
            ..cached("one")
        })
        .await;
    bench.expire().await;
    bench.wait(Duration::days(10_000));
    bench.expire().await;
    assert!(bench.has("default", &found).await);
}

#[tokio::test]
async fn a_projects_own_number_of_days_counts_and_none_is_for_ever() {
    let bench = Bench::new().await;
    bench
        .project("longer", &[("images.remote_cache_expiry", "12")])
        .await;
    bench
        .project("ever", &[("images.remote_cache_expiry", "0")])
        .await;
    let found = bench.admit(cached("one")).await;
    for project in ["longer", "ever"] {
        let past = (NOON + Duration::DAY).into();
        let expires_at = if project == "ever" {
            past
        } else {
            Timestamp::ZERO
        };
        bench
            .admit(Wanted {
                project,
                expires_at,
                ..cached("one")
            })
            .await;
    }
    bench.wait(Duration::days(11));
    bench.expire().await;
    assert!(!bench.has("default", &found).await);
    assert!(bench.has("longer", &found).await && bench.has("ever", &found).await);
    bench.wait(Duration::DAY);
    bench.expire().await;
    assert!(!bench.has("longer", &found).await);
    // Another project has it: its files stay.
    let scope = bench.scope("ever").await;
    let lent = bench.images.lend(&scope, &found).await.unwrap();
    assert_eq!(lent.row.size_bytes, 3);
    bench.set("images.remote_cache_expiry", "-1").await;
    let kept = bench.admit(cached("two")).await;
    bench.wait(Duration::hours(20_000));
    bench.expire().await;
    assert!(bench.has("default", &kept).await);
}

#[tokio::test]
async fn a_clock_that_jumps_empties_nothing() {
    let bench = Bench::new().await;
    let found = bench.admit(cached("one")).await;
    bench.expire().await;
    bench.jump(Duration::days(3650));
    for _ in 0..2 {
        let told = bench.expire().await;
        assert!(told["waiting"].as_str().unwrap().contains("jumped ahead"));
        assert!(bench.has("default", &found).await);
    }
    // It is right again.
    bench.jump(-Duration::days(3650));
    bench.wait(Duration::DAY);
    assert!(bench.expire().await["waiting"].is_null());
    assert!(bench.has("default", &found).await);
}

#[tokio::test]
async fn a_daemon_that_starts_with_a_wrong_clock_empties_nothing() {
    let bench = Bench::new().await;
    let found = bench.admit(cached("one")).await;
    bench.wait(Duration::days(61));
    let told = bench.expire().await;
    assert!(
        told["waiting"].as_str().unwrap().contains("24 hours"),
        "{told}"
    );
    assert!(bench.has("default", &found).await);
}

#[tokio::test]
async fn a_daemon_that_is_started_every_day_waits_for_a_day_and_no_longer() {
    let mut bench = Bench::new().await;
    let found = bench.admit(cached("one")).await;
    bench.jump(Duration::days(61));
    for hours in [24, 14] {
        let told = bench.expire().await;
        let waiting = told["waiting"].as_str().unwrap();
        assert!(waiting.contains(&format!("{hours} hours")), "{told}");
        assert!(bench.has("default", &found).await);
        // Another start, later.
        bench.jump(Duration::hours(10));
        bench.images.doubts = Doubts::default();
    }
    bench.jump(Duration::hours(5));
    assert!(bench.expire().await["waiting"].is_null());
    assert!(!bench.has("default", &found).await);
    // That the clock has been doubted once does not make another absence shorter.
    bench.admit(cached("one")).await;
    bench.jump(Duration::days(90));
    bench.images.doubts = Doubts::default();
    assert!(bench.expire().await["waiting"].is_string());
}
