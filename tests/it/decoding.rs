//! JSON as Go reads it, and the texts of what it cannot read.

use serde_json::json;

use crate::support::{Answer, Lximaged, Request, beyond_lxd};

#[track_caller]
fn put(daemon: &Lximaged, body: &[u8]) -> Answer {
    daemon.send(&Request::new("PUT", "/1.0").body(body))
}

#[test]
fn malformed_json_is_refused_in_the_decoders_words() {
    let daemon = Lximaged::start();
    let texts = [
        ("", "EOF"),
        ("  \n", "EOF"),
        ("{", "unexpected EOF"),
        ("{\"a\"", "unexpected EOF"),
        ("nul", "unexpected EOF"),
        ("x", "invalid character 'x' looking for beginning of value"),
        (
            "\u{feff}{}",
            "invalid character 'ï' looking for beginning of value",
        ),
        (
            "{\"a\":{},}",
            "invalid character '}' looking for beginning of object key string",
        ),
        (
            "{'a':1}",
            "invalid character '\\'' looking for beginning of object key string",
        ),
        (
            "{\"a\":1 \"b\":2}",
            "invalid character '\"' after object key:value pair",
        ),
        (
            "{\"a\":01}",
            "invalid character '1' after object key:value pair",
        ),
        (
            "{\"a\":1.}",
            "invalid character '}' after decimal point in numeric literal",
        ),
        (
            "{\"a\":truX}",
            "invalid character 'X' in literal true (expecting 'e')",
        ),
        (
            "{\"a\":\"\n\"}",
            "invalid character '\\n' in string literal",
        ),
        (
            "{\"a\":\"\\q\"}",
            "invalid character 'q' in string escape code",
        ),
    ];
    for (body, text) in texts {
        put(&daemon, body.as_bytes()).is_error(400, text);
    }
}

#[test]
fn values_of_the_wrong_type_are_refused_with_their_place() {
    let daemon = Lximaged::start();
    let texts = [
        (
            "/1.0/images/aliases",
            "[]",
            "array into Go value of type api.ImageAliasesPost",
        ),
        (
            "/1.0/images/aliases",
            "{\"name\":5}",
            "number into Go struct field ImageAliasesPost.name of type string",
        ),
        (
            "/1.0/projects",
            "{\"config\":{\"a\":true}}",
            "bool into Go struct field ProjectsPost.config of type string",
        ),
        (
            "/1.0/profiles",
            "{\"devices\":{\"a\":5}}",
            "number into Go struct field ProfilesPost.devices of type map[string]string",
        ),
    ];
    for (path, body, text) in texts {
        let answer = daemon.send(&Request::new("POST", path).body(body));
        answer.is_error(400, &format!("json: cannot unmarshal {text}"));
    }
}

#[test]
fn names_of_fields_are_read_in_any_case() {
    let daemon = Lximaged::start();
    put(&daemon, b"{\"CONFIG\":{\"user.a\":\"1\"}}").is_done();
    assert_eq!(
        daemon.get("/1.0").metadata()["config"],
        json!({"user.a": "1"})
    );
}

#[test]
fn what_follows_the_first_value_is_ignored() {
    let daemon = Lximaged::start();
    put(&daemon, b"{\"config\":{\"user.a\":\"1\"}} trailing").is_done();
    put(&daemon, b"{\"config\":{\"user.b\":\"2\"},\"unknown\":[1]}{").is_done();
    assert_eq!(
        daemon.get("/1.0").metadata()["config"],
        json!({"user.a": "1", "user.b": "2"})
    );
}

#[test]
fn objects_given_twice_are_merged() {
    let daemon = Lximaged::start();
    put(
        &daemon,
        b"{\"config\":{\"user.a\":\"1\"},\"config\":{\"user.b\":\"2\"}}",
    )
    .is_done();
    assert_eq!(
        daemon.get("/1.0").metadata()["config"],
        json!({"user.a": "1", "user.b": "2"})
    );
}

#[test]
fn a_missing_object_is_found_out_before_its_body() {
    let daemon = Lximaged::start();
    let request = Request::new("PUT", &format!("/1.0/images/{}", "a".repeat(64))).body("{");
    daemon.send(&request).is_error(404, "Image not found");
}

#[test]
fn a_body_of_a_megabyte_is_the_largest() {
    if !beyond_lxd("it reads everything into memory") {
        return;
    }
    let daemon = Lximaged::start();
    let body = |size: usize| format!("{{}}{}", " ".repeat(size - 2));
    put(&daemon, body(1 << 20).as_bytes()).is_done();
    assert_eq!(put(&daemon, body((1 << 20) + 1).as_bytes()).status, 413);
}

#[test]
fn nesting_has_an_end() {
    let daemon = Lximaged::start();
    let body = "[".repeat(10_001);
    put(&daemon, body.as_bytes()).is_error(400, "invalid character '[' exceeded max depth");
}

#[test]
fn an_error_text_is_escaped_for_browsers() {
    let daemon = Lximaged::start();
    let answer = put(&daemon, b"<");
    answer.is_error(400, "invalid character '<' looking for beginning of value");
    assert!(answer.text().contains("'\\u003c'"), "{}", answer.text());
}
