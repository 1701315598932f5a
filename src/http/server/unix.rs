//! The Unix socket.

use axum::Router;
use tokio::net::UnixListener;

use super::{
    accept::{MAX_CONNECTIONS, Room, rest_after},
    connection,
};
use crate::{http::peer::Peer, tasks::Tasks};

/// Accepts connections until the daemon stops.
pub(crate) async fn serve_unix(listener: UnixListener, router: Router, tasks: Tasks) {
    let room = Room::new(MAX_CONNECTIONS);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tasks.stopping().cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                rest_after(&error).await;
                continue;
            }
        };
        let Some(permit) = room.enter().await else {
            return;
        };
        let (peer, router, its_tasks) = (Peer::of_unix(&stream), router.clone(), tasks.clone());
        tasks.spawn("unix connection", async move {
            connection::serve(stream, peer, router, its_tasks).await;
            drop(permit);
        });
    }
}
