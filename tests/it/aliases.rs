//! Names of images.

use serde_json::json;

use crate::support::{Lximaged, Request, beyond_lxd, images};

fn with_alias(name: &str) -> (Lximaged, String) {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.alias(name, &found);
    (daemon, found)
}

#[test]
fn an_alias_is_made_shown_listed_and_deleted() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let body = json!({"name": "bb", "target": found, "description": "mine", "type": ""});
    daemon
        .post("/1.0/images/aliases", &body)
        .is_created("/1.0/images/aliases/bb");
    let alias = json!({"description": "mine", "target": found, "name": "bb", "type": "container"});
    assert_eq!(daemon.get("/1.0/images/aliases/bb").metadata(), &alias);
    let list = daemon.get("/1.0/images/aliases");
    assert_eq!(list.metadata(), &json!(["/1.0/images/aliases/bb"]));
    assert_eq!(
        daemon.get("/1.0/images/aliases?recursion=1").metadata(),
        &json!([alias])
    );
    assert_eq!(
        daemon.image(&found)["aliases"],
        json!([{"name": "bb", "description": "mine"}])
    );
    daemon.delete("/1.0/images/aliases/bb").is_done();
    daemon
        .get("/1.0/images/aliases/bb")
        .is_error(404, "Image alias not found");
    assert_eq!(daemon.get("/1.0/images/aliases").metadata(), &json!([]));
}

#[test]
fn the_start_of_a_fingerprint_is_target_enough() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.alias("short", &found[..12]);
    assert_eq!(
        daemon.get("/1.0/images/aliases/short").metadata()["target"],
        found.as_str()
    );
}

#[test]
fn a_taken_name_is_a_conflict() {
    let (daemon, found) = with_alias("bb");
    let body = json!({"name": "bb", "target": found});
    daemon
        .post("/1.0/images/aliases", &body)
        .is_error(409, "Alias \"bb\" already exists");
}

#[test]
fn an_alias_needs_a_name_and_an_image() {
    let daemon = Lximaged::start();
    let text = "name and target are required";
    daemon
        .post("/1.0/images/aliases", &json!({"name": "x"}))
        .is_error(400, text);
    daemon
        .post("/1.0/images/aliases", &json!({"target": "x"}))
        .is_error(400, text);
    let body = json!({"name": "x", "target": "c".repeat(64)});
    daemon
        .post("/1.0/images/aliases", &body)
        .is_error(404, "Image not found");
}

#[test]
fn a_name_with_slashes_works_in_both_spellings() {
    let (daemon, found) = with_alias("tiny/1.0/amd64");
    for path in ["tiny/1.0/amd64", "tiny%2F1.0%2Famd64"] {
        let alias = daemon
            .get(&format!("/1.0/images/aliases/{path}"))
            .metadata()
            .clone();
        assert_eq!(
            (&alias["name"], &alias["target"]),
            (&json!("tiny/1.0/amd64"), &json!(found))
        );
    }
    daemon
        .delete("/1.0/images/aliases/tiny/1.0/amd64")
        .is_done();
}

#[test]
fn names_may_hold_spaces_and_letters_of_any_script() {
    let (daemon, found) = with_alias("mein Bild ü");
    let alias = daemon
        .get("/1.0/images/aliases/mein%20Bild%20%C3%BC")
        .metadata()
        .clone();
    assert_eq!(
        (&alias["name"], &alias["target"]),
        (&json!("mein Bild ü"), &json!(found))
    );
}

#[test]
fn the_empty_name_is_a_name() {
    let (daemon, found) = with_alias("x");
    let answer = daemon.post("/1.0/images/aliases", &json!({"name": "", "target": found}));
    answer.is_error(400, "name and target are required");
    daemon
        .get("/1.0/images/aliases/")
        .is_error(404, "Image alias not found");
}

#[test]
fn names_that_would_spoil_a_terminal_are_refused() {
    if !beyond_lxd("it takes them") {
        return;
    }
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let post = |name: &str| {
        let body = json!({"name": name, "target": found});
        daemon.post("/1.0/images/aliases", &body).status
    };
    assert_eq!(post(&"x".repeat(255)), 201);
    assert_eq!(post(&"x".repeat(256)), 400);
    for name in ["a\nb", "a\rb", "a\u{1b}[2J", "a\u{0}b"] {
        assert_eq!(post(name), 400, "{name:?}");
    }
}

