//! Many at once on the same instances.

use std::thread;

use serde_json::{Value, json};

use crate::support::{Lximaged, PATIENCE, images, instances::INSTANCES, publishing::large, soon};

#[test]
fn of_many_who_want_one_name_one_gets_it() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let body = json!({"name": "c1", "source": {"type": "image", "fingerprint": found}});
    let outcomes: Vec<Value> = thread::scope(|scope| {
        let runs = [(); 6].map(|()| scope.spawn(|| daemon.create(&body)));
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let won = outcomes
        .iter()
        .filter(|outcome| outcome["status"] == "Success");
    assert_eq!(won.count(), 1);
    let taken = |outcome: &&Value| outcome["err"].as_str().unwrap().ends_with("already exists");
    assert_eq!(outcomes.iter().filter(taken).count(), 5);
    daemon.check();
}

#[test]
fn instances_of_one_image_are_made_at_once() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container_of_size("a", 4 << 20));
    thread::scope(|scope| {
        for index in 0..6 {
            let (daemon, found) = (&daemon, &found);
            scope.spawn(move || daemon.init(&format!("c{index}"), found));
        }
    });
    assert_eq!(daemon.instance_names("default").len(), 6);
    daemon.check();
}

#[test]
fn copies_snapshots_renames_and_deletions_leave_whole_instances() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    for index in 0..4 {
        daemon.init(&format!("c{index}"), &found);
    }
    thread::scope(|scope| {
        for index in 0..4 {
            let daemon = &daemon;
            let path = format!("/1.0/instances/c{index}");
            let (path, snapshots) = (path.clone(), format!("{path}/snapshots"));
            scope.spawn(move || {
                for round in 0..3 {
                    let source = json!({"type": "copy", "source": format!("c{index}")});
                    let name = format!("k{index}-{round}");
                    let copy = json!({"name": name, "source": source});
                    let answers = [
                        daemon.post(INSTANCES, &copy),
                        daemon.post(&snapshots, &json!({"name": format!("s{round}")})),
                    ];
                    for answer in answers.iter().filter(|answer| answer.status == 202) {
                        daemon.finished(answer);
                    }
                }
            });
            scope.spawn(move || {
                let there = json!({"name": format!("r{index}")});
                let renamed = daemon.post(&path, &there);
                if renamed.status == 202 {
                    daemon.finished(&renamed);
                }
                let deleted = daemon.delete(&format!("/1.0/instances/r{index}"));
                if deleted.status == 202 {
                    daemon.finished(&deleted);
                }
            });
        }
    });
    daemon.check();
}

#[test]
fn a_profile_or_a_project_does_not_go_under_an_instance_that_comes() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    for round in 0..5 {
        let web = json!({"name": "web"});
        daemon
            .post("/1.0/profiles", &web)
            .is_created("/1.0/profiles/web");
        let body = json!({"name": format!("c{round}"), "profiles": ["default", "web"],
            "source": {"type": "image", "fingerprint": found}});
        thread::scope(|scope| {
            scope.spawn(|| {
                let answer = daemon.post(INSTANCES, &body);
                if answer.status == 202 {
                    daemon.finished(&answer);
                }
            });
            scope.spawn(|| daemon.delete("/1.0/profiles/web"));
        });
        if daemon.get("/1.0/profiles/web").status == 200 {
            let path = format!("/1.0/instances/c{round}");
            if daemon.get(&path).status == 200 {
                daemon.succeeds(&daemon.delete(&path));
            }
            daemon.delete("/1.0/profiles/web").is_done();
        }
    }
    daemon.check();
}

#[test]
fn a_copy_and_a_rename_of_the_same_two_do_not_wait_for_each_other() {
    let daemon = Lximaged::start();
    let found = daemon.import(&large());
    daemon.init("a", &found);
    let slow = daemon.publish_for_long("a");
    let packs = || daemon.told(&slow)["progress"].is_object();
    assert!(soon(PATIENCE, packs));
    let renaming = daemon.post("/1.0/instances/a", &json!({"name": "b"}));
    let source = json!({"type": "copy", "source": "a"});
    let copying = daemon.post(INSTANCES, &json!({"name": "b", "source": source}));
    daemon.cancel(&slow);
    daemon.succeeds(&renaming);
    assert_eq!(daemon.finished(&copying)["status"], "Failure");
    assert_eq!(daemon.instance_names("default"), ["b"]);
}
