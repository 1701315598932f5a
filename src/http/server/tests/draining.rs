//! The end of the daemon, as connections see it.

use super::*;

const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n";

/// Lets the request that waits be answered once the daemon has begun to stop.
async fn answer_while_stopping(stage: &Stage) {
    stage.tasks.stopping().cancelled().await;
    stage.leave.notify_one();
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_its_connection_closed() {
    let stage = Stage::new();
    let address = stage.open().await;
    let mut stream = stage.connect(address).await;
    stream.write_all(WAIT).await.unwrap();
    soon(stage.entered.notified()).await;
    let (drained, ()) = tokio::join!(stage.tasks.drain(SOON), answer_while_stopping(&stage));
    assert!(drained);
    assert!(rest(stream).await.ends_with("done"));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_under_way_over_http_2_is_finished() {
    let stage = Stage::new();
    let address = stage.open().await;
    let client = Stage::http_client(address, stage.client(), "h2");
    let url = format!("https://localhost:{}/wait", address.port());
    let end = async {
        soon(stage.entered.notified()).await;
        tokio::join!(stage.tasks.drain(SOON), answer_while_stopping(&stage)).0
    };
    let (answer, drained) = tokio::join!(client.get(url).send(), end);
    let answer = answer.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.text().await.unwrap(), "done");
    assert!(drained);
}

#[tokio::test]
async fn clients_that_ask_nothing_do_not_hold_the_daemon_up() {
    let stage = Stage::new();
    let address = stage.open().await;
    let _unshaken = TcpStream::connect(address).await.unwrap();
    let _silent = stage.connect(address).await;
    let mut begun = stage.connect(address).await;
    begun.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut idle = stage.connect(address).await;
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    idle.write_all(request).await.unwrap();
    read_until(&mut idle, "tls 127.0.0.1 ").await;
    assert!(stage.tasks.drain(SOON).await);
}

#[tokio::test]
async fn what_is_cut_off_ends_at_once() {
    let stage = Stage::new();
    let address = stage.open().await;
    let mut stream = stage.connect(address).await;
    stream.write_all(WAIT).await.unwrap();
    soon(stage.entered.notified()).await;
    assert!(!stage.tasks.drain(SHORT).await);
    stage.tasks.cut().cancel();
    assert_eq!(rest(stream).await, "");
    assert!(stage.tasks.drain(SOON).await);
}
