//! The interfaces of a running container, as the host's `ip` sees them in its namespace.

use std::time::Duration;

use serde::Deserialize;

use super::program;
use crate::error::{Error, Result};

/// How long the kernel may take to tell.
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// An interface inside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interface {
    /// Its name.
    pub(crate) name: String,
    /// Its addresses.
    pub(crate) addresses: Vec<Address>,
    /// What went through it.
    pub(crate) counters: Counters,
    /// Its hardware address.
    pub(crate) hwaddr: String,
    /// The name of its other end on the host.
    pub(crate) host_name: String,
    /// The longest packet.
    pub(crate) mtu: u64,
    /// Whether it is up.
    pub(crate) is_up: bool,
    /// `loopback`, `broadcast` or `point-to-point`.
    pub(crate) kind: &'static str,
}

/// An address of an interface.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// `inet` or `inet6`.
    pub(crate) family: String,
    /// The address.
    pub(crate) text: String,
    /// How many bits of it are the network's.
    pub(crate) prefix: u8,
    /// `global`, `link` or `local`.
    pub(crate) scope: String,
}

/// What went through an interface.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Counters {
    /// What came in.
    #[serde(rename = "rx", default)]
    pub(crate) received: Traffic,
    /// What went out.
    #[serde(rename = "tx", default)]
    pub(crate) sent: Traffic,
}

/// One direction.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Traffic {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Packets.
    pub(crate) packets: u64,
    /// Packets that were broken.
    pub(crate) errors: u64,
    /// Packets that were thrown away.
    pub(crate) dropped: u64,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Link {
    ifname: String,
    #[serde(rename = "link_index")]
    peer: Option<u32>,
    flags: Vec<String>,
    mtu: u64,
    #[serde(rename = "link_type")]
    kind: String,
    address: String,
    addr_info: Vec<Info>,
    stats64: Counters,
}

#[derive(Deserialize)]
struct Info {
    family: String,
    #[serde(default)]
    local: String,
    #[serde(default)]
    prefixlen: u8,
    #[serde(default)]
    scope: String,
}

/// The interfaces of the container whose first process this is.
pub(super) async fn interfaces(init: i32) -> Result<Vec<Interface>> {
    let mut command = program::command("nsenter");
    command.arg(format!("--net=/proc/{init}/ns/net"));
    command.args(["ip", "-json", "-statistics", "address"]);
    let said = program::run(&mut command, TELL_WITHIN).await?;
    if !said.is_success() {
        return Err(Error::failed(said.err));
    }
    parse(&said.out)
}

fn parse(json: &str) -> Result<Vec<Interface>> {
    let links: Vec<Link> = serde_json::from_str(json)
        .map_err(|error| Error::internal("Interfaces that are not understood", error))?;
    Ok(links.into_iter().map(interface).collect())
}

fn interface(link: Link) -> Interface {
    let has = |flag: &str| link.flags.iter().any(|name| name == flag);
    let is_loopback = link.kind == "loopback";
    let kind = match (is_loopback, has("POINTOPOINT")) {
        (true, _) => "loopback",
        (false, true) => "point-to-point",
        (false, false) => "broadcast",
    };
    Interface {
        is_up: has("UP"),
        kind,
        addresses: link.addr_info.into_iter().map(address).collect(),
        counters: link.stats64,
        hwaddr: if is_loopback {
            String::new()
        } else {
            link.address
        },
        host_name: link.peer.and_then(name_on_host).unwrap_or_default(),
        mtu: link.mtu,
        name: link.ifname,
    }
}

fn address(info: Info) -> Address {
    Address {
        family: info.family,
        text: info.local,
        prefix: info.prefixlen,
        // LXD's word.
        scope: if info.scope == "host" {
            "local".to_owned()
        } else {
            info.scope
        },
    }
}

/// The name of the host's interface of this number.
fn name_on_host(index: u32) -> Option<String> {
    let mut entries = std::fs::read_dir("/sys/class/net")
        .ok()?
        .filter_map(std::io::Result::ok);
    let is_it = |entry: &std::fs::DirEntry| {
        let number = std::fs::read_to_string(entry.path().join("ifindex"));
        number.is_ok_and(|number| number.trim().parse() == Ok(index))
    };
    entries.find(is_it)?.file_name().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ip_says_is_understood() {
        let json = r#"[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,
            "link_type":"loopback","address":"00:00:00:00:00:00","addr_info":[{"family":"inet",
            "local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo"}],"stats64":{"rx":{"bytes":5,
            "packets":1,"errors":0,"dropped":0,"multicast":0},"tx":{"bytes":7,"packets":1}}},{},
            {"ifname":"eth0","flags":["BROADCAST"],"mtu":1500,"link_type":"ether","address":"00:16:3e:00:00:01"}]"#;
        let found = parse(json).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].kind, found[0].is_up), ("loopback", true));
        assert_eq!(found[0].counters.sent.bytes, 7);
        assert_eq!(found[0].addresses[0].scope, "local");
        assert_eq!((found[2].kind, found[2].is_up), ("broadcast", false));
        assert_eq!(found[2].hwaddr, "00:16:3e:00:00:01");
    }
}
