//! The Unix socket.

use axum::Router;
use tokio::net::UnixListener;

use super::{
    accept::{Room, Vital},
    connection::{Host, Protocol},
    limits::MAX_CONNECTIONS,
};
use crate::{http::peer::Peer, tasks::Tasks};

/// Accepts connections until the daemon stops.
pub(crate) async fn serve_unix(listener: UnixListener, router: Router, tasks: Tasks) {
    let stop = tasks.stopping().clone();
    let _vital = Vital::new("unix", stop.clone(), tasks.clone());
    let room = Room::new(MAX_CONNECTIONS);
    let host = Host {
        router,
        tasks: tasks.clone(),
        patience: None,
    };
    let next = || room.next(|| listener.accept());
    while let Some(((stream, _), place)) = stop.run_until_cancelled(next()).await {
        let host = host.clone();
        tasks.spawn("unix connection", async move {
            let peer = Peer::of_unix(&stream);
            host.serve(stream, Protocol::Http1, peer).await;
            drop(place);
        });
    }
}
