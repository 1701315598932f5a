//! Paths and methods that lead nowhere.

use crate::support::{Lximaged, Request};

#[test]
fn unknown_paths_are_not_found() {
    let daemon = Lximaged::start();
    for path in [
        "/x",
        "/1.0/x",
        "/1.0/images/a/b",
        "/2.0",
        "//",
        "//1.0",
        "/1.0//images",
    ] {
        daemon.get(path).is_error(404, "not found");
    }
}

#[test]
fn a_slash_at_the_end_leads_nowhere() {
    let daemon = Lximaged::start();
    for path in ["/1.0/", "/1.0/images/", "/1.0/projects/"] {
        daemon.get(path).is_error(404, "not found");
    }
}

#[test]
fn a_method_without_a_handler_is_not_implemented() {
    let daemon = Lximaged::start();
    let routes = [
        ("PUT", "/1.0/images/aliases"),
        ("DELETE", "/1.0"),
        ("POST", "/1.0"),
        ("PATCH", "/1.0/images"),
        ("DELETE", "/1.0/images"),
        ("POST", "/1.0/operations"),
    ];
    for (method, path) in routes {
        daemon
            .send(&Request::new(method, path))
            .is_error(501, "not implemented");
    }
}

#[test]
fn the_head_of_the_root_is_answered() {
    let daemon = Lximaged::start();
    let answer = daemon.send(&Request::new("HEAD", "/"));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn head_is_not_implemented() {
    let daemon = Lximaged::start();
    for path in ["/1.0", "/1.0/images", "/1.0/projects"] {
        let answer = daemon.send(&Request::new("HEAD", path));
        assert_eq!((answer.status, answer.body.len()), (501, 0), "{path}");
    }
}

#[test]
fn an_unknown_method_is_not_found() {
    let daemon = Lximaged::start();
    let answer = daemon.send(&Request::new("FOO", "/1.0"));
    answer.is_error(404, "Method \"FOO\" not found");
}

#[test]
fn options_are_answered_with_nothing() {
    let daemon = Lximaged::start();
    for path in ["/1.0", "/1.0/images"] {
        let answer = daemon.send(&Request::new("OPTIONS", path));
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(answer.header("content-type"), None);
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let daemon = Lximaged::start();
    let mut connection = daemon.connect().unwrap();
    for _ in 0..3 {
        let answer = connection
            .send(&Request::new("GET", "/1.0").keep_alive())
            .unwrap();
        assert_eq!((answer.version.as_str(), answer.status), ("HTTP/1.1", 200));
    }
}

#[test]
fn nonsense_is_a_bad_request() {
    let daemon = Lximaged::start();
    let mut connection = daemon.connect().unwrap();
    connection.write(b"nonsense\r\n\r\n").unwrap();
    assert_eq!(connection.read_answer("GET").unwrap().status, 400);
}

#[test]
fn a_body_that_nobody_wants_does_not_cost_the_connection() {
    let daemon = Lximaged::start();
    let stranger = Lximaged::anonymous(daemon.listen());
    let mut connection = stranger.connect().unwrap();
    let refused = |length: usize| {
        Request::new("PUT", "/1.0/projects/default")
            .keep_alive()
            .body(vec![b' '; length])
    };
    for length in [0, 1, 200 * 1024] {
        let answer = connection.send(&refused(length)).unwrap();
        answer.is_error(403, "not authorized");
        assert_eq!(answer.header("connection"), None, "{length}");
    }
    let answer = connection.send(&refused(200 * 1024).chunked()).unwrap();
    answer.is_error(403, "not authorized");
}

#[test]
fn a_long_body_that_nobody_wants_is_not_waited_for() {
    let daemon = Lximaged::start();
    let stranger = Lximaged::anonymous(daemon.listen());
    let mut connection = stranger.connect().unwrap();
    let head = "PUT /1.0/projects/default HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    connection.write(head.as_bytes()).unwrap();
    let answer = connection.read_answer("PUT").unwrap();
    answer.is_error(403, "not authorized");
    assert_eq!(connection.read_to_end().unwrap(), b"");
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_not_asked_in_vain() {
    let daemon = Lximaged::start();
    let stranger = Lximaged::anonymous(daemon.listen());
    let mut connection = stranger.connect().unwrap();
    let head = "PUT /1.0/projects/default HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\
                Expect: 100-continue\r\n\r\n";
    connection.write(head.as_bytes()).unwrap();
    let answer = connection.read_answer("PUT").unwrap();
    answer.is_error(403, "not authorized");
}
