//! One download for all who want the same image at once, by whatever protocol.

use std::thread;

use serde_json::{Value, json};

use crate::support::{
    Events, beyond_lxd,
    image_api::fingerprint_of,
    pulls::merged,
    trust::project,
    upstream::{
        Act, Site,
        offers::{Offer, PROTOCOLS, Protocol},
    },
};

const PROJECTS: [&str; 3] = ["default", "p1", "p2"];

/// The requests of eight callers: by alias and by fingerprint, from three projects.
fn wishes(protocol: Protocol, offer: &Offer) -> Vec<(&'static str, Value)> {
    let by_fingerprint = json!({"alias": "", "fingerprint": offer.fingerprint});
    let wish = |number: usize| {
        let mut source = offer.source.clone();
        if protocol != Protocol::Url && number % 2 == 1 {
            source = merged(source, &by_fingerprint);
        }
        (PROJECTS[number / 2 % 3], json!({ "source": source }))
    };
    (0..8).map(wish).collect()
}

/// Waits until all these operations have told how far they are.
fn wait_for_progress(events: &mut Events, operations: &[String]) {
    let mut waiting: Vec<&String> = operations.iter().collect();
    let has_told = |event: &Value, id: &str| {
        let operation = &event["metadata"];
        operation["id"] == *id && operation["metadata"]["download_progress"].is_string()
    };
    for event in events.seen() {
        waiting.retain(|id| !has_told(event, id));
    }
    while !waiting.is_empty() {
        let event = events.find(|event| waiting.iter().any(|id| has_told(event, id)));
        waiting.retain(|id| !has_told(&event, id));
    }
}

#[test]
fn eight_callers_cause_one_download_and_see_it_and_one_may_leave() {
    if !beyond_lxd("it downloads as often as it is asked from different projects") {
        return;
    }
    for protocol in PROTOCOLS {
        let site = Site::start();
        let daemon = &site.daemon;
        for name in &PROJECTS[1..] {
            project(daemon, name);
        }
        let offer = protocol.offer(&site.upstream, "a");
        let middle = offer.bytes.len() / 2;
        site.upstream.act(&offer.file, Act::Hold(middle));
        let mut events = Events::listen(daemon, "?type=operation&all-projects=true");
        let mut asked: Vec<_> = wishes(protocol, &offer)
            .into_iter()
            .map(|(project, body)| daemon.post(&format!("/1.0/images?project={project}"), &body))
            .collect();
        let id =
            |answer: &crate::support::Answer| answer.operation()["id"].as_str().unwrap().to_owned();
        let ids: Vec<_> = asked.iter().map(id).collect();
        wait_for_progress(&mut events, &ids);

        // Whoever began it leaves, and it goes on for the others.
        let first = asked.remove(0);
        daemon
            .delete(&format!("/1.0/operations/{}", ids[0]))
            .is_done();
        assert_eq!(daemon.finished(&first)["status"], "Cancelled");
        site.upstream.release();
        thread::scope(|scope| {
            for answer in &asked {
                let found = &offer.fingerprint;
                scope.spawn(move || assert_eq!(fingerprint_of(&daemon.finished(answer)), *found));
            }
        });
        assert_eq!(site.upstream.seen_at(&offer.file).len(), 1, "{protocol:?}");
        for name in PROJECTS {
            assert_eq!(daemon.images(name).len(), 1, "{protocol:?} {name}");
        }
        assert_eq!(daemon.names("images").len(), 1);
    }
}

#[test]
fn a_download_that_nobody_waits_for_any_more_ends() {
    if !beyond_lxd("it goes on") {
        return;
    }
    for protocol in PROTOCOLS {
        let site = Site::start();
        let offer = protocol.offer(&site.upstream, "a");
        site.upstream.act(&offer.file, Act::Hold(1000));
        let mut events = Events::listen(&site.daemon, "?type=operation");
        let body = json!({"source": offer.source});
        let asked: Vec<_> = (0..2)
            .map(|_| site.daemon.post("/1.0/images", &body))
            .collect();
        let ids: Vec<_> = asked
            .iter()
            .map(|answer| answer.operation()["id"].as_str().unwrap().to_owned())
            .collect();
        wait_for_progress(&mut events, &ids);
        for id in &ids {
            let path = format!("/1.0/operations/{id}");
            site.daemon.delete(&path).is_done();
        }
        for answer in &asked {
            assert_eq!(site.daemon.finished(answer)["status"], "Cancelled");
        }
        // The next one begins anew, while the server still holds the first.
        site.upstream.behave();
        let operation = site.daemon.ask("default", &body);
        assert_eq!(fingerprint_of(&operation), offer.fingerprint);
        assert_eq!(site.upstream.seen_at(&offer.file).len(), 2);
    }
}

#[test]
fn a_download_that_fails_fails_for_all_and_the_next_one_is_another() {
    if !beyond_lxd("it downloads as often as it is asked") {
        return;
    }
    for protocol in PROTOCOLS {
        let site = Site::start();
        let offer = protocol.offer(&site.upstream, "a");
        site.upstream.act(&offer.file, Act::Hold(1000));
        let wrong = site.upstream.find(&offer.file).unwrap();
        let spoilt = vec![7; offer.bytes.len()];
        site.upstream
            .page(&offer.file, crate::support::upstream::Page::file(spoilt));
        let mut events = Events::listen(&site.daemon, "?type=operation");
        let body = json!({"source": offer.source});
        let asked: Vec<_> = (0..3)
            .map(|_| site.daemon.post("/1.0/images", &body))
            .collect();
        let ids: Vec<_> = asked
            .iter()
            .map(|answer| answer.operation()["id"].as_str().unwrap().to_owned())
            .collect();
        wait_for_progress(&mut events, &ids);
        site.upstream.release();
        for answer in &asked {
            let operation = site.daemon.finished(answer);
            let said = crate::support::image_api::refusal(&operation);
            assert!(said.contains("match"), "{said}");
        }
        site.upstream.page(&offer.file, wrong);
        let operation = site.daemon.ask("default", &body);
        assert_eq!(fingerprint_of(&operation), offer.fingerprint);
        assert_eq!(site.upstream.seen_at(&offer.file).len(), 2);
    }
}
