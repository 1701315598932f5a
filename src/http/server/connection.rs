//! One connection: its limits, its requests, and its end.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::{HttpService, Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    activity::{Activity, Answer},
    limits::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_RESET_STREAMS, MAX_STREAMS, PING_EVERY, Patience},
};
use crate::{http::peer::Peer, tasks::Tasks};

/// How long a client that kept still for too long may take to hear so.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is spoken on a connection. It is agreed on before the first byte, so that no connection
/// waits for a client to show what it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What serves the connections of a listener.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) router: Router,
    pub(super) tasks: Tasks,
    /// `None` for those who may keep still for as long as they like.
    pub(super) patience: Option<Patience>,
}

impl Host {
    /// Serves the requests of a connection until the client leaves or keeps still for too long,
    /// or the daemon stops; a request under way is finished first.
    pub(super) async fn serve<S>(&self, stream: S, protocol: Protocol, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new();
        let service = service(self.router.clone(), peer, activity.clone());
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => {
                let connection = http1().serve_connection(io, service).with_upgrades();
                let close = http1::UpgradeableConnection::graceful_shutdown;
                self.attend(connection, close, &activity).await;
            }
            Protocol::Http2 => {
                let connection = http2(&self.tasks).serve_connection(io, service);
                let close = http2::Connection::graceful_shutdown;
                self.attend(connection, close, &activity).await;
            }
        }
    }

    /// Sees a connection through to its end. `close` has it finish what is under way and end.
    async fn attend<C>(&self, connection: C, close: fn(Pin<&mut C>), activity: &Activity)
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.tasks.stopping().cancelled() => {
                if activity.is_fresh() {
                    // Half a request would hold the daemon up for as long as its client likes.
                    return;
                }
                close(connection.as_mut());
                connection.await
            }
            () = activity.exhausts(self.patience) => {
                close(connection.as_mut());
                timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// The router, told who asks, and counted while it answers.
fn service(
    router: Router,
    peer: Peer,
    activity: Activity,
) -> impl HttpService<Incoming, ResBody = Answer, Error = Infallible, Future: Send + 'static> + Send
{
    let router = TowerToHyperService::new(router);
    service_fn(move |mut request: Request<Incoming>| {
        let under_way = activity.begin();
        request.extensions_mut().insert(peer.clone());
        let answering = router.call(request);
        async move {
            let answer = answering.await?;
            Ok(answer.map(|body| Answer {
                body,
                _request: under_way,
            }))
        }
    })
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Patience sees to it: this one takes idle clients for slow ones.
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEADER_BYTES as usize)
        // Go writes `Etag`, not `etag`.
        .title_case_headers(true);
    builder
}

fn http2(tasks: &Tasks) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams(tasks.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .adaptive_window(true);
    builder
}

/// Runs the requests of an HTTP/2 connection, so that shutdown waits for them and cuts them off.
#[derive(Debug, Clone)]
struct Streams(Tasks);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn("http/2 stream", stream);
    }
}
