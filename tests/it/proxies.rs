//! `core.proxy_*`: which servers are asked through a proxy.

use serde_json::{Value, json};

use crate::support::{
    Lximaged, Options, against_lxd, beyond_lxd,
    image_api::{fingerprint_of, refusal},
    trust::{NOT_ALLOWED, restricted},
    upstream::{
        Act, Page, Proxy, Upstream, authority,
        offers::{Offer, Protocol},
        streams::INDEX,
    },
};

/// A server that nobody finds but a proxy.
const HOST: &str = "images.example.org";

fn hidden() -> Upstream {
    Upstream::with(authority().papers(&[HOST]))
}

/// An offer of a hidden server, by its name.
fn offer(protocol: Protocol, upstream: &Upstream, marker: &str) -> Offer {
    let mut offer = protocol.offer(upstream, marker);
    let named = |text: &str| text.replace(&upstream.url(), &format!("https://{HOST}"));
    offer.source = named(&offer.source.to_string()).parse().unwrap();
    if protocol == Protocol::Url {
        let page = upstream.find(&offer.described).unwrap();
        let named = page.replaced(&upstream.url(), &format!("https://{HOST}"));
        upstream.page(&offer.described, named);
    }
    offer
}

fn daemon(options: Options) -> Lximaged {
    options.authority(authority().pem()).start()
}

fn set(daemon: &Lximaged, key: &str, value: &str) {
    let config = json!({"config": {key: value}});
    daemon.patch("/1.0", &config).is_done();
}

fn ask(daemon: &Lximaged, source: &Value) -> Value {
    let answer = daemon.post("/1.0/images", &json!({ "source": source }));
    daemon.finished(&answer)
}

#[test]
fn a_proxy_is_used_from_the_moment_it_is_set_and_by_all_protocols() {
    for protocol in [Protocol::Streams, Protocol::Lxd, Protocol::Url] {
        let upstream = hidden();
        let proxy = Proxy::to(upstream.address());
        let daemon = daemon(Options::default());
        let offer = offer(protocol, &upstream, "a");
        assert!(!refusal(&ask(&daemon, &offer.source)).is_empty());
        set(&daemon, "core.proxy_https", &proxy.url());
        assert_eq!(
            fingerprint_of(&ask(&daemon, &offer.source)),
            offer.fingerprint
        );
        let connect = format!("CONNECT {HOST}:443 HTTP/1.1");
        let asked = || {
            let mut lines = proxy.asked();
            // LXD looks for its users' images meanwhile.
            lines.retain(|line| !line.contains("linuxcontainers.org"));
            lines
        };
        let before = asked();
        assert!(!before.is_empty());
        assert!(before.iter().all(|line| *line == connect), "{before:?}");

        // And no longer when it is not.
        set(&daemon, "core.proxy_https", "");
        daemon.remove_image(&offer.fingerprint);
        assert!(!refusal(&ask(&daemon, &offer.source)).is_empty());
        assert_eq!(asked(), before);
    }
}

#[test]
fn ignored_hosts_and_this_machine_are_asked_directly() {
    let near = Upstream::start();
    let hidden = hidden();
    let proxy = Proxy::to(hidden.address());
    let daemon = daemon(Options::default());
    set(&daemon, "core.proxy_https", &proxy.url());
    let local = Protocol::Streams.offer(&near, "a");
    assert_eq!(
        fingerprint_of(&ask(&daemon, &local.source)),
        local.fingerprint
    );
    assert!(proxy.asked().is_empty());
    let distant = offer(Protocol::Lxd, &hidden, "b");
    for ignored in [
        HOST,
        "example.org",
        ".example.org",
        "other.org,images.example.org:443",
    ] {
        set(&daemon, "core.proxy_ignore_hosts", ignored);
        assert!(
            !refusal(&ask(&daemon, &distant.source)).is_empty(),
            "{ignored}"
        );
        assert!(proxy.asked().is_empty(), "{ignored}");
    }
    set(
        &daemon,
        "core.proxy_ignore_hosts",
        "example.com,org.example",
    );
    assert_eq!(
        fingerprint_of(&ask(&daemon, &distant.source)),
        distant.fingerprint
    );
}

