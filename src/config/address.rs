//! Addresses to listen on, as settings name them and as clients see them.

use std::net::{IpAddr, SocketAddr};

use crate::error::{Error, Result};

/// The port of an address that names none.
pub(crate) const DEFAULT_PORT: u16 = 8443;

/// What to look up for a setting: `host:port`, with the default port where none is given and every
/// interface for a wildcard or no host.
///
/// # Errors
///
/// 500 with LXD's text for a port that is none.
pub(crate) fn lookup_target(setting: &str) -> Result<String> {
    let (host, port) = split(setting)?;
    let host = if host.is_empty() || host == "*" {
        "[::]"
    } else {
        host
    };
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(format!("[{host}]:{port}"));
    }
    Ok(format!("{host}:{port}"))
}

/// Takes the port off, if there is one.
fn split(setting: &str) -> Result<(&str, u16)> {
    let is_bare_v6 = setting.parse::<std::net::Ipv6Addr>().is_ok();
    match setting.rsplit_once(':') {
        Some((host, port)) if !is_bare_v6 && !setting.ends_with(']') => {
            let Ok(number) = port.parse() else {
                return Err(Error::failed(format!(
                    "Cannot listen on network HTTPS socket {setting:?}: \
                     listen tcp: address tcp/{port}: unknown port"
                )));
            };
            Ok((host, number))
        }
        _ => Ok((setting, DEFAULT_PORT)),
    }
}

/// Where clients find the server: a listener on every interface is shown by the address of each.
pub(crate) fn shown(listening: &[SocketAddr]) -> Vec<String> {
    let mut shown = Vec::new();
    for address in listening {
        if address.ip().is_unspecified() {
            let every = interfaces(address.is_ipv6());
            shown.extend(
                every
                    .into_iter()
                    .map(|ip| SocketAddr::new(ip, address.port()).to_string()),
            );
        } else {
            shown.push(address.to_string());
        }
    }
    shown
}

/// The machine's global unicast addresses, from the kernel's own tables.
fn interfaces(with_v6: bool) -> Vec<IpAddr> {
    let mut found =
        v4_addresses(&std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default());
    if with_v6 {
        found.extend(v6_addresses(
            &std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default(),
        ));
    }
    found
}

/// The local host addresses of a routing table: each stands on the line before its
/// `/32 host LOCAL`.
fn v4_addresses(table: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = "";
    for line in table.lines().map(str::trim) {
        if line == "/32 host LOCAL" {
            let address = last
                .trim_start_matches("|-- ")
                .parse::<std::net::Ipv4Addr>()
                .ok();
            let global = address.filter(|ip| !ip.is_loopback() && !ip.is_link_local());
            found.extend(global.map(IpAddr::V4));
        }
        last = line;
    }
    found.sort();
    found.dedup();
    found
}

/// The addresses of global scope in the kernel's list of IPv6 addresses.
fn v6_addresses(table: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut fields = line.split_whitespace();
        let digits = u128::from_str_radix(fields.next()?, 16).ok()?;
        (fields.nth(2)? == "00").then(|| IpAddr::V6(digits.into()))
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_completed_to_a_host_and_a_port() {
        let cases = [
            ("127.0.0.1", "127.0.0.1:8443"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            (":9", "[::]:9"),
            ("*:9", "[::]:9"),
            ("[::]", "[::]:8443"),
            ("[::1]:7", "[::1]:7"),
            ("::1", "[::1]:8443"),
            ("localhost", "localhost:8443"),
        ];
        for (setting, target) in cases {
            assert_eq!(lookup_target(setting).unwrap(), target, "{setting}");
        }
    }

    #[test]
    fn a_port_that_is_none_is_refused() {
        let error = lookup_target("127.0.0.1:notaport").unwrap_err();
        assert!(
            error
                .message()
                .ends_with("listen tcp: address tcp/notaport: unknown port")
        );
    }

    #[test]
    fn addresses_are_read_from_the_kernels_tables() {
        let v4 = "|-- 10.0.0.5\n  /32 host LOCAL\n|-- 127.0.0.1\n  /32 host LOCAL\n|-- 10.0.0.0\n";
        assert_eq!(v4_addresses(v4), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
        let v6 = "20010db8000000000000000000000001 02 40 00 80 eth0\n\
                  fe800000000000000000000000000001 02 40 20 80 eth0\n";
        assert_eq!(v6_addresses(v6), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    }
}
