//! Reading images: lists, single ones, partial fingerprints, filters.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{
    Lximaged, Request, beyond_lxd, fingerprint, image_api::fingerprint_of, images,
};

/// Two images whose fingerprints begin with the same digit, and that digit.
fn alike() -> (Vec<u8>, Vec<u8>, String) {
    let first = images::container("a");
    let start = fingerprint(&[&first])[..1].to_owned();
    let mut others = (0..1000).map(|number| images::container(&format!("other {number}")));
    let second = others
        .find(|image| fingerprint(&[image]).starts_with(&start))
        .unwrap();
    (first, second, start)
}

#[track_caller]
fn filtered(daemon: &Lximaged, filter: &str) -> Vec<Value> {
    let answer = daemon.get(&format!("/1.0/images?recursion=1&filter={filter}"));
    answer.metadata().as_array().unwrap().clone()
}

#[test]
fn an_empty_store_lists_nothing() {
    let daemon = Lximaged::start();
    assert_eq!(daemon.get("/1.0/images").metadata(), &json!([]));
    assert_eq!(daemon.get("/1.0/images?recursion=1").metadata(), &json!([]));
}

#[test]
fn a_list_has_addresses_or_objects() {
    let daemon = Lximaged::start();
    let mut urls: Vec<String> = ["a", "b", "c"]
        .map(|name| format!("/1.0/images/{}", daemon.import(&images::container(name))))
        .to_vec();
    urls.sort();
    assert_eq!(daemon.get("/1.0/images").metadata(), &json!(urls));
    assert_eq!(
        daemon.get("/1.0/images?recursion=0").metadata(),
        &json!(urls)
    );
    assert_eq!(
        daemon.get("/1.0/images?recursion=x").metadata(),
        &json!(urls)
    );
    let objects: Vec<Value> = urls
        .iter()
        .map(|url| daemon.image(url.trim_start_matches("/1.0/images/")))
        .collect();
    assert_eq!(
        daemon.get("/1.0/images?recursion=1").metadata(),
        &json!(objects)
    );
    assert_eq!(
        daemon.get("/1.0/images?recursion=-1").metadata(),
        &json!(objects)
    );
}

#[test]
fn the_start_of_a_fingerprint_is_enough() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    for length in [1, 12, 63, 64] {
        assert_eq!(
            daemon.image(&found[..length])["fingerprint"],
            found.as_str()
        );
    }
    let upper = found[..12].to_uppercase();
    assert_eq!(daemon.image(&upper)["fingerprint"], found.as_str());
}

#[test]
fn a_fingerprint_that_is_none_is_not_found() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    for name in [format!("{found}0"), "0".repeat(64), "zz".to_owned()] {
        daemon
            .get(&format!("/1.0/images/{name}"))
            .is_error(404, "Image not found");
    }
}

#[test]
fn a_pattern_is_no_fingerprint() {
    if !beyond_lxd("it takes the name as an SQL pattern") {
        return;
    }
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    for name in ["%25", "%5F", &format!("{}%25", &found[..8])] {
        daemon
            .get(&format!("/1.0/images/{name}"))
            .is_error(404, "Image not found");
    }
}

#[test]
fn a_start_that_two_images_share_is_refused() {
    let daemon = Lximaged::start();
    let (first, second, start) = alike();
    daemon.import(&first);
    daemon.import(&second);
    let mut matches = [fingerprint(&[&first]), fingerprint(&[&second])];
    matches.sort();
    let text = if beyond_lxd("it does not say which") {
        format!("More than one image matches: {}", matches.join(", "))
    } else {
        "More than one image matches".to_owned()
    };
    let path = format!("/1.0/images/{start}");
    daemon.get(&path).is_error(500, &text);
    daemon.get(&format!("{path}/export")).is_error(500, &text);
    daemon.delete(&path).is_error(500, &text);
    assert_eq!(daemon.images("default").len(), 2);
}

