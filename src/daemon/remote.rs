//! How this server speaks to others: as whom, and through which proxies.

use std::{path::Path, sync::Arc, time::Duration};

use super::facts;
use crate::{
    clock::Clock,
    http::{Facts, tls::Identity},
    remote::{Outbound, Proxies, Setup, Streams},
    settings::Settings,
    tasks::Tasks,
};

/// What speaks to other servers.
pub(super) fn outbound(settings: &Settings, identity: &Identity, idle: Duration) -> Outbound {
    let (settings, identity) = (settings.clone(), identity.clone());
    let fallback = from_environment();
    Outbound::new(Setup {
        user_agent: user_agent(&facts::find_out()),
        identity: Arc::new(move || Arc::clone(&identity.current().key)),
        proxies: Arc::new(move || proxies(&settings, &fallback)),
        idle,
    })
}

/// What keeps the lists of simplestreams servers.
pub(super) fn streams(outbound: &Outbound, directory: &Path, tasks: &Tasks) -> Streams {
    let (outbound, directory) = (outbound.clone(), directory.join("cache"));
    Streams::new(outbound, directory, tasks.clone(), Clock::System)
}

/// `core.proxy_*` as they are now.
// LXD: what is not set comes from the environment.
fn proxies(settings: &Settings, fallback: &Proxies) -> Proxies {
    let current = settings.current();
    let value = |key: &str, fallback: &String| current.get(key).unwrap_or(fallback).clone();
    Proxies {
        http: value("core.proxy_http", &fallback.http),
        https: value("core.proxy_https", &fallback.https),
        ignored_hosts: value("core.proxy_ignore_hosts", &fallback.ignored_hosts),
    }
}

fn from_environment() -> Proxies {
    let first = |names: [&str; 2]| {
        let mut values = names.iter().filter_map(|name| std::env::var(name).ok());
        values.find(|value| !value.is_empty()).unwrap_or_default()
    };
    Proxies {
        http: first(["HTTP_PROXY", "http_proxy"]),
        https: first(["HTTPS_PROXY", "https_proxy"]),
        ignored_hosts: first(["NO_PROXY", "no_proxy"]),
    }
}

/// LXD's `User-Agent`, by which image servers know what a client can take, and ours behind it.
fn user_agent(facts: &Facts) -> String {
    let release = facts.kernel_version.split('-').next().unwrap_or_default();
    let parts = [
        &facts.kernel,
        &facts.kernel_architecture,
        release,
        &facts.os_name,
        &facts.os_version,
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let version = env!("CARGO_PKG_VERSION");
    let agent = format!(
        "LXD 5.0.2 ({}) (dir 1) lximaged/{version}",
        parts.join("; ")
    );
    agent
        .chars()
        .filter(|c| c.is_ascii() && !c.is_ascii_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agent_is_lxds_with_our_name_behind_it() {
        let text = |text: &str| text.to_owned();
        let facts = Facts {
            kernel: text("Linux"),
            kernel_architecture: text("x86_64"),
            kernel_version: text("6.1.0-18-amd64"),
            os_name: text("Debian GNU/Linux"),
            os_version: text("12"),
            server_name: String::new(),
        };
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "LXD 5.0.2 (Linux; x86_64; 6.1.0; Debian GNU/Linux; 12) (dir 1) lximaged/{version}"
        );
        assert_eq!(user_agent(&facts), expected);
    }
}
