//! Requests made to be read in two ways, and filters made to be code.

use serde_json::json;

use crate::support::{Lximaged, beyond_lxd, images};

/// Sends these bytes and gives all that comes back until the connection is closed.
#[track_caller]
fn answers(daemon: &Lximaged, request: &str) -> String {
    let mut connection = daemon.connect().unwrap();
    connection.write(request.as_bytes()).unwrap();
    let bytes = connection.read_to_end().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_request_of_two_lengths_is_one_request_or_none() {
    if !beyond_lxd("its HTTP library has rules of its own") {
        return;
    }
    let daemon = Lximaged::start();
    let hidden = "GET /1.0/images HTTP/1.1\r\nHost: x\r\n\r\n";
    let requests = [
        "Content-Length: 4\r\nContent-Length: 44\r\n\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: +4\r\n\r\n{}  ",
        "Content-Length: 4 4\r\n\r\n{}  ",
        "Content-Length: 18446744073709551616\r\n\r\n{}",
        "Content-Length\t: 4\r\n\r\n{}  ",
        " Content-Length: 4\r\n\r\n{}  ",
    ];
    for request in requests {
        let request = format!("PUT /1.0 HTTP/1.1\r\nHost: x\r\n{request}{hidden}");
        let said = answers(&daemon, &request);
        assert!(
            said.matches("HTTP/1.1 200").count() == 0,
            "{request:?}: {said}"
        );
        assert!(!said.contains("\"metadata\":[]"), "{request:?}: {said}");
    }
    daemon.get("/1.0").metadata();
}

#[test]
fn filters_are_never_code() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let corpus = [
        "' OR '1'='1",
        "1; DROP TABLE images",
        "fingerprint eq x' OR 1=1 --",
        "fingerprint eq \"x\" OR 1=1",
        "properties.os eq Testix' UNION SELECT 1",
        "fingerprint eq '%'",
        "fingerprint eq _",
        "size eq (SELECT 1)",
        "a.b.c.d eq x",
        "((((((((",
        "fingerprint",
        "eq",
        "\0 eq \0",
    ];
    for filter in corpus {
        let digits: Vec<_> = filter.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = daemon.get(&format!("/1.0/images?filter={}", digits.concat()));
        if answer.status == 200 {
            assert_eq!(*answer.metadata(), json!([]), "{filter}");
        }
    }
    assert_eq!(daemon.images("default").len(), 1);
    daemon.export(&found);
}