#[test]
fn many_images_with_one_start_are_not_all_named() {
    if !beyond_lxd("it names none") {
        return;
    }
    let daemon = Lximaged::start();
    // Of so many, some digit begins at least six.
    let images = (0..81).map(|number| images::container(&format!("many {number}")));
    let mut by_start = BTreeMap::<String, Vec<Vec<u8>>>::new();
    for image in images {
        let start = fingerprint(&[&image])[..1].to_owned();
        by_start.entry(start).or_default().push(image);
    }
    let (common, alike) = by_start.iter().find(|(_, alike)| alike.len() > 5).unwrap();
    for image in alike {
        daemon.import(image);
    }
    let answer = daemon.get(&format!("/1.0/images/{common}"));
    let error = answer.json["error"].as_str().unwrap();
    assert_eq!(
        (answer.status, error.matches(',').count()),
        (500, 5),
        "{error}"
    );
    assert!(error.ends_with(", …"), "{error}");
}

#[test]
fn what_a_stranger_may_not_see_makes_nothing_ambiguous() {
    if !beyond_lxd("it counts private images") {
        return;
    }
    let daemon = Lximaged::start();
    let stranger = Lximaged::anonymous(daemon.listen());
    let (first, second, start) = alike();
    daemon.import(&first);
    let path = format!("/1.0/images/{start}");
    stranger.get(&path).is_error(404, "Image not found");
    let public = daemon.import_public(&second);
    let seen = stranger.get(&path).metadata()["fingerprint"].clone();
    assert_eq!(seen, public.as_str());
}

#[test]
fn images_of_all_projects_are_listed_with_their_projects() {
    if !beyond_lxd("it has this from 6.0 on") {
        return;
    }
    let daemon = Lximaged::start();
    let stranger = Lximaged::anonymous(daemon.listen());
    let shares = json!({"name": "shares", "config": {"features.images": "false"}});
    for project in [json!({"name": "own"}), shares] {
        assert_eq!(daemon.post("/1.0/projects", &project).status, 201);
    }
    let one = daemon.import(&images::container("a"));
    let other = images::container("b");
    let answer = daemon.send(&Request::new("POST", "/1.0/images?project=own").body(&other));
    let other = fingerprint_of(&daemon.finished(&answer));
    let listed = daemon
        .get("/1.0/images?all-projects=true&recursion=1")
        .metadata()
        .clone();
    let seen: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|image| (image["project"].clone(), image["fingerprint"].clone()))
        .collect();
    assert_eq!(
        seen,
        [(json!("default"), json!(one)), (json!("own"), json!(other))]
    );
    let urls = json!([
        format!("/1.0/images/{one}"),
        format!("/1.0/images/{other}?project=own")
    ]);
    assert_eq!(
        daemon.get("/1.0/images?all-projects=true").metadata(),
        &urls
    );
    let filtered = daemon
        .get(
            "/1.0/images?all-projects=true&filter=project eq own"
                .replace(' ', "%20")
                .as_str(),
        )
        .metadata()
        .clone();
    assert_eq!(
        filtered,
        json!([format!("/1.0/images/{other}?project=own")])
    );
    assert!(daemon.image(&one).get("project").is_none());
    let text = "Cannot specify a project when requesting all projects";
    daemon
        .get("/1.0/images?all-projects=true&project=own")
        .is_error(400, text);
    let text = "Untrusted callers may only access public images in the default project";
    stranger
        .get("/1.0/images?all-projects=true")
        .is_error(403, text);
}

