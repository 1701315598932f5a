//! Every route, asked by every kind of caller, on their own project and on another: who must be
//! turned away is. The routes come from the table itself, so that a new one is asked as well; its
//! access rule has to have a row here.

use std::sync::Arc;

use serde_json::json;

use crate::support::{Client, Lximaged, Request, images, stream::Identity};

/// The callers: what they are called here.
const CALLERS: [&str; 6] = [
    "socket",
    "admin",
    "own project",
    "metrics",
    "unknown",
    "anonymous",
];

/// For each access rule of the table, who gets in where: on the project they may use, and on
/// another. What `anyone` may see behind its routes is the matter of `untrusted.rs`.
const RULES: &[(&str, &[&str], &[&str])] = &[
    ("anyone", &CALLERS, &CALLERS),
    (
        "trusted",
        &["socket", "admin", "own project"],
        &["socket", "admin", "own project"],
    ),
    (
        "project",
        &["socket", "admin", "own project"],
        &["socket", "admin"],
    ),
    ("admin", &["socket", "admin"], &["socket", "admin"]),
];

/// A daemon with projects `own` and `other`, and its callers.
fn with_callers() -> (Lximaged, Vec<(&'static str, Client)>) {
    let daemon = Lximaged::start();
    let address = daemon.listen();
    for name in ["own", "other"] {
        let answer = daemon.post("/1.0/projects", &json!({ "name": name }));
        assert_eq!(answer.status, 201);
    }
    let add = |kind: &str, restricted: bool| {
        let identity = Arc::new(Identity::new());
        let body = json!({"type": kind, "certificate": identity.base64(),
            "restricted": restricted, "projects": if restricted { vec!["own"] } else { vec![] }});
        let answer = daemon.post("/1.0/certificates", &body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        Client::with(address, &identity)
    };
    let callers = vec![
        ("admin", add("client", false)),
        ("own project", add("client", true)),
        ("metrics", add("metrics", false)),
        ("unknown", Lximaged::stranger(address)),
        ("anonymous", Lximaged::anonymous(address)),
    ];
    (daemon, callers)
}

#[test]
fn whoever_must_be_turned_away_from_a_route_is() {
    let (daemon, callers) = with_callers();
    let found = daemon.import(&images::container("a"));
    let token = daemon.post(&format!("/1.0/images/{found}/secret"), &json!({}));
    let id = token.operation()["id"].as_str().unwrap().to_owned();
    let certificates = daemon.get("/1.0/certificates").metadata().clone();
    let projects = daemon.get("/1.0/projects?recursion=1").metadata().clone();
    let mut asked = 0;
    for (method, pattern, access) in lximaged::route_table() {
        let (_, on_own, on_other) = RULES
            .iter()
            .find(|rule| rule.0 == access)
            .unwrap_or_else(|| panic!("no rule for {method} {pattern}: {access}"));
        let path = pattern
            .replace("{fingerprint}", &found)
            .replace("{id}", &id)
            .replace("{*name}", "name")
            .replace("{name}", "other");
        for (caller, client) in &callers {
            for (project, get_in) in [("own", on_own), ("other", on_other)] {
                if get_in.contains(caller) {
                    continue;
                }
                let target = format!("{path}?project={project}");
                let answer = client.send(&Request::new(method, &target).json(&json!({})));
                let said = (
                    answer.status,
                    answer.json["error"].as_str().unwrap_or_default(),
                );
                // The answer to a HEAD has no body.
                let text = if method == "HEAD" {
                    ""
                } else {
                    "not authorized"
                };
                assert_eq!(said, (403, text), "{caller}: {method} {target}");
                asked += 1;
            }
        }
    }
    assert!(asked > 400, "{asked}");
    assert_eq!(daemon.get("/1.0/certificates").metadata(), &certificates);
    assert_eq!(
        daemon.get("/1.0/projects?recursion=1").metadata(),
        &projects
    );
    assert_eq!(daemon.images("default").len(), 1);
}

#[test]
fn whoever_may_read_a_route_is_not_turned_away() {
    let (daemon, callers) = with_callers();
    let found = daemon.import(&images::container("a"));
    for (_, pattern, access) in lximaged::route_table()
        .into_iter()
        .filter(|row| row.0 == "GET")
    {
        if access == "anyone" || pattern.ends_with("/events") || pattern.contains("/operations/") {
            continue;
        }
        let path = pattern
            .replace("{fingerprint}", &found)
            .replace("{*name}", "name")
            .replace("{name}", "own");
        let (_, on_own, _) = RULES.iter().find(|rule| rule.0 == access).unwrap();
        for (caller, client) in &callers {
            if on_own.contains(caller) {
                let target = format!("{path}?project=own");
                assert_ne!(client.get(&target).status, 403, "{caller}: {target}");
            }
        }
    }
}
