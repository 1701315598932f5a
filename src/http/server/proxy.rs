//! The PROXY protocol, versions 1 and 2: a proxy that is trusted says, before the handshake, whom
//! it speaks for.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::{io::AsyncReadExt, net::TcpStream};

/// The longest line of version 1.
const MAX_LINE_BYTES: usize = 107;

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest addresses and additions of version 2 that are read.
const MAX_BLOCK_BYTES: usize = 1024;

/// Whom a connection is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Somebody behind the proxy.
    Client(SocketAddr),
    /// Whoever connected: nothing else was said.
    Connected,
}

/// Whom a connection is from, by what it begins with.
///
/// # Errors
///
/// When it begins like that and does not go on as it should.
pub(super) async fn announced(stream: &mut TcpStream) -> io::Result<Source> {
    let mut first = [0_u8; 1];
    if stream.peek(&mut first).await? == 0 {
        return Ok(Source::Connected);
    }
    match first {
        [b'P'] => line(stream).await,
        [b'\r'] => block(stream).await,
        _ => Ok(Source::Connected),
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a PROXY header")
}

async fn line(stream: &mut TcpStream) -> io::Result<Source> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_LINE_BYTES {
            return Err(invalid());
        }
        // What follows the line is not ours to read.
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_not_text| invalid())?;
    parse_line(line.trim_end()).ok_or_else(invalid)
}

fn parse_line(line: &str) -> Option<Source> {
    let mut words = line.split(' ');
    if words.next()? != "PROXY" {
        return None;
    }
    let is_v4 = match words.next()? {
        "UNKNOWN" => return Some(Source::Connected),
        "TCP4" => true,
        "TCP6" => false,
        _ => return None,
    };
    let source: IpAddr = words.next()?.parse().ok()?;
    let _destination: IpAddr = words.next()?.parse().ok()?;
    let port: u16 = words.next()?.parse().ok()?;
    let _destination_port: u16 = words.next()?.parse().ok()?;
    let fits = source.is_ipv4() == is_v4 && words.next().is_none();
    fits.then(|| Source::Client(SocketAddr::new(source, port)))
}

async fn block(stream: &mut TcpStream) -> io::Result<Source> {
    let mut head = [0_u8; 16];
    stream.read_exact(&mut head).await?;
    let [signature @ .., version, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if signature != SIGNATURE || version >> 4 != 2 || length > MAX_BLOCK_BYTES {
        return Err(invalid());
    }
    let mut block = vec![0_u8; length];
    stream.read_exact(&mut block).await?;
    match version & 0xf {
        // The proxy speaks for itself.
        0 => Ok(Source::Connected),
        1 => parse_block(family, &block).ok_or_else(invalid),
        _ => Err(invalid()),
    }
}

fn parse_block(family: u8, block: &[u8]) -> Option<Source> {
    let port = |at: usize| {
        let bytes = block.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*bytes))
    };
    let address = match family {
        0x11 => SocketAddr::new(IpAddr::from(*block.first_chunk::<4>()?), port(8)?),
        0x21 => SocketAddr::new(IpAddr::from(*block.first_chunk::<16>()?), port(32)?),
        // Other ways to reach a proxy: it is taken for the client.
        _ => return Some(Source::Connected),
    };
    Some(Source::Client(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_line_names_the_client() {
        let rows = [
            (
                "PROXY TCP4 10.9.9.9 127.0.0.1 1234 8443",
                Some(Source::Client(address("10.9.9.9:1234"))),
            ),
            (
                "PROXY TCP6 ::2 ::1 1 2",
                Some(Source::Client(address("[::2]:1"))),
            ),
            ("PROXY UNKNOWN", Some(Source::Connected)),
            ("PROXY UNKNOWN whatever", Some(Source::Connected)),
            ("PROXY TCP4 ::2 ::1 1 2", None),
            ("PROXY TCP4 10.9.9.9 127.0.0.1 1234", None),
            ("PROXY TCP4 10.9.9.9 127.0.0.1 1234 8443 x", None),
            ("PROXY TCP4 10.9.9.9 127.0.0.1 70000 8443", None),
            ("POST / HTTP/1.1", None),
            ("", None),
        ];
        for (line, expected) in rows {
            assert_eq!(parse_line(line), expected, "{line}");
        }
    }

    #[test]
    fn a_block_names_the_client_or_is_cut_short() {
        let v4 = [10, 9, 9, 9, 127, 0, 0, 1, 4, 210, 32, 251];
        assert_eq!(
            parse_block(0x11, &v4),
            Some(Source::Client(address("10.9.9.9:1234")))
        );
        for length in 0..10 {
            assert_eq!(parse_block(0x11, &v4[..length]), None, "{length}");
        }
        let mut v6 = [0_u8; 36];
        (v6[15], v6[33]) = (2, 1);
        assert_eq!(
            parse_block(0x21, &v6),
            Some(Source::Client(address("[::2]:1")))
        );
        assert_eq!(parse_block(0x21, &v6[..33]), None);
        assert_eq!(parse_block(0x31, &[]), Some(Source::Connected));
    }
}
