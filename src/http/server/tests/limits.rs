//! Clients that take more than they may.

use super::*;

const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_client_that_never_begins_the_handshake_is_cut() {
    let patience = Patience {
        handshake: SHORT,
        ..PATIENT
    };
    let stage = Stage::limited(patience, 16);
    let address = stage.open().await;
    // The first bytes of a handshake, or nothing.
    for begun in [&b""[..], &[0x16, 3, 1]] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn a_client_that_never_ends_its_first_request_is_cut() {
    let patience = Patience {
        first_request: SHORT,
        ..PATIENT
    };
    let stage = Stage::limited(patience, 16);
    let address = stage.open().await;
    for (protocol, begun) in [
        ("http/1.1", &b""[..]),
        ("http/1.1", b"GET / HTTP/1.1\r\nHost: "),
        ("h2", b""),
        ("h2", b"PRI * HTTP"),
    ] {
        let mut config = stage.client();
        config.alpn_protocols = vec![protocol.as_bytes().to_owned()];
        let mut stream = connect(address, config).await.unwrap();
        stream.write_all(begun).await.unwrap();
        stream.flush().await.unwrap();
        let mut bytes = Vec::new();
        drop(soon(stream.read_to_end(&mut bytes)).await);
        assert!(!bytes.starts_with(b"HTTP/1.1 200"), "{protocol}");
    }
}

#[tokio::test]
async fn a_client_that_asks_nothing_more_is_let_go() {
    let patience = Patience {
        next_request: SHORT,
        ..PATIENT
    };
    let stage = Stage::limited(patience, 16);
    let address = stage.open().await;
    let mut stream = stage.connect(address).await;
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_client() {
    let patience = Patience {
        handshake: LONG,
        first_request: SHORT,
        next_request: SHORT,
        body: LONG,
    };
    let stage = Stage::limited(patience, 16);
    let address = stage.open().await;
    let mut stream = stage.connect(address).await;
    stream.write_all(WAIT).await.unwrap();
    soon(stage.entered.notified()).await;
    let early = timeout(SHORT * 3, stream.read_u8()).await;
    assert!(early.is_err(), "neither answered nor cut");
    stage.leave.notify_one();
    assert!(rest(stream).await.ends_with("done"));
}

#[tokio::test]
async fn headers_may_take_so_much_and_no_more() {
    let stage = Stage::new();
    let address = stage.open().await;
    let field = |bytes: usize| format!("X: {}\r\n", "x".repeat(bytes));
    let cases = [
        (field(60 * 1024), "200 OK"),
        (field(65 * 1024), "431 Request Header Fields Too Large"),
        ("X: x\r\n".repeat(98), "200 OK"),
        (
            "X: x\r\n".repeat(100),
            "431 Request Header Fields Too Large",
        ),
    ];
    for (fields, status) in cases {
        let mut stream = stage.connect(address).await;
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        drop(stream.write_all(request.as_bytes()).await);
        let answer = rest(stream).await;
        let length = fields.len();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{length}: {answer}"
        );
    }
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_wait() {
    let stage = Stage::limited(PATIENT, 1);
    let address = stage.open().await;
    let first = stage.connect(address).await;
    let second = connect(address, stage.client());
    let mut second = Box::pin(second);
    assert!(timeout(SHORT, second.as_mut()).await.is_err());
    drop(first);
    assert_eq!(ask(second.await.unwrap()).await, "tls 127.0.0.1 ");
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_a_body_is_not_waited_for() {
    let patience = Patience {
        body: SHORT,
        ..PATIENT
    };
    let stage = Stage::limited(patience, 16);
    let address = stage.open().await;
    let head = b"POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
    for (body, said) in [(&b"123"[..], "3"), (b"12", "cut")] {
        let mut stream = stage.connect(address).await;
        stream.write_all(head).await.unwrap();
        stream.write_all(body).await.unwrap();
        let answer = rest(stream).await;
        assert!(answer.ends_with(said), "{answer}");
    }
}
