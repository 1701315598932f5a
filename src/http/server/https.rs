//! The HTTPS listener: opened, moved and closed while the daemon runs.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::timeout::RequestBodyTimeoutLayer;

use super::{
    accept::{Room, Vital},
    bind::{bind_all, refusal},
    connection::{Host, Protocol},
    handshake::shake_hands,
    limits::{MAX_CONNECTIONS, Patience},
    proxy::{Source, announced},
};
use crate::{error::Result, http::peer::Peer, tasks::Tasks};

/// The HTTPS listener. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Https {
    config: Arc<ServerConfig>,
    tasks: Tasks,
    patience: Patience,
    max_connections: usize,
    /// Held for the whole of a move: whoever moves it second finds what the first one opened, and
    /// closes that. It is the only lock here that is held while something is awaited.
    moving: Arc<tokio::sync::Mutex<()>>,
    /// Whether a proxy at this address may say whom it speaks for.
    trusts_proxy: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// What is open now: replaced as a whole when the listener moves.
    open: Arc<Mutex<Option<Open>>>,
}

#[derive(Debug)]
struct Open {
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    loops: TaskTracker,
}

impl Https {
    /// A listener that is not open yet.
    pub(crate) fn new(config: Arc<ServerConfig>, tasks: Tasks) -> Self {
        Self {
            config,
            tasks,
            patience: Patience::default(),
            max_connections: MAX_CONNECTIONS,
            moving: Arc::default(),
            trusts_proxy: Arc::new(|_address| false),
            open: Arc::default(),
        }
    }

    /// The same, believing some proxies what they say of their clients.
    pub(crate) fn trusting(
        self,
        trusts_proxy: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            trusts_proxy: Arc::new(trusts_proxy),
            ..self
        }
    }

    /// The same with other limits.
    #[cfg(test)]
    pub(super) fn limited(self, patience: Patience, max_connections: usize) -> Self {
        Self {
            patience,
            max_connections,
            ..self
        }
    }

    /// Where it really listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let open = self.lock();
        open.as_ref()
            .map(|open| open.addresses.clone())
            .unwrap_or_default()
    }

    /// Listens on these addresses and nowhere else; on none, it is closed. Connections that are
    /// open already go on. `wanted` is the setting they come from.
    ///
    /// # Errors
    ///
    /// LXD's text when one of them cannot be listened on; what was open stays open then.
    pub(crate) async fn listen(
        &self,
        wanted: &str,
        addresses: &[SocketAddr],
        router: &Router,
    ) -> Result<()> {
        let _moving = self.moving.lock().await;
        let kept = self.addresses();
        if !addresses.is_empty() && addresses == kept {
            return Ok(());
        }
        let listeners = match bind_all(addresses) {
            // The old listener may be what is in the way (another address, the same port).
            Err(unbound) if unbound.error.kind() == ErrorKind::AddrInUse && !kept.is_empty() => {
                self.close().await;
                match bind_all(addresses) {
                    Ok(listeners) => listeners,
                    Err(unbound) => {
                        self.reopen(&kept, router);
                        return Err(refusal(wanted, &unbound));
                    }
                }
            }
            bound => bound.map_err(|unbound| refusal(wanted, &unbound))?,
        };
        self.close().await;
        self.open(listeners, router);
        Ok(())
    }

    /// Closes what is open, and returns when the addresses are free.
    async fn close(&self) {
        let before = self.lock().take();
        let Some(before) = before else { return };
        before.stop.cancel();
        before.loops.close();
        before.loops.wait().await;
    }

    /// Listens again where it did a moment ago.
    fn reopen(&self, addresses: &[SocketAddr], router: &Router) {
        match bind_all(addresses) {
            Ok(listeners) => self.open(listeners, router),
            Err(unbound) => {
                let (address, error) = (unbound.address, unbound.error);
                tracing::error!(%error, %address, "the listener is lost");
            }
        }
    }

    fn open(&self, listeners: Vec<TcpListener>, router: &Router) {
        if listeners.is_empty() {
            return;
        }
        let open = Open {
            addresses: listeners
                .iter()
                .filter_map(|listener| listener.local_addr().ok())
                .collect(),
            stop: self.tasks.stopping().child_token(),
            loops: TaskTracker::new(),
        };
        for listener in listeners {
            let accept = self
                .clone()
                .accept(listener, router.clone(), open.stop.clone());
            let accept = open.loops.track_future(accept);
            self.tasks.spawn("https listener", accept);
        }
        *self.lock() = Some(open);
    }

    async fn accept(self, listener: TcpListener, router: Router, stop: CancellationToken) {
        let _vital = Vital::new("https", stop.clone(), self.tasks.clone());
        let room = Room::new(self.max_connections);
        let host = Host {
            router: router.layer(RequestBodyTimeoutLayer::new(self.patience.body)),
            tasks: self.tasks.clone(),
            patience: Some(self.patience),
        };
        let next = || room.next(|| listener.accept());
        while let Some(((stream, address), place)) = stop.run_until_cancelled(next()).await {
            let (this, host) = (self.clone(), host.clone());
            self.tasks.spawn("https connection", async move {
                this.serve(&host, stream, address).await;
                drop(place);
            });
        }
    }

    async fn serve(self, host: &Host, stream: TcpStream, address: SocketAddr) {
        let trusts_proxy = (self.trusts_proxy)(address.ip().to_canonical());
        let greeted = async {
            let mut stream = stream;
            let address = if trusts_proxy {
                match announced(&mut stream).await.ok()? {
                    Source::Client(client) => client,
                    Source::Connected => address,
                }
            } else {
                address
            };
            Some((shake_hands(self.config, stream).await?, address))
        };
        let shaken = timeout(self.patience.handshake, greeted);
        let stopping = self.tasks.stopping();
        let Some(Ok(Some((stream, address)))) = stopping.run_until_cancelled(shaken).await else {
            return;
        };
        let session = stream.get_ref().1;
        let certificates = session.peer_certificates();
        let certificate = certificates
            .and_then(<[_]>::first)
            .map(|der| Arc::from(der.as_ref()));
        let protocol = match session.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let peer = Peer::Tls {
            address: unmapped(address),
            certificate,
        };
        host.serve(stream, protocol, peer).await;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv4 client of a dual-stack listener is shown by its IPv4 address.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
