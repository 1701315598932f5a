//! Who talks to the daemon: somebody at a socket.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use serde_json::Value;

use super::{
    http::{Answer, Connection, Request},
    stream::{self, Identity, Stream},
};

/// Where a client connects, and as whom.
#[derive(Debug, Clone)]
pub(crate) enum Client {
    /// An administrator at the Unix socket.
    Unix(PathBuf),
    /// Somebody in the clear.
    Tcp(SocketAddr),
    /// Somebody over TLS, with a certificate or anonymous.
    Tls(SocketAddr, Option<Arc<Identity>>),
}

impl Client {
    /// Somebody over TLS with this certificate.
    pub(crate) fn with(address: SocketAddr, identity: &Arc<Identity>) -> Self {
        Self::Tls(address, Some(Arc::clone(identity)))
    }

    /// A raw connection.
    pub(crate) fn stream(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(path) => stream::unix(path),
            Self::Tcp(address) => stream::tcp(*address),
            Self::Tls(address, identity) => stream::tls(*address, identity.as_deref()),
        }
    }

    /// A connection that speaks HTTP.
    pub(crate) fn connect(&self) -> io::Result<Connection> {
        self.stream().map(Connection::new)
    }

    /// Sends a request on a connection of its own; fails when the daemon goes away.
    pub(crate) fn try_send(&self, request: &Request) -> io::Result<Answer> {
        self.connect()?.send(request)
    }

    /// Sends a request on a connection of its own.
    #[track_caller]
    pub(crate) fn send(&self, request: &Request) -> Answer {
        self.try_send(request)
            .unwrap_or_else(|error| panic!("{request:?}: {error}"))
    }

    /// `GET path`.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&Request::new("GET", path))
    }

    /// `PUT path` with a JSON body.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(&Request::new("PUT", path).json(body))
    }

    /// `POST path` with a JSON body.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&Request::new("POST", path).json(body))
    }

    /// `PATCH path` with a JSON body.
    #[track_caller]
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(&Request::new("PATCH", path).json(body))
    }

    /// `DELETE path`.
    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(&Request::new("DELETE", path))
    }
}
