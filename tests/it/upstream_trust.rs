//! Whom the daemon believes to be the server that was named, and what it tells to others.

use serde_json::{Value, json};

use crate::support::{
    Lximaged, Options, beyond_lxd,
    image_api::{fingerprint_of, refusal},
    pulls::merged,
    upstream::{
        Act, Page, Papers, Upstream, authority,
        authority::Authority,
        offers::{Offer, PROTOCOLS, Protocol},
    },
};

fn daemon() -> Lximaged {
    Options::default().authority(authority().pem()).start()
}

/// Asks for an image, and gives how that ended.
fn ask(daemon: &Lximaged, source: &Value) -> Value {
    let answer = daemon.post("/1.0/images", &json!({ "source": source }));
    daemon.finished(&answer)
}

/// What is said of a server that cannot be spoken to.
fn unreachable(protocol: Protocol, url: &str, why: &str) -> String {
    match protocol {
        Protocol::Streams => format!(
            "Failed getting remote image info: Failed getting image: Failed parsing stream: \
                Get \"{url}/streams/v1/index.json\": {why}"
        ),
        Protocol::Lxd => {
            format!("Failed to connect to LXD server \"{url}\": Get \"{url}/1.0\": {why}")
        }
        Protocol::Url => format!("Head \"{url}/image\": {why}"),
    }
}

#[test]
fn a_server_that_is_not_who_it_should_be_is_refused_and_asked_nothing() {
    if !beyond_lxd("it takes any certificate of an authority it knows for the one that was named") {
        return;
    }
    let daemon = daemon();
    let (trusted, other) = (authority(), Authority::new("somebody else"));
    let unknown = "x509: certificate signed by unknown authority";
    let cases: [(Papers, &str, &str); 5] = [
        (
            trusted.papers(&["127.0.0.2", "images.example.org"]),
            "",
            "x509: certificate is not valid for 127.0.0.1",
        ),
        (
            trusted.papers_until(&["127.0.0.1"], 2020),
            "",
            "x509: certificate has expired or is not yet valid",
        ),
        (other.papers(&["127.0.0.1"]), "", unknown),
        (other.papers(&["127.0.0.1"]).along_with(&other), "", unknown),
        // One certificate was named, and that is the only one.
        (
            trusted.papers(&["127.0.0.1"]),
            &other.papers(&["127.0.0.1"]).pem(),
            unknown,
        ),
    ];
    for (papers, pin, why) in cases {
        let upstream = Upstream::with(papers);
        for protocol in PROTOCOLS {
            if protocol == Protocol::Url && !pin.is_empty() {
                // A URL comes without a certificate.
                continue;
            }
            let offer = protocol.offer(&upstream, "a");
            let source = merged(offer.source, &json!({ "certificate": pin }));
            let said = refusal(&ask(&daemon, &source));
            assert_eq!(said, unreachable(protocol, &upstream.url(), why));
        }
        assert!(upstream.accepted() > 0 && upstream.seen().is_empty());
    }
    assert!(daemon.images("default").is_empty());

    for protocol in PROTOCOLS {
        let upstream = Upstream::start();
        let offer = protocol.offer(&upstream, "a");
        assert_eq!(
            fingerprint_of(&ask(&daemon, &offer.source)),
            offer.fingerprint
        );
    }
}

#[test]
fn a_pinned_certificate_is_good_whatever_its_name_and_authority_but_not_for_ever() {
    let daemon = daemon();
    let other = Authority::new("somebody else");
    let upstream = Upstream::with(other.papers(&["elsewhere"]));
    let offer = Protocol::Lxd.offer(&upstream, "a");
    assert_eq!(
        fingerprint_of(&ask(&daemon, &offer.source)),
        offer.fingerprint
    );
    if !beyond_lxd("it does not look at the dates") {
        return;
    }
    let upstream = Upstream::with(other.papers_until(&["127.0.0.1"], 2020));
    let offer = Protocol::Lxd.offer(&upstream, "b");
    let why = "x509: certificate has expired or is not yet valid";
    let expected = unreachable(Protocol::Lxd, &upstream.url(), why);
    assert_eq!(refusal(&ask(&daemon, &offer.source)), expected);
}

