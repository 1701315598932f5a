//! What somebody without trust gets from every route there is.

use serde_json::json;

use crate::support::{Lximaged, Request, beyond_lxd, images};

/// Routes that anyone may ask, and what they answer when nothing there is public: the status, and
/// the error.
const OPEN: &[(&str, &str, u16, &str)] = &[
    ("GET", "/", 200, ""),
    ("HEAD", "/", 200, ""),
    ("GET", "/1.0", 200, ""),
    ("GET", "/1.0/images", 200, ""),
    ("POST", "/1.0/images", 403, "not authorized"),
    ("GET", "/1.0/images/{fingerprint}", 404, "Image not found"),
    (
        "GET",
        "/1.0/images/{fingerprint}/export",
        404,
        "Image not found",
    ),
    ("HEAD", "/1.0/images/{fingerprint}/export", 404, ""),
    ("GET", "/1.0/images/aliases/", 404, "Image alias not found"),
    (
        "GET",
        "/1.0/images/aliases/{*name}",
        404,
        "Image alias not found",
    ),
    ("POST", "/1.0/certificates", 403, "not authorized"),
    ("GET", "/1.0/metrics", 403, "not authorized"),
    ("GET", "/1.0/operations/{id}/wait", 403, "not authorized"),
    (
        "GET",
        "/1.0/operations/{id}/websocket",
        403,
        "not authorized",
    ),
];

/// A daemon with one private thing of each kind, and the routes with those things filled in.
fn with_private_things() -> (
    Lximaged,
    Vec<(&'static str, &'static str, String, &'static str)>,
) {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    daemon.alias("private", &found);
    let token = daemon.post(&format!("/1.0/images/{found}/secret"), &json!({}));
    let id = token.operation()["id"].as_str().unwrap().to_owned();
    let fill = |path: &str| {
        let path = path.replace("{fingerprint}", &found).replace("{id}", &id);
        path.replace("{*name}", "private")
            .replace("{name}", "default")
    };
    let table = lximaged::route_table().into_iter();
    let routes = table
        .map(|(method, path, access)| (method, path, fill(path), access))
        .collect();
    (daemon, routes)
}

#[test]
fn a_stranger_is_turned_away_from_every_route_that_is_not_open() {
    let (daemon, routes) = with_private_things();
    let anonymous = Lximaged::anonymous(daemon.listen());
    for (method, _, path, _) in routes.iter().filter(|route| route.3 != "anyone") {
        let answer = anonymous.send(&Request::new(method, path).json(&json!({})));
        // The answer to a HEAD has no body.
        let is_silent = *method == "HEAD" && answer.body.is_empty();
        let turned_away =
            answer.status == 403 && (is_silent || answer.json["error"] == "not authorized");
        assert!(
            turned_away,
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert_eq!(daemon.images("default").len(), 1, "nothing was changed");
}

#[test]
fn an_unknown_certificate_opens_nothing_more() {
    let (daemon, routes) = with_private_things();
    let stranger = Lximaged::stranger(daemon.listen());
    for (method, _, path, _) in routes.iter().filter(|route| route.3 != "anyone") {
        let answer = stranger.send(&Request::new(method, path).json(&json!({})));
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
}

#[test]
fn an_open_route_tells_a_stranger_nothing_private() {
    if !beyond_lxd("it tells the whole fingerprint") {
        return;
    }
    let (daemon, routes) = with_private_things();
    let anonymous = Lximaged::anonymous(daemon.listen());
    for (method, pattern, path, _) in routes.iter().filter(|route| route.3 == "anyone") {
        let row = OPEN
            .iter()
            .find(|row| (row.0, row.1) == (*method, *pattern));
        let (_, _, status, error) =
            row.unwrap_or_else(|| panic!("OPEN says nothing of {method} {pattern}"));
        let answer = anonymous.send(&Request::new(method, path).json(&json!({})));
        let found = (
            answer.status,
            answer.json["error"].as_str().unwrap_or_default(),
        );
        assert_eq!(
            found,
            (*status, *error),
            "{method} {path}: {}",
            answer.text()
        );
        assert!(!answer.text().contains("image a"), "{}", answer.text());
    }
}

#[test]
fn the_header_of_relayed_requests_opens_nothing() {
    let daemon = Lximaged::start();
    let anonymous = Lximaged::anonymous(daemon.listen());
    let request = Request::new("GET", "/1.0/images").header("X-LXD-authenticated", "true");
    anonymous.send(&request).is_error(403, "not authorized");
}
