//! The HTTPS listener: opened, moved and closed while the daemon runs.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use rustls::ServerConfig;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept::{MAX_CONNECTIONS, Room, rest_after},
    connection,
};
use crate::{
    error::{Error, Result},
    http::peer::Peer,
    tasks::Tasks,
};

/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// The first byte of a TLS handshake.
const HANDSHAKE_RECORD: u8 = 0x16;

/// LXD's answer to plain HTTP on the TLS port. Clients try plain HTTP for image files first, so
/// they must never hang here.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The HTTPS listener. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Https {
    acceptor: Arc<ServerConfig>,
    tasks: Tasks,
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
            acceptor: config,
            tasks,
            open: Arc::default(),
        }
    }

    /// Where it really listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.lock()
            .as_ref()
            .map(|open| open.addresses.clone())
            .unwrap_or_default()
    }

    /// Listens on these addresses and nowhere else; on none, it is closed. Connections that are
    /// open already go on.
    ///
    /// # Errors
    ///
    /// LXD's text when one of them cannot be listened on; what was open stays open then.
    pub(crate) async fn listen(
        &self,
        shown: &str,
        addresses: &[SocketAddr],
        router: &Router,
    ) -> Result<()> {
        let kept = self.addresses();
        if !addresses.is_empty() && addresses == kept {
            return Ok(());
        }
        let listeners = match bind_all(addresses) {
            // The old listener may be what is in the way (another address, the same port).
            Err(error) if error.kind() == ErrorKind::AddrInUse && !kept.is_empty() => {
                self.close().await;
                match bind_all(addresses) {
                    Ok(listeners) => listeners,
                    Err(error) => {
                        self.open(bind_all(&kept).unwrap_or_default(), router);
                        return Err(cannot_listen(shown, &error));
                    }
                }
            }
            bound => bound.map_err(|error| cannot_listen(shown, &error))?,
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

    fn open(&self, listeners: Vec<TcpListener>, router: &Router) {
        let addresses: Vec<_> = listeners
            .iter()
            .filter_map(|l| l.local_addr().ok())
            .collect();
        let (stop, loops) = (CancellationToken::new(), TaskTracker::new());
        for listener in listeners {
            let accept = self.clone().accept(listener, router.clone(), stop.clone());
            self.tasks
                .spawn("https listener", loops.track_future(accept));
        }
        *self.lock() = (!addresses.is_empty()).then_some(Open {
            addresses,
            stop,
            loops,
        });
    }

    async fn accept(self, listener: TcpListener, router: Router, stop: CancellationToken) {
        let room = Room::new(MAX_CONNECTIONS);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
                () = self.tasks.stopping().cancelled() => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    rest_after(&error).await;
                    continue;
                }
            };
            let Some(permit) = room.enter().await else {
                return;
            };
            let (this, router) = (self.clone(), router.clone());
            self.tasks.spawn("https connection", async move {
                this.serve(stream, address, router).await;
                drop(permit);
            });
        }
    }

    async fn serve(self, stream: TcpStream, address: SocketAddr, router: Router) {
        let shaken = timeout(HANDSHAKE_WITHIN, self.shake_hands(stream));
        let stopping = self.tasks.stopping();
        let Some(Ok(Some(stream))) = stopping.run_until_cancelled(shaken).await else {
            return;
        };
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(<[_]>::first).map(|der| der.to_vec());
        let peer = Peer::Tls {
            address: unmapped(address),
            certificate,
        };
        connection::serve(stream, peer, router, self.tasks.clone()).await;
    }

    async fn shake_hands(
        &self,
        mut stream: TcpStream,
    ) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
        let mut first = [0_u8; 1];
        if stream.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first != [HANDSHAKE_RECORD] {
            // The client may be gone already; there is nobody else to tell.
            drop(stream.write_all(PLAIN_HTTP).await);
            drop(stream.shutdown().await);
            return None;
        }
        drop(stream.set_nodelay(true));
        let acceptor = TlsAcceptor::from(Arc::clone(&self.acceptor));
        match acceptor.accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv4 client of a dual-stack listener is shown by its IPv4 address.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Binds one address; `[::]` takes IPv4 clients too.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 1024)?;
    TcpListener::from_std(std::net::TcpListener::from(socket))
}

fn bind_all(addresses: &[SocketAddr]) -> std::io::Result<Vec<TcpListener>> {
    addresses.iter().map(|address| bind(*address)).collect()
}

fn cannot_listen(shown: &str, error: &std::io::Error) -> Error {
    let reason = error.to_string();
    let reason = reason
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let text = format!(
        "Cannot listen on network HTTPS socket {shown:?}: \
         Bind network address: listen tcp {shown}: bind: {reason}"
    );
    // It is the client's doing; the log needs no cause of it.
    tracing::info!(%error, address = shown, "cannot listen");
    Error::failed(text)
}