#[test]
fn a_name_that_nobody_has_is_told() {
    let daemon = daemon();
    for protocol in PROTOCOLS {
        let upstream = Upstream::start();
        let offer = protocol.offer(&upstream, "a");
        let nowhere = "https://nowhere.invalid";
        let source = offer.source.to_string();
        let source = source.replace(&upstream.url(), nowhere);
        let said = refusal(&ask(&daemon, &source.parse().unwrap()));
        if beyond_lxd("it names the resolver") {
            let why = "dial tcp: lookup nowhere.invalid: no such host";
            assert_eq!(said, unreachable(protocol, nowhere, why));
        }
        assert_eq!(
            fingerprint_of(&ask(&daemon, &offer.source)),
            offer.fingerprint
        );
    }
}

/// Has a server send whoever asks for the image's file to another one, which has it.
fn move_file(upstream: &Upstream, offer: &Offer, to: &Upstream) {
    to.page("/elsewhere", upstream.find(&offer.file).unwrap());
    let target = Page::redirect(&format!("{}/elsewhere", to.url()));
    upstream.page(&offer.file, target);
}

#[test]
fn a_server_that_one_is_sent_to_learns_no_secret_and_not_who_asks() {
    let daemon = daemon();
    for protocol in PROTOCOLS {
        // It asks for certificates, and is known by its own.
        let upstream = Upstream::with(Authority::new("somebody").papers(&["127.0.0.1"]));
        let upstream = match protocol {
            Protocol::Lxd => upstream,
            _ => Upstream::start(),
        };
        let other = Upstream::start();
        let offer = protocol.offer(&upstream, "a");
        move_file(&upstream, &offer, &other);
        let mut source = offer.source.clone();
        if protocol == Protocol::Lxd {
            let secret = json!({"secret": "s3cret", "fingerprint": offer.fingerprint,
                "alias": ""});
            source = merged(source, &secret);
        }
        assert_eq!(fingerprint_of(&ask(&daemon, &source)), offer.fingerprint);
        daemon.remove_image(&offer.fingerprint);

        let at_home = upstream.seen_at(&offer.file);
        let elsewhere = other.seen();
        assert_eq!((at_home.len(), elsewhere.len()), (1, 1));
        if protocol == Protocol::Lxd && beyond_lxd("it never shows who it is") {
            assert_eq!(at_home[0].query, "secret=s3cret");
            assert!(at_home[0].is_identified);
        }
        let seen = &elsewhere[0];
        assert!(!seen.is_identified);
        assert_eq!(
            (seen.path.as_str(), seen.query.as_str()),
            ("/elsewhere", "")
        );
        for header in ["authorization", "cookie", "referer", "x-lxd-secret"] {
            assert_eq!(seen.header(header), None);
        }
    }
}

#[test]
fn nobody_is_sent_from_https_to_http() {
    if !beyond_lxd("it goes") {
        return;
    }
    let daemon = daemon();
    for protocol in PROTOCOLS {
        let (upstream, other) = (Upstream::start(), Upstream::plain());
        let offer = protocol.offer(&upstream, "a");
        move_file(&upstream, &offer, &other);
        let said = refusal(&ask(&daemon, &offer.source));
        let (from, to) = (upstream.url() + &offer.file, other.url());
        let expected = format!("Get \"{from}\": refused to be redirected to {to}/elsewhere");
        assert_eq!(said, expected);
        assert_eq!(other.accepted(), 0);
    }
}

#[test]
fn five_redirects_are_followed_and_no_more() {
    if !beyond_lxd("it follows any number") {
        return;
    }
    let daemon = daemon();
    for protocol in PROTOCOLS {
        let upstream = Upstream::start();
        let offer = protocol.offer(&upstream, "a");
        for step in 1..=6 {
            let next = format!("/step/{}", step + 1);
            upstream.page(&format!("/step/{step}"), Page::redirect(&next));
        }
        upstream.page("/step/6", upstream.find(&offer.file).unwrap());
        let begin = |step: usize| Act::Say(Page::redirect(&format!("/step/{step}")));
        upstream.act_times(&offer.file, begin(1), 1);
        upstream.act_times(&offer.file, begin(2), 1);
        let said = refusal(&ask(&daemon, &offer.source));
        let last = format!("{}/step/6", upstream.url());
        assert_eq!(said, format!("Get \"{last}\": stopped after 5 redirects"));
        assert!(upstream.seen_at("/step/6").is_empty());
        assert_eq!(
            fingerprint_of(&ask(&daemon, &offer.source)),
            offer.fingerprint
        );
        daemon.remove_image(&offer.fingerprint);
    }
}