#[test]
fn plain_http_has_a_proxy_of_its_own_which_serves_for_both_alone() {
    let (plain, hidden) = (Upstream::plain(), hidden());
    let (proxy, other) = (Proxy::to(plain.address()), Proxy::to(hidden.address()));
    let daemon = daemon(Options::default());
    let offer = Protocol::Url.offer(&plain, "a");
    let page = plain.find(&offer.described).unwrap();
    let named = format!("http://{HOST}");
    plain.page(&offer.described, page.replaced(&plain.url(), &named));
    let source = json!({"type": "url", "mode": "pull", "url": format!("{named}/image")});
    set(&daemon, "core.proxy_http", &proxy.url());
    assert_eq!(fingerprint_of(&ask(&daemon, &source)), offer.fingerprint);
    let asked = proxy.asked();
    let expected = [
        format!("HEAD {named}/image HTTP/1.1"),
        format!("GET {named}/image/a.tar HTTP/1.1"),
    ];
    assert_eq!(asked, expected);
    if !beyond_lxd("it asks https:// servers directly then") {
        return;
    }
    // Set alone, it serves for both.
    set(&daemon, "core.proxy_http", &other.url());
    let distant = self::offer(Protocol::Streams, &hidden, "b");
    assert_eq!(
        fingerprint_of(&ask(&daemon, &distant.source)),
        distant.fingerprint
    );
    assert_eq!(other.asked()[0], format!("CONNECT {HOST}:443 HTTP/1.1"));
}

#[test]
fn the_environments_proxy_serves_until_there_is_another() {
    let hidden = hidden();
    let (first, second) = (Proxy::to(hidden.address()), Proxy::to(hidden.address()));
    let options = Options::default()
        .env("HTTPS_PROXY", &first.url())
        .env("NO_PROXY", "");
    let daemon = daemon(options);
    let one = offer(Protocol::Lxd, &hidden, "a");
    assert_eq!(fingerprint_of(&ask(&daemon, &one.source)), one.fingerprint);
    assert!(!first.asked().is_empty());
    let before = first.asked().len();
    set(&daemon, "core.proxy_https", &second.url());
    let other = offer(Protocol::Lxd, &hidden, "b");
    let asked = ask(&daemon, &other.source);
    assert_eq!(fingerprint_of(&asked), other.fingerprint);
    if !against_lxd() {
        assert_eq!(first.asked().len(), before);
    }
    assert!(!second.asked().is_empty());
}

#[test]
fn a_proxy_leads_a_restricted_client_to_no_inner_addresses_but_to_listed_servers() {
    if !beyond_lxd("it goes anywhere for anybody") {
        return;
    }
    let hidden = hidden();
    let proxy = Proxy::to(hidden.address());
    let daemon = daemon(Options::default());
    let client = restricted(&daemon, HOST);
    set(&daemon, "core.proxy_https", &proxy.url());
    set(&daemon, "core.proxy_http", &proxy.url());
    let offer = offer(Protocol::Streams, &hidden, "a");
    let ask = |target: &str| {
        let body = offer.source.to_string();
        let body = body.replace(&format!("https://{HOST}"), target);
        let source: Value = body.parse().unwrap();
        client.post("/1.0/images?project=own", &json!({ "source": source }))
    };
    let inner = [
        "10.0.0.1",
        "[fd00::1]",
        "169.254.169.254",
        "unknown.example.org",
    ];
    for host in inner {
        ask(&format!("https://{host}")).is_error(403, NOT_ALLOWED);
    }
    assert!(proxy.asked().is_empty());
    for host in inner {
        let redirect = Page::redirect(&format!("https://{host}/x"));
        hidden.act_times(INDEX, Act::Say(redirect), 1);
        let said = refusal(&client.finished(&ask(&format!("https://{HOST}"))));
        assert!(said.ends_with(NOT_ALLOWED), "{said}");
    }
    let asked = client.finished(&ask(&format!("https://{HOST}")));
    assert_eq!(fingerprint_of(&asked), offer.fingerprint);
    let connect = format!("CONNECT {HOST}:443 HTTP/1.1");
    assert!(proxy.asked().iter().all(|line| *line == connect));
}
