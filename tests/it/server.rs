//! The server object and its settings.

use serde_json::{Value, json};

use crate::support::{Lximaged, Request};

#[track_caller]
fn config(daemon: &Lximaged) -> Value {
    daemon.get("/1.0").metadata()["config"].clone()
}

#[track_caller]
fn refused(daemon: &Lximaged, key: &str, value: &str, reason: &str) {
    let answer = daemon.patch("/1.0", &json!({"config": {key: value}}));
    answer.is_error(400, &format!("cannot set '{key}' to '{value}': {reason}"));
}

#[test]
fn the_server_tells_what_clients_look_for() {
    let daemon = Lximaged::start();
    let server = daemon.get("/1.0?project=default").metadata().clone();
    assert_eq!(server["config"], json!({}));
    assert_eq!(
        (&server["api_status"], &server["api_version"]),
        (&json!("stable"), &json!("1.0"))
    );
    assert_eq!(
        (&server["auth"], &server["public"]),
        (&json!("trusted"), &json!(false))
    );
    assert_eq!(server["auth_methods"], json!(["tls"]));
    let extensions = server["api_extensions"].as_array().unwrap();
    for wanted in ["etag", "patch", "projects"] {
        assert!(extensions.contains(&json!(wanted)), "{wanted}");
    }
    let environment = &server["environment"];
    assert_eq!(environment["addresses"], json!([]));
    assert_eq!(
        (&environment["server"], &environment["project"]),
        (&json!("lxd"), &json!("default"))
    );
    assert_eq!(environment["server_clustered"], false);
    assert_eq!(environment["server_pid"], daemon.pid());
    let certificate = environment["certificate"].as_str().unwrap();
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(
        environment["certificate_fingerprint"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
}

#[test]
fn the_root_names_the_api() {
    let daemon = Lximaged::start();
    assert_eq!(daemon.get("/").metadata(), &json!(["/1.0"]));
}

#[test]
fn patch_adds_settings_and_null_or_empty_removes_them() {
    let daemon = Lximaged::start();
    let set = json!({"config": {"images.remote_cache_expiry": "5", "user.a": "1"}});
    daemon.patch("/1.0", &set).is_done();
    daemon
        .patch("/1.0", &json!({"config": {"user.b": "2"}}))
        .is_done();
    let all = json!({"images.remote_cache_expiry": "5", "user.a": "1", "user.b": "2"});
    assert_eq!(config(&daemon), all);
    let unset = json!({"config": {"images.remote_cache_expiry": "", "user.a": null}});
    daemon.patch("/1.0", &unset).is_done();
    assert_eq!(config(&daemon), json!({"user.b": "2"}));
    daemon.patch("/1.0", &json!({})).is_done();
    assert_eq!(config(&daemon), json!({"user.b": "2"}));
}

#[test]
fn put_replaces_settings_but_never_removes_the_users_own() {
    let daemon = Lximaged::start();
    let set = json!({"config": {"images.auto_update_interval": "12", "user.a": "1"}});
    daemon.put("/1.0", &set).is_done();
    daemon
        .put(
            "/1.0",
            &json!({"config": {"images.remote_cache_expiry": "3"}}),
        )
        .is_done();
    let left = json!({"images.remote_cache_expiry": "3", "user.a": "1"});
    assert_eq!(config(&daemon), left);
}

#[test]
fn a_value_that_is_the_default_is_not_shown() {
    let daemon = Lximaged::start();
    let set = json!({"config": {"images.remote_cache_expiry": "10"}});
    daemon.patch("/1.0", &set).is_done();
    assert_eq!(config(&daemon), json!({}));
}

#[test]
fn booleans_are_shown_as_true_or_false() {
    let daemon = Lximaged::start();
    for (given, shown) in [
        ("NO", "false"),
        ("0", "false"),
        ("off", "false"),
        ("False", "false"),
    ] {
        daemon
            .patch(
                "/1.0",
                &json!({"config": {"images.auto_update_cached": given}}),
            )
            .is_done();
        assert_eq!(
            config(&daemon),
            json!({"images.auto_update_cached": shown}),
            "{given}"
        );
    }
    daemon
        .patch(
            "/1.0",
            &json!({"config": {"images.auto_update_cached": "On"}}),
        )
        .is_done();
    assert_eq!(config(&daemon), json!({}));
}

#[test]
fn settings_survive_a_restart() {
    let mut daemon = Lximaged::start();
    daemon
        .patch("/1.0", &json!({"config": {"user.a": "1"}}))
        .is_done();
    daemon.restart();
    assert_eq!(config(&daemon), json!({"user.a": "1"}));
}

#[test]
fn bad_values_are_refused_with_their_reason() {
    let daemon = Lximaged::start();
    refused(
        &daemon,
        "images.auto_update_interval",
        "x",
        "invalid integer",
    );
    refused(
        &daemon,
        "images.remote_cache_expiry",
        "1.5",
        "invalid integer",
    );
    refused(
        &daemon,
        "images.auto_update_cached",
        "maybe",
        "invalid boolean",
    );
    refused(
        &daemon,
        "images.compression_algorithm",
        "lz4",
        "Invalid compression algorithm \"lz4\"",
    );
    refused(
        &daemon,
        "core.remote_token_expiry",
        "x",
        "Invalid expiry expression",
    );
    refused(&daemon, "nosuch", "1", "unknown key");
    refused(
        &daemon,
        "core.https_address",
        "no.such.host.invalid",
        "Couldn't resolve \"no.such.host.invalid\"",
    );
    assert_eq!(config(&daemon), json!({}));
}

#[test]
fn several_bad_keys_are_counted() {
    let daemon = Lximaged::start();
    let answer = daemon.patch(
        "/1.0",
        &json!({"config": {"bb": "1", "aa": "y", "cc": "2"}}),
    );
    answer.is_error(
        400,
        "cannot set 'aa' to 'y': unknown key (and 2 more errors)",
    );
}

#[test]
fn values_must_be_strings() {
    let daemon = Lximaged::start();
    let kinds = [
        (json!(5), "float64"),
        (json!(true), "bool"),
        (json!({}), "map"),
        (json!([]), "slice"),
    ];
    for (value, kind) in kinds {
        let answer = daemon.patch("/1.0", &json!({"config": {"user.x": value}}));
        answer.is_error(400, &format!("cannot set 'user.x': invalid type {kind}"));
    }
}

#[test]
fn a_trust_password_is_never_shown() {
    let daemon = Lximaged::start();
    daemon
        .patch("/1.0", &json!({"config": {"core.trust_password": "foo"}}))
        .is_done();
    assert_eq!(config(&daemon), json!({"core.trust_password": true}));
    daemon
        .put("/1.0", &json!({"config": {"core.trust_password": true}}))
        .is_done();
    assert_eq!(config(&daemon), json!({"core.trust_password": true}));
}

#[test]
fn a_stale_etag_changes_no_setting() {
    let daemon = Lximaged::start();
    let etag = daemon.get("/1.0").header("etag").unwrap().to_owned();
    let put = |value: &str| {
        let request = Request::new("PUT", "/1.0").json(&json!({"config": {"user.x": value}}));
        daemon.send(&request.header("If-Match", &etag))
    };
    put("1").is_done();
    assert_eq!(put("2").status, 412);
    assert_eq!(config(&daemon), json!({"user.x": "1"}));
}

#[test]
fn an_address_in_use_is_refused_and_the_old_one_stays() {
    let daemon = Lximaged::start();
    let address = daemon.listen();
    let taken = std::net::TcpListener::bind(crate::support::daemon::own_address(8443)).unwrap();
    let wanted = taken.local_addr().unwrap().to_string();
    let answer = daemon.patch("/1.0", &json!({"config": {"core.https_address": wanted}}));
    assert_eq!(answer.status, 500);
    let text = answer.json["error"].as_str().unwrap();
    let start = format!("Cannot listen on network HTTPS socket \"{wanted}\": ");
    assert!(text.starts_with(&start), "{text}");
    if !crate::support::beyond_lxd("it shows the new address all the same") {
        return;
    }
    assert_eq!(config(&daemon)["core.https_address"], address.to_string());
    Lximaged::anonymous(address).get("/1.0").metadata();
}
