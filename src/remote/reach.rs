//! Which addresses a request may reach.
//!
//! A caller who may do everything on this server may also have it connect anywhere. For any other
//! caller the server must not become a way into its own networks: names are looked up once, every
//! address is checked, and the connection goes to an address that was checked.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use url::Host;

use crate::error::{Error, Result};

/// Which addresses a request may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reach {
    /// All.
    #[default]
    Anywhere,
    /// Those of the public internet, and these hosts wherever they are.
    Public(Arc<BTreeSet<String>>),
}

impl Reach {
    /// The public internet, and the servers of a list as in `restricted.images.servers`: names,
    /// addresses or URLs, separated by commas.
    pub(crate) fn public_and(servers: &str) -> Self {
        let hosts = servers
            .split(',')
            .map(host_of)
            .filter(|host| !host.is_empty());
        Self::Public(Arc::new(hosts.collect()))
    }

    /// Checks a URL without connecting to anything; a name is looked up.
    ///
    /// # Errors
    ///
    /// 403 with one text for everything that is not allowed, and for names that are not known.
    pub(crate) async fn check(&self, url: &Url) -> Result<()> {
        self.check_literal(url)?;
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(());
        };
        // A listed one may be where it likes, also where only a proxy finds it.
        if self.lists(name) {
            return Ok(());
        }
        let found = self.look_up(name).await;
        found.map(drop).map_err(|refused| {
            tracing::info!(%refused, name, "refused an image server");
            refusal()
        })
    }

    /// Checks the host of a URL as far as that can be told without a look-up.
    pub(super) fn check_literal(&self, url: &Url) -> Result<()> {
        let Self::Public(also) = self else {
            return Ok(());
        };
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(refusal()),
        };
        if is_public(address) || also.contains(&address.to_string()) {
            return Ok(());
        }
        Err(refusal())
    }

    /// Whether a name is good whatever its addresses are.
    fn lists(&self, name: &str) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Public(also) => also.contains(&name.trim_end_matches('.').to_ascii_lowercase()),
        }
    }

    /// The addresses of a name that may be connected to.
    async fn look_up(&self, name: &str) -> Result<Vec<SocketAddr>, Refused> {
        let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| {
            tracing::info!(%error, name, "cannot be resolved");
            match self {
                Self::Anywhere => Refused::Unknown(name.to_owned()),
                // Which names there are in the networks here is told to nobody else.
                Self::Public(_) => Refused::NotAllowed,
            }
        })?;
        let allowed: Vec<_> = found
            .filter(|address| self.lists(name) || is_public(address.ip()))
            .collect();
        if allowed.is_empty() {
            return Err(Refused::NotAllowed);
        }
        Ok(allowed)
    }
}

/// The one answer for everything that is not allowed.
pub(super) fn refusal() -> Error {
    Error::forbidden("This project may not use that image server")
}

/// The host of a name, an address, or a URL, in lower case and without brackets.
fn host_of(server: &str) -> String {
    let server = server.trim();
    let whole = if server.contains("://") {
        server.to_owned()
    } else if server.parse::<Ipv6Addr>().is_ok() {
        format!("https://[{server}]")
    } else {
        format!("https://{server}")
    };
    let url = Url::parse(&whole).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    host.trim_matches(['[', ']'])
        .trim_end_matches('.')
        .to_owned()
}

/// Whether an address belongs to somebody on the internet, rather than to this machine, its
/// networks, or nobody.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        // "This" network, shared address space, protocol assignments, benchmarks, reserved.
        (0 | 240.., ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _)
    );
    !(is_special
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [first, second, ..] = segments;
    // An IPv4 address in IPv6 clothes is judged as what it is.
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        _ => {
            // Only 2000::/3 is given out; of it, Teredo, documentation and benchmarks are not.
            let is_global = first & 0xe000 == 0x2000;
            let is_special =
                matches!((first, second), (0x2001, 0x0000 | 0x0002 | 0x0db8)) || first == 0x3fff;
            address
                .to_ipv4_mapped()
                .map_or(is_global && !is_special, is_public_v4)
        }
    }
}

/// Why a name leads nowhere.
#[derive(Debug)]
pub(super) enum Refused {
    /// None of its addresses may be connected to.
    NotAllowed,
    /// It has none.
    Unknown(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("address not allowed"),
            Self::Unknown(name) => write!(f, "lookup {name}: no such host"),
        }
    }
}

impl std::error::Error for Refused {}

/// The resolver of connections with this reach.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let addresses = reach.look_up(name.as_str()).await?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_machines_and_their_networks_are_not_public() {
        for private in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "100::1",
            "2002:c0a8:101::1",
            "3fff::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "2606:4700::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_checked() {
        let reach = Reach::public_and("");
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::1]:8443/x",
            "https://0/",
        ] {
            let url = Url::parse(url).unwrap();
            assert!(reach.check_literal(&url).is_err(), "{url}");
            assert!(Reach::Anywhere.check_literal(&url).is_ok(), "{url}");
        }
        let public = Url::parse("https://1.1.1.1/").unwrap();
        assert!(reach.check_literal(&public).is_ok());
    }

    #[test]
    fn listed_servers_are_known_by_name_address_or_url() {
        let list = "images.lan, https://10.0.0.7:8443/x,fd00::7,[fd00::8]:443, UPPER.lan:8443,,";
        let Reach::Public(hosts) = Reach::public_and(list) else {
            unreachable!("a list makes a public reach");
        };
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        assert_eq!(
            hosts,
            ["10.0.0.7", "fd00::7", "fd00::8", "images.lan", "upper.lan"]
        );
        let listed = Url::parse("https://10.0.0.7/").unwrap();
        assert!(Reach::public_and(list).check_literal(&listed).is_ok());
    }

    #[tokio::test]
    async fn a_name_is_as_good_as_its_addresses() {
        let url = Url::parse("https://localhost/").unwrap();
        assert!(Reach::public_and("").check(&url).await.is_err());
        assert!(Reach::public_and("localhost").check(&url).await.is_ok());
        let resolver = Resolver(Reach::public_and(""));
        assert!(
            resolver
                .resolve("localhost".parse().unwrap())
                .await
                .is_err()
        );
    }
}
