//! Which proxy a request goes through: `core.proxy_*`, as they are at the time of the request.

use std::{net::IpAddr, sync::Arc};

use reqwest::Url;
use url::Host;

/// The proxies to use; an empty text is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    /// For `http://`.
    pub(crate) http: String,
    /// For `https://`; when it is empty, `http` serves for both.
    pub(crate) https: String,
    /// Hosts that are asked directly: names (with all below them), addresses, either with a port,
    /// or `*` for all, separated by commas.
    pub(crate) ignored_hosts: String,
}

/// What the proxies are now.
pub(crate) type CurrentProxies = Arc<dyn Fn() -> Proxies + Send + Sync>;

impl Proxies {
    /// The proxy for a URL.
    // LXD: this machine itself is never asked through a proxy.
    pub(super) fn for_url(&self, url: &Url) -> Option<Url> {
        let proxy = match url.scheme() {
            "https" if !self.https.is_empty() => &self.https,
            _ => &self.http,
        };
        if proxy.is_empty() || self.ignores(url) {
            return None;
        }
        let whole = if proxy.contains("://") {
            proxy.clone()
        } else {
            format!("http://{proxy}")
        };
        Url::parse(&whole)
            .inspect_err(|error| tracing::warn!(%error, "the proxy has no usable address"))
            .ok()
    }

    fn ignores(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return false;
        };
        if is_this_machine(&host) {
            return true;
        }
        let host = host.to_string();
        let host = host.trim_matches(['[', ']']);
        let mut ignored = self.ignored_hosts.split(',').map(str::trim);
        ignored.any(|pattern| matches(pattern, host, port))
    }
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn matches(pattern: &str, host: &str, port: u16) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    if pattern == "*" {
        return true;
    }
    let without_port = pattern.strip_suffix(&format!(":{port}"));
    let name = without_port.unwrap_or(&pattern).trim_matches(['[', ']']);
    let name = name.trim_start_matches('.');
    if name.is_empty() {
        return false;
    }
    if let (Ok(one), Ok(other)) = (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return one == other;
    }
    host == name
        || host
            .strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(ignored: &str) -> Proxies {
        Proxies {
            http: "proxy.lan:3128".to_owned(),
            https: "http://secure.lan:3129".to_owned(),
            ignored_hosts: ignored.to_owned(),
        }
    }

    fn chosen(proxies: &Proxies, url: &str) -> Option<String> {
        let proxy = proxies.for_url(&Url::parse(url).unwrap())?;
        proxy.host_str().map(str::to_owned)
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let both = proxies("");
        assert_eq!(
            chosen(&both, "http://a.org/x").as_deref(),
            Some("proxy.lan")
        );
        assert_eq!(
            chosen(&both, "https://a.org/x").as_deref(),
            Some("secure.lan")
        );
        let one = Proxies {
            https: String::new(),
            ..both
        };
        assert_eq!(
            chosen(&one, "https://a.org/x").as_deref(),
            Some("proxy.lan")
        );
        assert_eq!(chosen(&Proxies::default(), "https://a.org/x"), None);
    }

    #[test]
    fn ignored_hosts_and_this_machine_are_asked_directly() {
        let some = proxies("lan.org, .below.org,10.1.2.3,port.org:8443");
        for direct in [
            "https://lan.org/",
            "https://a.lan.org/",
            "https://a.below.org/",
            "https://10.1.2.3/",
            "https://port.org:8443/",
            "https://localhost/",
            "https://127.0.0.9/",
            "https://[::1]/",
        ] {
            assert_eq!(chosen(&some, direct), None, "{direct}");
        }
        for proxied in [
            "https://plan.org/",
            "https://10.1.2.4/",
            "https://port.org/",
        ] {
            assert!(chosen(&some, proxied).is_some(), "{proxied}");
        }
        assert_eq!(chosen(&proxies("*"), "https://a.org/"), None);
    }
}
