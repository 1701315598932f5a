//! From an accepted TCP connection to one that speaks TLS.

use std::{io, sync::Arc, time::Duration};

use rustix::net::sockopt;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::limits::{KEEP_ALIVE_EVERY, UNREAD_WITHIN};

/// The first byte of a TLS handshake.
const HANDSHAKE_RECORD: u8 = 0x16;

/// LXD's answer to plain HTTP on the TLS port. Clients try plain HTTP for image files first, so
/// they must never hang here.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// How long, and how much, a client that was told so may go on.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;

/// Speaks TLS with whoever begins to; plain HTTP is answered, and nothing is returned then.
pub(super) async fn shake_hands(
    config: Arc<ServerConfig>,
    stream: TcpStream,
) -> Option<TlsStream<TcpStream>> {
    let mut first = [0_u8; 1];
    if stream.peek(&mut first).await.ok()? == 0 {
        return None;
    }
    if first != [HANDSHAKE_RECORD] {
        turn_away(stream).await;
        return None;
    }
    if let Err(error) = tune(&stream) {
        tracing::debug!(%error, "a connection keeps the defaults");
    }
    match TlsAcceptor::from(config).accept(stream).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
    }
}

/// Answers at once, whatever else the client is about to send.
async fn turn_away(mut stream: TcpStream) {
    let told = stream.write_all(PLAIN_HTTP).await;
    if told.is_ok() && stream.shutdown().await.is_ok() {
        // Closing with something unread resets the connection, and some clients then forget what
        // they were told.
        let mut rest = stream.take(LINGER_BYTES);
        let mut nowhere = tokio::io::sink();
        let gone = tokio::io::copy(&mut rest, &mut nowhere);
        drop(timeout(LINGER, gone).await);
    }
}

/// Sends what is to be sent at once, and notices clients that are gone or read nothing.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_EVERY)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_EVERY)?;
    let unread_ms = u32::try_from(UNREAD_WITHIN.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, unread_ms)?;
    Ok(())
}
