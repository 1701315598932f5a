//! What is seen on the wire.

use super::*;

const TURNED_AWAY: &str =
    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

#[tokio::test]
async fn plain_http_is_answered_before_the_request_is_complete() {
    let stage = Stage::new();
    let address = stage.open().await;
    for begun in [&b"G"[..], REQUEST] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        assert_eq!(rest(stream).await, TURNED_AWAY);
    }
}

#[tokio::test]
async fn a_client_that_goes_on_in_the_clear_is_not_reset_before_it_has_read() {
    let stage = Stage::new();
    let address = stage.open().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
    stream.write_all(&[b'x'; 8 * 1024]).await.unwrap();
    let mut answer = String::new();
    let ended = soon(stream.read_to_string(&mut answer)).await;
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(answer, TURNED_AWAY);
}

#[tokio::test]
async fn header_names_are_written_as_go_writes_them() {
    let stage = Stage::new();
    let address = stage.open().await;
    let mut stream = stage.connect(address).await;
    stream.write_all(REQUEST).await.unwrap();
    let answer = rest(stream).await;
    for name in ["Content-Type: ", "Content-Length: ", "Date: "] {
        assert!(answer.contains(&format!("\r\n{name}")), "{answer}");
    }
}
