//! Binding network addresses, and what clients read when that fails.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, sockopt},
};
use tokio::net::TcpListener;

use crate::{config::address, error::Error};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// An address that cannot be listened on, and why.
#[derive(Debug)]
pub(super) struct Unbound {
    pub(super) address: SocketAddr,
    pub(super) error: io::Error,
}

/// Binds all of them, or none.
pub(super) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Unbound> {
    let bound = addresses
        .iter()
        .map(|&address| bind(address).map_err(|error| Unbound { address, error }));
    bound.collect()
}

/// `[::]` takes IPv4 clients too; on a machine without IPv6, it takes those.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let is_everywhere = address.ip().is_unspecified();
    match open(address) {
        Err(Errno::AFNOSUPPORT) if address.is_ipv6() && is_everywhere => {
            Ok(open((Ipv4Addr::UNSPECIFIED, address.port()).into())?)
        }
        opened => Ok(opened?),
    }
    .and_then(TcpListener::from_std)
}

fn open(address: SocketAddr) -> Result<std::net::TcpListener, Errno> {
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
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// LXD's refusal of the setting `wanted`.
pub(super) fn refusal(wanted: &str, unbound: &Unbound) -> Error {
    let Unbound { address, error } = unbound;
    // It is the client's doing; the log needs no cause of it.
    tracing::info!(%error, address = wanted, "cannot listen");
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    let reason = reason.to_lowercase();
    // LXD: the setting is completed by its default port, unless it begins with the port.
    let completed = match address::lookup_target(wanted) {
        Ok(completed) if !is_port(wanted) => completed,
        _ => wanted.to_owned(),
    };
    let tried = tried(wanted, *address);
    Error::failed(format!(
        "Cannot listen on network HTTPS socket {completed:?}: listen tcp {tried}: bind: {reason}"
    ))
}

// LXD: what Go's resolver makes of it. The IPv6 wildcard stands for both, and is named by the
// other.
fn tried(wanted: &str, address: SocketAddr) -> String {
    if is_port(wanted) {
        wanted.to_owned()
    } else if address.ip().is_unspecified() {
        format!("0.0.0.0:{}", address.port())
    } else {
        address.to_string()
    }
}

/// Whether a setting names a port of every interface, as in `:8443`.
fn is_port(wanted: &str) -> bool {
    wanted.starts_with(':') && !wanted.starts_with("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each was answered so by LXD 5.0.2.
    #[test]
    fn a_refusal_names_the_setting_and_what_it_stands_for() {
        let cases = [
            ("[::]:18777", "[::]:18777", "[::]:18777", "0.0.0.0:18777"),
            (":18777", "[::]:18777", ":18777", ":18777"),
            ("localhost:1", "127.0.0.1:1", "localhost:1", "127.0.0.1:1"),
            ("[::]", "[::]:8443", "[::]:8443", "0.0.0.0:8443"),
            ("::1", "[::1]:8443", "[::1]:8443", "[::1]:8443"),
            (
                "127.0.0.1",
                "127.0.0.1:8443",
                "127.0.0.1:8443",
                "127.0.0.1:8443",
            ),
        ];
        for (wanted, address, completed, tried) in cases {
            let unbound = Unbound {
                address: address.parse().unwrap(),
                error: io::Error::from_raw_os_error(98),
            };
            let expected = format!(
                "Cannot listen on network HTTPS socket \"{completed}\": \
                 listen tcp {tried}: bind: address already in use"
            );
            assert_eq!(refusal(wanted, &unbound).message(), expected);
        }
    }
}