#[test]
fn a_filter_selects_by_field_and_property() {
    let daemon = Lximaged::start();
    let a = daemon.import(&images::container("a"));
    daemon.import(&images::container("b"));
    let fingerprints = |filter: &str| -> Vec<String> {
        let images = filtered(&daemon, filter);
        images
            .iter()
            .map(|image| image["fingerprint"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(fingerprints(&format!("fingerprint+eq+{a}")), [a.as_str()]);
    assert_eq!(
        fingerprints("properties.description+eq+%22image+a%22"),
        [a.as_str()]
    );
    assert_eq!(
        fingerprints("properties.os+eq+testix").len(),
        2,
        "the case does not matter"
    );
    assert_eq!(
        fingerprints("type+eq+container+and+properties.description+eq+.*a"),
        [a]
    );
    assert_eq!(fingerprints("type+ne+container").len(), 0);
}

#[test]
fn a_filter_compares_booleans_as_booleans() {
    if !beyond_lxd("it compares them with a string, which is never equal") {
        return;
    }
    let daemon = Lximaged::start();
    daemon.import(&images::container("a"));
    daemon.import_public(&images::container("b"));
    assert_eq!(filtered(&daemon, "public+eq+true").len(), 1);
    assert_eq!(filtered(&daemon, "public+eq+false").len(), 1);
}

#[test]
fn a_bad_filter_is_refused() {
    let daemon = Lximaged::start();
    let texts = [
        ("x", "clause has no operator"),
        ("x+eq", "clause has no value"),
        ("not", "incomplete not clause"),
        ("x+eq+y+or", "unterminated compound clause"),
        ("x+eq+y+z", "invalid clause composition"),
        ("x+eq+%22y+z", "unterminated quote"),
    ];
    for (filter, text) in texts {
        let answer = daemon.get(&format!("/1.0/images?filter={filter}"));
        answer.is_error(500, &format!("Invalid filter: {text}"));
    }
}

#[test]
fn images_of_an_unknown_project_are_not_found() {
    let daemon = Lximaged::start();
    let text = "Check if project has images: fetch project: Project not found";
    daemon.get("/1.0/images?project=nope").is_error(404, text);
    daemon
        .get("/1.0/images/aliases?project=nope")
        .is_error(404, text);
    daemon
        .get("/1.0/images/abc?project=nope")
        .is_error(404, text);
}

#[test]
fn projects_see_their_own_images() {
    let daemon = Lximaged::start();
    daemon
        .post("/1.0/projects", &json!({"name": "p1"}))
        .is_created("/1.0/projects/p1");
    let found = daemon.import(&images::container("a"));
    assert_eq!(daemon.images("default").len(), 1);
    assert!(daemon.images("p1").is_empty());
    let path = format!("/1.0/images/{found}?project=p1");
    daemon.get(&path).is_error(404, "Image not found");
}

#[test]
fn what_was_read_is_read_anew_after_each_change() {
    let daemon = Lximaged::start();
    let stranger = Lximaged::anonymous(daemon.listen());
    let read = || daemon.get("/1.0/images?recursion=1").metadata().clone();
    assert_eq!(read(), json!([]));
    assert_eq!(stranger.get("/1.0/images").metadata(), &json!([]));
    let found = daemon.import(&images::container("a"));
    assert_eq!(read()[0]["fingerprint"], found.as_str());
    assert_eq!(stranger.get("/1.0/images").metadata(), &json!([]));
    let path = format!("/1.0/images/{found}");
    for release in ["one", "two"] {
        let body = json!({"properties": {"release": release}, "public": release == "two"});
        daemon.patch(&path, &body).is_done();
        assert_eq!(read()[0]["properties"]["release"], release);
        assert_eq!(daemon.image(&found)["properties"]["release"], release);
    }
    assert_eq!(stranger.get("/1.0/images").metadata(), &json!([path]));
    daemon.alias("name", &found);
    assert_eq!(read()[0]["aliases"][0]["name"], "name");
    daemon.finished(&daemon.delete(&path));
    assert_eq!(read(), json!([]));
    daemon.get(&path).is_error(404, "Image not found");
}

#[test]
fn a_change_by_another_process_is_seen_at_once() {
    if !beyond_lxd("it has no such command") {
        return;
    }
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    for day in ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"] {
        daemon.image(&found);
        let output = daemon
            .command(&["debug", "set-last-used", &found, day])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(daemon.image(&found)["last_used_at"], day);
    }
}
