//! kill -9 at every step that changes something on disk.
//!
//! A change is recorded once under strace; then it is made again and again, and each time the
//! daemon is killed before another one of the recorded calls. After the next start everything
//! that was acknowledged is there, whole, and nothing else.

use std::io;

use serde_json::{Value, json};

use crate::support::{
    Client, Lximaged, PATIENCE, Request, fingerprint, images,
    multipart::{CONTENT_TYPE, Multipart},
    pulls::Pair,
    soon,
    strace::{Point, Strace, points},
};

/// How many points of each change are tried: a sample when there are more.
const SAMPLE: usize = 100;

/// What is interrupted.
#[derive(Debug, Clone, Copy)]
enum Change {
    ImportUnified,
    ImportSplit,
    Delete,
}

/// One try: an image of its own, and the change to make to it.
struct Try {
    change: Change,
    metadata: Vec<u8>,
    rootfs: Option<Vec<u8>>,
}

impl Try {
    fn new(change: Change, round: usize) -> Self {
        let marker = format!("{change:?} {round}");
        match change {
            Change::ImportSplit => Self {
                change,
                metadata: images::metadata_tar(&marker),
                rootfs: Some(images::rootfs_tar(&marker)),
            },
            _ => Self {
                change,
                metadata: images::container(&marker),
                rootfs: None,
            },
        }
    }

    fn fingerprint(&self) -> String {
        fingerprint(&[&self.metadata, self.rootfs.as_deref().unwrap_or_default()])
    }

    fn request(&self) -> Request {
        match (self.change, &self.rootfs) {
            (Change::Delete, _) => {
                Request::new("DELETE", &format!("/1.0/images/{}", self.fingerprint()))
            }
            (_, None) => Client::upload_request(&self.metadata, &[]),
            (_, Some(rootfs)) => {
                let parts = Multipart::split(&self.metadata, "rootfs", rootfs);
                let request = Request::new("POST", "/1.0/images").body(parts.body());
                request.header("Content-Type", CONTENT_TYPE)
            }
        }
    }

    fn prepare(&self, daemon: &Lximaged) {
        if matches!(self.change, Change::Delete) {
            daemon.import(&self.metadata);
        }
    }

    /// Makes the change; an error when the daemon dies of it.
    fn make(&self, daemon: &Lximaged) -> io::Result<Value> {
        let answer = daemon.try_send(&self.request())?;
        daemon.try_finished(&answer)
    }

    /// Checks what a change that was acknowledged (or maybe made) must have left.
    fn check(&self, daemon: &Lximaged, acknowledged: bool) {
        let answer = daemon.get(&format!("/1.0/images/{}", self.fingerprint()));
        let there = answer.status == 200;
        if acknowledged {
            let expected = !matches!(self.change, Change::Delete);
            assert_eq!(there, expected, "{:?} was acknowledged", self.change);
        }
        daemon.check();
    }
}

/// The points at which a change can be interrupted.
fn record(daemon: &Lximaged, change: Change) -> Vec<Point> {
    let first = Try::new(change, 0);
    first.prepare(daemon);
    let strace = Strace::of_changes(daemon);
    assert_eq!(first.make(daemon).unwrap()["status"], "Success");
    sample(&strace.detach(), daemon, SAMPLE)
}

/// At most so many of the points that were recorded.
fn sample(log: &str, daemon: &Lximaged, most: usize) -> Vec<Point> {
    let points = points(log, &daemon.dir().to_string_lossy());
    let step = points.len().div_ceil(most).max(1);
    points.into_iter().step_by(step).collect()
}

fn survives_death_at_every_step(change: Change) {
    let mut daemon = Lximaged::start();
    let kept = daemon.import(&images::container("kept"));
    let points = record(&daemon, change);
    assert!(!points.is_empty(), "a change changes something");
    let mut deaths = 0;
    for (round, point) in points.iter().enumerate() {
        let attempt = Try::new(change, round + 1);
        attempt.prepare(&daemon);
        let strace = Strace::death_at(&daemon, point);
        let made = attempt.make(&daemon);
        let patience = std::time::Duration::from_millis(if made.is_ok() { 200 } else { 5000 });
        let died = soon(patience, || daemon.was_killed());
        drop(strace);
        if died {
            deaths += 1;
            daemon.boot();
        }
        let acknowledged = made.is_ok_and(|operation| operation["status"] == "Success");
        println!("killed: {died}, acknowledged: {acknowledged}, before {point}");
        attempt.check(&daemon, acknowledged);
        assert_eq!(daemon.image(&kept)["fingerprint"], kept.as_str());
    }
    println!("{change:?}: {deaths} deaths at {} points", points.len());
    assert!(
        deaths * 2 > points.len(),
        "most points were met: {deaths} of {}",
        points.len()
    );
}

#[test]
fn a_unified_import_can_be_killed_at_any_step() {
    survives_death_at_every_step(Change::ImportUnified);
}

#[test]
fn a_split_import_can_be_killed_at_any_step() {
    survives_death_at_every_step(Change::ImportSplit);
}

#[test]
fn a_delete_can_be_killed_at_any_step() {
    survives_death_at_every_step(Change::Delete);
}

/// A newer image at the source, by the same name.
fn release(pair: &Pair, round: usize) -> String {
    let new = pair
        .source
        .import_public(&images::container(&format!("update {round}")));
    let body = json!({"target": new, "description": ""});
    pair.source.put("/1.0/images/aliases/a", &body).is_done();
    new
}

#[test]
fn an_update_can_be_killed_at_any_step() {
    let mut pair = Pair::start();
    let first = pair.source.import_public(&images::container("update"));
    pair.source.alias("a", &first);
    let more = json!({"auto_update": true, "aliases": [{"name": "mine", "description": ""}]});
    pair.pull_as(&pair.target, "default", &json!({"alias": "a"}), &more);
    let update = |target: &Client| {
        let request = Request::new("POST", "/1.0/lximaged/tasks/auto-update");
        let answer = target.try_send(&request)?;
        target.try_finished(&answer)
    };
    let target_of = |target: &Client| {
        let alias = target.get("/1.0/images/aliases/mine");
        alias.metadata()["target"].as_str().unwrap().to_owned()
    };

    let mut old = release(&pair, 0);
    let strace = Strace::of_changes(&pair.target);
    assert_eq!(update(&pair.target).unwrap()["status"], "Success");
    let points = sample(&strace.detach(), &pair.target, SAMPLE / 2);
    assert_eq!(target_of(&pair.target), old);
    let mut deaths = 0;
    for (round, point) in points.iter().enumerate() {
        let new = release(&pair, round + 1);
        let strace = Strace::death_at(&pair.target, point);
        let made = update(&pair.target);
        let patience = std::time::Duration::from_millis(if made.is_ok() { 200 } else { 5000 });
        let died = soon(patience, || pair.target.was_killed());
        drop(strace);
        if died {
            deaths += 1;
            pair.target.boot();
        }
        println!("killed: {died}, before {point}");
        let now = target_of(&pair.target);
        assert!([&old, &new].contains(&&now), "the old one or the new one");
        // What was not done is done the next time: that of the start, or this one.
        let is_new = || target_of(&pair.target) == new && pair.target.names("images") == [&*new];
        assert!(is_new() || update(&pair.target).unwrap()["status"] == "Success");
        assert!(is_new() || update(&pair.target).unwrap()["status"] == "Success");
        assert!(soon(PATIENCE, is_new));
        pair.target.check();
        old = new;
    }
    println!("{deaths} deaths at {} points", points.len());
    assert!(deaths * 2 > points.len(), "most points were met");
}