#[test]
fn addresses_of_aliases_are_encoded_once() {
    if !beyond_lxd("it encodes them twice") {
        return;
    }
    let (daemon, found) = with_alias("a/b c");
    let url = "/1.0/images/aliases/a%2Fb%20c";
    assert_eq!(daemon.get("/1.0/images/aliases").metadata(), &json!([url]));
    let body = json!({"name": "x/y z", "target": found});
    let answer = daemon.post("/1.0/images/aliases", &body);
    answer.is_created("/1.0/images/aliases/x%2Fy%20z");
}

#[test]
fn put_moves_an_alias_to_another_image() {
    let (daemon, _) = with_alias("a");
    let other = daemon.import(&images::container("b"));
    let body = json!({"description": "moved", "target": other});
    daemon.put("/1.0/images/aliases/a", &body).is_done();
    let alias = daemon.get("/1.0/images/aliases/a").metadata().clone();
    assert_eq!(
        (&alias["description"], &alias["target"]),
        (&json!("moved"), &json!(other))
    );
}

#[test]
fn put_of_an_alias_needs_an_image() {
    let (daemon, found) = with_alias("a");
    let path = "/1.0/images/aliases/a";
    daemon
        .put(path, &json!({}))
        .is_error(400, "The target field is required");
    let body = json!({"target": "c".repeat(64)});
    daemon.put(path, &body).is_error(404, "Image not found");
    let body = json!({"target": found});
    daemon
        .put("/1.0/images/aliases/x", &body)
        .is_error(404, "Image alias not found");
}

#[test]
fn a_stale_etag_changes_no_alias() {
    let (daemon, found) = with_alias("a");
    let etag = daemon
        .get("/1.0/images/aliases/a")
        .header("etag")
        .unwrap()
        .to_owned();
    let put = |description: &str| {
        let body = json!({"description": description, "target": found});
        let request = Request::new("PUT", "/1.0/images/aliases/a").json(&body);
        daemon.send(&request.header("If-Match", &etag))
    };
    put("one").is_done();
    assert_eq!(put("two").status, 412);
    assert_eq!(
        daemon.get("/1.0/images/aliases/a").metadata()["description"],
        "one"
    );
}

#[test]
fn patch_changes_what_it_names() {
    if !beyond_lxd("it fails after 20 seconds") {
        return;
    }
    let (daemon, found) = with_alias("a");
    daemon
        .patch("/1.0/images/aliases/a", &json!({"description": "new"}))
        .is_done();
    let alias = daemon.get("/1.0/images/aliases/a").metadata().clone();
    assert_eq!(
        (&alias["description"], &alias["target"]),
        (&json!("new"), &json!(found))
    );
}

#[test]
fn patch_takes_strings_only() {
    let (daemon, _) = with_alias("a");
    for (field, value) in [("description", json!(5)), ("target", json!(null))] {
        let answer = daemon.patch("/1.0/images/aliases/a", &json!({field: value}));
        answer.is_error(400, &format!("`{field}` was not a string"));
    }
}

#[test]
fn a_renamed_alias_keeps_its_image() {
    if !beyond_lxd("it takes ten seconds") {
        return;
    }
    let (daemon, found) = with_alias("old/name");
    let answer = daemon.post("/1.0/images/aliases/old/name", &json!({"name": "new"}));
    answer.is_created("/1.0/images/aliases/new");
    assert_eq!(
        daemon.get("/1.0/images/aliases/new").metadata()["target"],
        found.as_str()
    );
    daemon
        .get("/1.0/images/aliases/old/name")
        .is_error(404, "Image alias not found");
}

#[test]
fn renaming_to_a_taken_name_is_a_conflict() {
    let (daemon, found) = with_alias("a");
    daemon.alias("b", &found);
    let answer = daemon.post("/1.0/images/aliases/a", &json!({"name": "b"}));
    answer.is_error(409, "Alias \"b\" already exists");
    daemon.get("/1.0/images/aliases/a").metadata();
}

#[test]
fn an_alias_that_is_not_there_is_not_found() {
    let daemon = Lximaged::start();
    let text = "Image alias not found";
    daemon.get("/1.0/images/aliases/x").is_error(404, text);
    daemon.delete("/1.0/images/aliases/x").is_error(404, text);
    daemon
        .post("/1.0/images/aliases/x", &json!({"name": "y"}))
        .is_error(404, text);
}

#[test]
fn projects_have_their_own_aliases() {
    let (daemon, _) = with_alias("a");
    daemon
        .post("/1.0/projects", &json!({"name": "p1"}))
        .is_created("/1.0/projects/p1");
    daemon
        .get("/1.0/images/aliases/a?project=p1")
        .is_error(404, "Image alias not found");
    assert_eq!(
        daemon.get("/1.0/images/aliases?project=p1").metadata(),
        &json!([])
    );
}
