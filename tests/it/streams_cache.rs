//! The lists of simplestreams servers are kept: asked for no more than needed, and good for when
//! the server is not.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use serde_json::json;

use crate::support::{
    Options, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
    upstream::{
        Act, Page, Seen, Site,
        streams::{INDEX, PRODUCTS, Tree, file},
    },
};

const FTYPE: &str = "lxd_combined.tar.gz";

/// Puts up one image each, called by its marker.
fn publish(site: &Site, markers: &[&str]) {
    let mut tree = Tree::new(&site.upstream);
    for marker in markers {
        let image = images::container(marker);
        tree.product(marker, &json!({}))
            .version(marker, "20240101_0000", &[(FTYPE, &image)]);
    }
    tree.publish();
}

/// What a server says of documents besides themselves.
type Telling = fn(Page) -> Page;

/// Has the lists come with these headers instead of theirs.
fn tell(site: &Site, telling: Telling) {
    for path in [INDEX, PRODUCTS] {
        let page = site.upstream.find(path).unwrap();
        site.upstream.page(path, telling(page.without_headers()));
    }
}

#[track_caller]
fn pull(site: &Site, alias: &str) {
    let found = fingerprint_of(&site.pull(&json!({ "alias": alias })));
    assert_eq!(found, fingerprint(&[&images::container(alias)]));
}

/// What was asked for at the lists.
fn asked(site: &Site) -> Vec<Seen> {
    let mut seen = site.upstream.seen();
    seen.retain(|seen| [INDEX, PRODUCTS].contains(&seen.path.as_str()));
    site.upstream.forget();
    seen
}

/// Has what is kept be found current so long ago.
fn age(site: &Site, age: Duration) {
    for name in site.daemon.names("cache") {
        let path = site.daemon.dir().join("cache").join(name);
        let file = File::options().append(true).open(path).unwrap();
        let current = file.metadata().unwrap().modified().unwrap();
        file.set_modified(current - age).unwrap();
    }
}

#[test]
fn lists_are_asked_for_again_only_if_they_have_changed() {
    if !beyond_lxd("it asks once an hour, and then for all of it") {
        return;
    }
    let date = "Mon, 01 Jan 2024 00:00:00 GMT";
    let tellings: [(Telling, Option<&str>, Option<&str>); 3] = [
        (|page| page.header("ETag", "\"x\""), Some("\"x\""), None),
        (
            |page| page.header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
            None,
            Some(date),
        ),
        (|page| page, None, None),
    ];
    for (telling, tag, modified) in tellings {
        let mut site = Site::start();
        publish(&site, &["a", "b", "c"]);
        tell(&site, telling);
        pull(&site, "a");
        let first = asked(&site);
        assert_eq!(first.len(), 2);
        assert!(
            first
                .iter()
                .all(|seen| seen.header("if-none-match").is_none())
        );
        pull(&site, "b");
        // What is kept outlives the daemon.
        site.daemon.restart();
        pull(&site, "c");
        let later = asked(&site);
        assert_eq!(later.len(), 4);
        for seen in later {
            assert_eq!(seen.header("if-none-match"), tag);
            assert_eq!(seen.header("if-modified-since"), modified);
        }
    }
}

#[test]
fn an_image_that_is_new_at_the_server_is_found_at_once() {
    if !beyond_lxd("it takes an hour") {
        return;
    }
    let site = Site::start();
    publish(&site, &["a"]);
    pull(&site, "a");
    publish(&site, &["b"]);
    pull(&site, "b");
    let said = refusal(&site.pull(&json!({"alias": "a"})));
    assert!(said.contains("couldn't be found"), "{said}");
}

#[test]
fn kept_lists_are_named_by_hashes_and_nobody_else_reads_them() {
    if !beyond_lxd("it names them after what the server says") {
        return;
    }
    let site = Site::with(Options::default().umask(0));
    publish(&site, &["a"]);
    let mut tree = Tree::new(&site.upstream);
    tree.entry["path"] = json!("streams/v1/../../../escape.json");
    tree.publish();
    refusal(&site.pull(&json!({"alias": "a"})));
    publish(&site, &["a"]);
    pull(&site, "a");
    let names = site.daemon.names("cache");
    assert_eq!(names.len(), 2);
    let directory = site.daemon.dir().join("cache");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for name in names {
        assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(mode(&directory.join(name)), 0o600);
    }
}

#[test]
fn what_is_kept_serves_while_the_server_does_not() {
    let site = Site::start();
    publish(&site, &["a", "b"]);
    pull(&site, "a");
    // Its lists cannot be had, its files can.
    site.upstream.act(INDEX, Act::Refuse);
    site.upstream.act(PRODUCTS, Act::Say(Page::status(503)));
    pull(&site, "b");
    // All of it is down, and what is here is here.
    site.upstream.down();
    pull(&site, "a");
    if beyond_lxd("it tries something else") {
        site.daemon
            .remove_image(&fingerprint(&[&images::container("b")]));
        let said = refusal(&site.pull(&json!({"alias": "b"})));
        assert!(said.contains("connection refused"), "{said}");
    }
    site.upstream.up();
    site.upstream.behave();
    pull(&site, "b");
}

