//! One connection: its limits, its requests, and its end.

use std::{pin::pin, time::Duration};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{http::peer::Peer, tasks::Tasks};

/// How long a network client may take to send the headers of its next request, idle time
/// included. Those on this machine may keep a connection open for as long as they like.
const HEADERS_WITHIN: Duration = Duration::from_mins(1);

/// How long an idle HTTP/2 connection is left without a sign of life, and how long it may then
/// take to give one.
const H2_PING_EVERY: Duration = Duration::from_secs(30);

/// Headers of one request, all together.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// Headers of one request.
const MAX_HEADERS: usize = 100;

/// Requests under way on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// Streams that a client opened and reset before they were served.
const MAX_RESET_STREAMS: usize = 32;

/// Serves the requests of a connection until the client leaves or the daemon stops; a request
/// under way is finished first.
pub(super) async fn serve<S>(stream: S, peer: Peer, router: Router, tasks: Tasks)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let headers_within = matches!(peer, Peer::Tls { .. }).then_some(HEADERS_WITHIN);
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let builder = builder(headers_within);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = pin!(connection.into_owned());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tasks.stopping().cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "connection ended");
    }
}

fn builder(headers_within: Option<Duration>) -> Builder<TokioExecutor> {
    // Go writes `Etag`, not `etag`.
    let mut builder = Builder::new(TokioExecutor::new()).title_case_headers(true);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(headers_within)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(H2_PING_EVERY)
        .keep_alive_timeout(H2_PING_EVERY)
        .adaptive_window(true);
    builder
}
