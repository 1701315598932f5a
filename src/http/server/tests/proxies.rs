//! Proxies that say whom they speak for.

use super::*;

const CLIENT: &str = "10.9.9.9";

/// Both versions' words for a connection from [`CLIENT`].
fn greetings() -> [Vec<u8>; 2] {
    let line = format!("PROXY TCP4 {CLIENT} 127.0.0.1 1234 8443\r\n");
    let block = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x09\x09\x09\x7f\0\0\x01\x04\xd2\x20\xfb";
    [line.into_bytes(), block.to_vec()]
}

/// The answer through a proxy that begins with this, if it gets one.
async fn through(stage: &Stage, address: SocketAddr, greeting: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(greeting).await.unwrap();
    let connector = TlsConnector::from(Arc::new(stage.client()));
    let name = "localhost".try_into().unwrap();
    let stream = soon(connector.connect(name, stream)).await.ok()?;
    Some(ask(stream).await)
}

#[tokio::test]
async fn a_proxy_that_is_trusted_speaks_for_its_client() {
    let mut stage = Stage::new();
    stage.https = stage.https.clone().trusting(|proxy| proxy.is_loopback());
    let address = stage.open().await;
    for greeting in greetings() {
        let answer = through(&stage, address, &greeting).await.unwrap();
        assert!(answer.starts_with(&format!("tls {CLIENT} ")), "{answer}");
    }
    let own = through(&stage, address, b"").await.unwrap();
    assert!(own.starts_with("tls 127.0.0.1 "), "{own}");
    let unknown = through(&stage, address, b"PROXY UNKNOWN\r\n")
        .await
        .unwrap();
    assert!(unknown.starts_with("tls 127.0.0.1 "), "{unknown}");
}

#[tokio::test]
async fn what_is_no_greeting_is_cut() {
    let mut stage = Stage::new();
    stage.https = stage.https.clone().trusting(|_| true);
    let address = stage.open().await;
    let long = [b"PROXY ".to_vec(), vec![b'x'; 200]].concat();
    for greeting in [
        &b"PROXY TCP4 x\r\n"[..],
        &long,
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
    ] {
        assert_eq!(through(&stage, address, greeting).await, None);
    }
}

#[tokio::test]
async fn nobody_else_speaks_for_others() {
    let stage = Stage::new();
    let address = stage.open().await;
    for greeting in greetings() {
        assert_eq!(through(&stage, address, &greeting).await, None);
    }
}
