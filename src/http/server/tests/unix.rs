//! The Unix socket.

use tokio::net::{UnixListener, UnixStream};

use super::*;
use crate::http::server::serve_unix;

/// A socket that is served, in a directory that goes with it.
fn open(stage: &Stage) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("s")).unwrap();
    let serving = serve_unix(listener, stage.router.clone(), stage.tasks.clone());
    stage.tasks.spawn("unix listener", serving);
    dir
}

async fn dial(dir: &tempfile::TempDir) -> UnixStream {
    UnixStream::connect(dir.path().join("s")).await.unwrap()
}

#[tokio::test]
async fn a_peer_is_named_by_the_kernel() {
    let stage = Stage::new();
    let dir = open(&stage);
    let told = ask(dial(&dir).await).await;
    let name = told.strip_prefix("unix ").unwrap();
    assert!(!name.is_empty());
    if rustix::process::getuid().is_root() {
        assert_eq!(name, "root");
    }
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_daemon_stops() {
    let stage = Stage::new();
    let dir = open(&stage);
    let _silent = dial(&dir).await;
    let mut stream = dial(&dir).await;
    let request = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    soon(stage.entered.notified()).await;
    let answer = async {
        stage.tasks.stopping().cancelled().await;
        stage.leave.notify_one();
    };
    let (drained, ()) = tokio::join!(stage.tasks.drain(SOON), answer);
    assert!(drained);
    assert!(rest(stream).await.ends_with("done"));
    let late = UnixStream::connect(dir.path().join("s")).await;
    assert!(late.is_err());
}