#[test]
fn a_list_that_names_what_is_gone_is_fetched_anew_once() {
    if !beyond_lxd("it takes an hour") {
        return;
    }
    // Such a server does not even notice that its lists have changed.
    let stuck: Telling = |page| page.header("ETag", "\"always\"");
    let site = Site::start();
    publish(&site, &["a", "b"]);
    tell(&site, stuck);
    pull(&site, "b");
    let mut tree = Tree::new(&site.upstream);
    let image = images::container("a");
    tree.product("a", &json!({}))
        .version("a", "20240102_0000", &[(FTYPE, &image)])
        .publish();
    tell(&site, stuck);
    site.upstream.remove(&file("a", "20240101_0000", FTYPE));
    asked(&site);
    pull(&site, "a");
    let conditions: Vec<_> = asked(&site)
        .iter()
        .map(|seen| seen.header("if-none-match").is_some())
        .collect();
    assert_eq!(conditions, [true, true, false, false]);

    // What a new list names and is not there is an error.
    site.daemon.remove_image(&fingerprint(&[&image]));
    site.upstream.remove(&file("a", "20240102_0000", FTYPE));
    let said = refusal(&site.pull(&json!({"alias": "a"})));
    assert!(said.ends_with(": 404 Not Found"), "{said}");
    assert_eq!(asked(&site).len(), 4);
}

#[test]
fn a_server_that_goes_back_in_time_is_not_followed_for_a_day() {
    if !beyond_lxd("it follows") {
        return;
    }
    let site = Site::start();
    let (older, newer) = (images::container("older"), images::container("newer"));
    let publish = |serial: &str, image: &[u8], updated: &str| {
        let mut tree = Tree::new(&site.upstream);
        tree.product("a", &json!({}));
        tree.version("a", serial, &[(FTYPE, image)]);
        tree.products["updated"] = json!(updated);
        tree.publish();
    };
    let pulled = || fingerprint_of(&site.pull(&json!({"alias": "a"})));
    publish("20240101_0000", &older, "Mon, 01 Jan 2024 00:00:00 +0000");
    assert_eq!(pulled(), fingerprint(&[&older]));
    publish("20240102_0000", &newer, "Tue, 02 Jan 2024 00:00:00 +0000");
    assert_eq!(pulled(), fingerprint(&[&newer]));
    publish("20240101_0000", &older, "Mon, 01 Jan 2024 00:00:00 +0000");
    assert_eq!(pulled(), fingerprint(&[&newer]));
    assert!(site.daemon.log().contains("the server went back in time"));
    // By then it is what it wants to be.
    age(&site, Duration::from_hours(25));
    assert_eq!(pulled(), fingerprint(&[&older]));
}

#[test]
fn a_list_of_the_future_is_not_current() {
    if !beyond_lxd("it keeps none") {
        return;
    }
    let site = Site::start();
    let publish = |serial: &str, image: &[u8], updated: &str| {
        let mut tree = Tree::new(&site.upstream);
        tree.product("a", &json!({}));
        tree.version("a", serial, &[(FTYPE, image)]);
        tree.products["updated"] = json!(updated);
        tree.publish();
    };
    let (older, newer) = (images::container("older"), images::container("newer"));
    publish("20240102_0000", &newer, "Tue, 02 Jan 2024 00:00:00 +0000");
    let pulled = || fingerprint_of(&site.pull(&json!({"alias": "a"})));
    assert_eq!(pulled(), fingerprint(&[&newer]));
    // The clock was ten years ahead then.
    for name in site.daemon.names("cache") {
        let path = site.daemon.dir().join("cache").join(name);
        let file = File::options().append(true).open(path).unwrap();
        let current = file.metadata().unwrap().modified().unwrap();
        file.set_modified(current + Duration::from_hours(87_600))
            .unwrap();
    }
    publish("20240101_0000", &older, "Mon, 01 Jan 2024 00:00:00 +0000");
    assert_eq!(pulled(), fingerprint(&[&older]));
}

#[test]
fn what_is_kept_and_damaged_is_fetched_again() {
    if !beyond_lxd("it keeps something else") {
        return;
    }
    let mut site = Site::start();
    publish(&site, &["a", "b", "c", "d"]);
    pull(&site, "a");
    for (alias, damaged) in [("b", ""), ("c", "{\"url\": 7}\n{}")] {
        for name in site.daemon.names("cache") {
            fs::write(site.daemon.dir().join("cache").join(name), damaged).unwrap();
        }
        pull(&site, alias);
    }
    // The server still knows the line about it, and thinks that we have the rest.
    tell(&site, |page| page.header("ETag", "\"always\""));
    pull(&site, "b");
    for name in site.daemon.names("cache") {
        let path = site.daemon.dir().join("cache").join(name);
        let mut kept = fs::read(&path).unwrap();
        *kept.last_mut().unwrap() = b' ';
        fs::write(&path, kept).unwrap();
    }
    site.daemon.restart();
    pull(&site, "d");
}

#[test]
fn a_refresh_asks_the_server() {
    let site = Site::start();
    let publish = |serial: &str, image: &[u8]| {
        let mut tree = Tree::new(&site.upstream);
        tree.product("a", &json!({}));
        tree.version("a", serial, &[(FTYPE, image)]).publish();
    };
    publish("20240101_0000", &images::container("older"));
    let mut wish = site.wish(&json!({"alias": "a"}));
    wish["auto_update"] = json!(true);
    let older = fingerprint_of(&site.daemon.ask("default", &wish));
    let refresh = || {
        let path = format!("/1.0/images/{older}/refresh");
        let answer = site.daemon.post(&path, &json!({}));
        site.daemon.finished(&answer)["metadata"]["refreshed"].clone()
    };
    assert_eq!(refresh(), false);
    publish("20240102_0000", &images::container("newer"));
    if beyond_lxd("it looks once an hour") {
        assert_eq!(refresh(), true);
        let newer = fingerprint(&[&images::container("newer")]);
        assert_eq!(site.daemon.image(&newer)["update_source"]["alias"], "a");
        assert_eq!(site.daemon.names("images"), [newer]);
    }
}
