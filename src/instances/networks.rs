//! The machine's network interfaces. None is managed here; clients only look at them.

use std::{fs, path::Path};

use crate::{
    api::objects::Network,
    error::{Error, Result},
};

/// Where the kernel tells of its interfaces.
const INTERFACES: &str = "/sys/class/net";

/// The kernel's number for the loopback device.
const LOOPBACK: &str = "772";

/// Every interface, by name.
pub(crate) fn networks() -> Result<Vec<Network>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(INTERFACES)? {
        // What is not text, or no interface, is none that a client could name.
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        if is_interface(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(network).collect())
}

/// One interface.
pub(crate) fn find_network(name: &str) -> Result<Network> {
    let found = networks()?.into_iter().find(|network| network.name == name);
    found.ok_or_else(|| Error::not_found("Network not found"))
}

fn is_interface(name: &str) -> bool {
    Path::new(INTERFACES).join(name).join("ifindex").exists()
}

/// `name` comes from the kernel, never from a client.
fn network(name: String) -> Network {
    let directory = Path::new(INTERFACES).join(&name);
    let kind = match fs::read_to_string(directory.join("type")) {
        Ok(number) if number.trim() == LOOPBACK => "loopback",
        _ if directory.join("bridge").exists() => "bridge",
        _ if directory.join("bonding").exists() => "bond",
        _ if directory.join("device").exists() => "physical",
        _ => "unknown",
    };
    Network::unmanaged(name, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_always_there() {
        assert_eq!(find_network("lo").unwrap().kind, "loopback");
        assert_eq!(
            find_network("../net/lo").unwrap_err().message(),
            "Network not found"
        );
    }
}
