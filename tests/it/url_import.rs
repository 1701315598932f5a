//! Images behind URLs: the exchange of headers, what is refused, and whom.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};

use crate::support::{
    Lximaged, Options, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
    trust::{NOT_ALLOWED, restricted},
    upstream::{
        Act, Page, Site, Upstream, authority,
        offers::{Offer, PROTOCOLS, Protocol},
        streams::INDEX,
    },
};

/// A request for what stands behind a URL.
fn wish(url: &str) -> Value {
    json!({"source": {"type": "url", "mode": "pull", "url": url}})
}

/// A signpost to a file with this hash.
fn signpost(hash: &str, url: &str) -> Page {
    Page::bare("")
        .header("LXD-Image-Hash", hash)
        .header("LXD-Image-URL", url)
}

/// Puts a file up, and a signpost to it; gives the signpost's URL.
fn put(upstream: &Upstream, bytes: &[u8]) -> String {
    let url = upstream.url();
    upstream.page("/file", Page::bare(bytes));
    let signpost = signpost(&fingerprint(&[bytes]), &format!("{url}/file"));
    upstream.page("/image", signpost);
    format!("{url}/image")
}

#[test]
fn a_url_is_asked_which_image_it_stands_for() {
    let site = Site::start();
    let packed = images::gzip(&images::container("a"));
    let url = put(&site.upstream, &packed);
    let mut body = wish(&url);
    body["public"] = json!(true);
    body["properties"] = json!({"os": "Mine", "added": "1"});
    body["aliases"] = json!([{"name": "mine", "description": "my own"}]);
    let operation = site.daemon.ask("default", &body);
    let found = fingerprint_of(&operation);
    assert_eq!(found, fingerprint(&[&packed]));
    assert_eq!(operation["metadata"]["size"], packed.len().to_string());
    let image = site.daemon.image(&found);
    let properties = json!({"added": "1", "description": "image a", "os": "Mine"});
    assert_eq!(image["properties"], properties);
    assert_eq!(image["created_at"], images::CREATED);
    assert_eq!(image["aliases"][0]["name"], "mine");
    assert_eq!([&image["public"], &image["cached"]], [true, false]);
    assert_eq!(image["update_source"], Value::Null);
    assert_eq!(site.daemon.export(&found).files, [packed]);

    let seen = site.upstream.seen();
    let lines: Vec<_> = seen
        .iter()
        .map(|seen| (seen.method.as_str(), seen.path.as_str()))
        .collect();
    assert_eq!(lines, [("HEAD", "/image"), ("GET", "/file")]);
    let header = |name: &str| seen[0].header(name).unwrap().to_owned();
    assert_eq!(header("lxd-server-version"), "5.0.2");
    let server = site.daemon.get("/1.0");
    let here = &server.metadata()["environment"]["architectures"];
    let here: Vec<_> = here.as_array().unwrap().iter().collect();
    let here: Vec<_> = here.iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(header("lxd-server-architectures"), here.join(", "));
    assert!(seen.iter().all(|seen| !seen.is_identified));

    // It is here: there is nothing to fetch.
    let operation = site.daemon.ask("default", &wish(&url));
    assert_eq!(fingerprint_of(&operation), found);
    assert_eq!(site.upstream.seen_at("/file").len(), 1);
}

#[test]
fn machines_come_through_urls_too() {
    let site = Site::start();
    let packed = images::virtual_machine("a");
    let url = put(&site.upstream, &packed);
    let found = fingerprint_of(&site.daemon.ask("default", &wish(&url)));
    assert_eq!(site.daemon.image(&found)["type"], "virtual-machine");
}

#[test]
fn what_the_answer_lacks_is_told_in_lxds_words() {
    let site = Site::start();
    let upstream = &site.upstream;
    let said = || {
        let operation = site
            .daemon
            .ask("default", &wish(&(upstream.url() + "/image")));
        refusal(&operation)
    };
    upstream.page("/image", Page::bare(""));
    assert_eq!(said(), "Missing LXD-Image-Hash header");
    upstream.page(
        "/image",
        Page::bare("").header("LXD-Image-URL", "https://x/"),
    );
    assert_eq!(said(), "Missing LXD-Image-Hash header");
    upstream.page(
        "/image",
        Page::bare("").header("LXD-Image-Hash", &"a".repeat(64)),
    );
    assert_eq!(said(), "Missing LXD-Image-URL header");
    upstream.page("/image", Page::status(404));
    assert_eq!(said(), "Missing LXD-Image-Hash header");
    // The status is not looked at.
    let packed = images::container("a");
    put(upstream, &packed);
    let post = upstream.find("/image").unwrap();
    upstream.page("/image", post.with_status(404));
    let operation = site
        .daemon
        .ask("default", &wish(&(upstream.url() + "/image")));
    assert_eq!(fingerprint_of(&operation), fingerprint(&[&packed]));
    let nothing = site.daemon.ask("default", &wish(""));
    assert_eq!(refusal(&nothing), "Missing URL");
    for (url, scheme) in [
        ("file:///etc/passwd", "file"),
        ("/etc/passwd", ""),
        ("ftp://x/", "ftp"),
    ] {
        let expected = format!("Head \"{url}\": unsupported protocol scheme \"{scheme}\"");
        assert_eq!(refusal(&site.daemon.ask("default", &wish(url))), expected);
    }
}

#[test]
fn a_hash_that_is_none_names_no_file() {
    if !beyond_lxd("it takes some of them") {
        return;
    }
    let site = Site::start();
    let packed = images::container("a");
    let found = fingerprint(&[&packed]);
    let url = put(&site.upstream, &packed);
    for hash in [
        "../../../../tmp/escape".to_owned(),
        found[..63].to_owned(),
        found.to_uppercase(),
        format!("{found}/"),
        format!("{found}0"),
        format!("../{}", &found[3..]),
        found[..12].to_owned(),
    ] {
        let post = signpost(&hash, &format!("{}/file", site.upstream.url()));
        site.upstream.page("/image", post);
        let said = refusal(&site.daemon.ask("default", &wish(&url)));
        assert_eq!(
            said, "Image fingerprint must contain 64 characters",
            "{hash}"
        );
    }
    assert!(site.upstream.seen_at("/file").is_empty());
}

#[test]
fn what_is_no_unified_image_is_refused() {
    let site = Site::start();
    for (bytes, expected) in [
        (images::metadata_tar("a"), "Invalid instance type"),
        (
            images::rootfs_tar("a"),
            "Metadata tarball is missing metadata.yaml",
        ),
        (b"nothing at all".to_vec(), "Unsupported compression"),
    ] {
        let url = put(&site.upstream, &bytes);
        let said = refusal(&site.daemon.ask("default", &wish(&url)));
        if beyond_lxd("it looks no further, or words it in another way") {
            assert_eq!(said, expected, "{expected}");
        }
    }
    if beyond_lxd("it takes a tarball without a root") {
        assert!(site.daemon.images("default").is_empty());
    }
}

#[test]
fn http_will_do_for_an_administrator_since_the_hash_decides() {
    let daemon = Lximaged::start();
    let upstream = Upstream::plain();
    let packed = images::container("a");
    let url = put(&upstream, &packed);
    let pull = |url: &str| daemon.finished(&daemon.post("/1.0/images", &wish(url)));
    assert_eq!(fingerprint_of(&pull(&url)), fingerprint(&[&packed]));
    let other = images::container("b");
    upstream.page("/file", Page::bare(&other));
    daemon.remove_image(&fingerprint(&[&packed]));
    let expected = format!(
        "Hash mismatch for \"{}/file\": {} != {}",
        upstream.url(),
        fingerprint(&[&other]),
        fingerprint(&[&packed])
    );
    assert_eq!(
        refusal(&pull(&url)).replace("Hash mismatch for \"\"", "Hash mismatch for"),
        expected
    );
    // Image servers are another matter.
    for protocol in [Protocol::Streams, Protocol::Lxd] {
        if beyond_lxd("it asks whomever") {
            let offer = protocol.offer(&upstream, "c");
            let answer = daemon.post("/1.0/images", &json!({"source": offer.source}));
            let said = refusal(&daemon.finished(&answer));
            let url = upstream.url();
            let only = format!("Only https:// is supported for image servers: {url}");
            assert!(said.contains(&only), "{said}");
        }
    }
}

/// Addresses of machines, their networks, and nobody, in many spellings.
const INNER: &[&str] = &[
    "127.0.0.2",
    "127.1.2.3",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "0.0.0.0",
    "0",
    "[::]",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "169.254.169.254",
    "169.254.0.1",
    "[fe80::1]",
    "[fd00::1]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[::ffff:127.0.0.2]",
    "[::ffff:10.0.0.1]",
    "[::127.0.0.2]",
    "[64:ff9b::7f00:2]",
    "[2002:7f00:2::]",
    "[2001:db8::1]",
    "2130706434",
    "0x7f000002",
    "0x7f.2",
    "0177.0.0.2",
    "127.2",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "no-such-host.invalid",
];

/// A listener that nobody may connect to, on an inner address.
fn forbidden() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn no_answer_leads_a_restricted_client_to_inner_addresses() {
    if !beyond_lxd("it goes anywhere for anybody") {
        return;
    }
    let site = Site::start();
    let client = restricted(&site.daemon, "127.0.0.1");
    let (listener, address) = forbidden();
    let offers = PROTOCOLS.map(|protocol| protocol.offer(&site.upstream, "a"));
    let [streams, lxd, url] = &offers;
    // Where each door is first asked, where its file is, and what it says before the reason.
    let doors = [
        (
            streams,
            INDEX,
            "Failed getting remote image info: Failed getting image: Failed parsing stream: "
                .to_owned(),
        ),
        (streams, &streams.file, String::new()),
        (
            lxd,
            "/1.0",
            format!(
                "Failed to connect to LXD server \"{}\": ",
                site.upstream.url()
            ),
        ),
        (lxd, &lxd.file, String::new()),
        (url, "/image", String::new()),
        (url, &url.file, String::new()),
    ];
    let ask = |door: &(&Offer, &str, String), target: &str| {
        let (offer, path, prefix) = door;
        let redirect = Act::Say(Page::redirect(target));
        site.upstream.act_times(path, redirect, 1);
        let body = json!({"source": offer.source});
        let said = refusal(&client.ask("own", &body));
        assert_eq!(said, format!("{prefix}{NOT_ALLOWED}"), "{target} at {path}");
    };
    for door in &doors {
        for host in ["localhost", "127.0.0.2", "[::1]", "no-such-host.invalid"] {
            ask(door, &format!("https://{host}:{}/x", address.port()));
        }
    }
    for host in INNER {
        let target = format!("https://{host}:{}/x", address.port());
        ask(&doors[4], &target);
        // The address of the file is the signpost's to say.
        site.upstream
            .page("/other", signpost(&"a".repeat(64), &target));
        let body = wish(&(site.upstream.url() + "/other"));
        assert_eq!(refusal(&client.ask("own", &body)), NOT_ALLOWED);
    }
    assert!(listener.accept().is_err(), "nobody has connected");
    assert!(site.daemon.images("own").is_empty());
}

#[test]
fn an_address_in_the_request_is_refused_before_anything_is_asked() {
    if !beyond_lxd("it goes anywhere for anybody") {
        return;
    }
    let daemon = Options::default().authority(authority().pem()).start();
    let client = restricted(&daemon, "images.example.org");
    let (listener, address) = forbidden();
    let port = address.port();
    let urls = INNER.iter().map(|host| format!("https://{host}:{port}/x"));
    for url in urls.chain([format!("http://{address}/x")]) {
        let answer = client.post("/1.0/images?project=own", &wish(&url));
        answer.is_error(403, NOT_ALLOWED);
    }
    assert!(listener.accept().is_err(), "nobody has connected");
}

#[test]
fn a_restricted_client_fetches_from_servers_that_are_open_and_only_by_https() {
    if !beyond_lxd("it knows no such key") {
        return;
    }
    let site = Site::start();
    let client = restricted(&site.daemon, "images.example.org, 127.0.0.1");
    let packed = images::container("a");
    let url = put(&site.upstream, &packed);
    let found = fingerprint_of(&client.ask("own", &wish(&url)));
    assert_eq!(found, fingerprint(&[&packed]));
    assert_eq!(site.daemon.images("own").len(), 1);

    let plain = Upstream::plain();
    let url = put(&plain, &images::container("b"));
    let said = refusal(&client.ask("own", &wish(&url)));
    let only = format!("Only https:// is supported for image servers: {url}");
    assert_eq!(said, only);
    // Nor where a signpost leads.
    let post = plain.find("/image").unwrap();
    site.upstream.page("/image", post);
    let url = site.upstream.url() + "/image";
    let said = refusal(&client.ask("own", &wish(&url)));
    let only = format!(
        "Only https:// is supported for image servers: \"{}/file\"",
        plain.url()
    );
    assert_eq!(said, only);
    assert_eq!(plain.accepted(), 0);
}

#[test]
fn a_server_that_only_claims_to_have_an_image_opens_none() {
    if !beyond_lxd("it takes a server's word for it") {
        return;
    }
    let site = Site::start();
    let client = restricted(&site.daemon, "127.0.0.1");
    for protocol in PROTOCOLS {
        let offer = protocol.offer(&site.upstream, "secret");
        // Another project has it; the server knows its fingerprint, and not its bytes.
        if site.daemon.images("default").is_empty() {
            site.daemon.import(&offer.bytes);
        }
        site.upstream
            .page(&offer.file, Page::bare(vec![0; offer.bytes.len()]));
        let said = refusal(&client.ask("own", &json!({"source": offer.source})));
        assert!(said.contains("match"), "{protocol:?}: {said}");
        assert!(site.daemon.images("own").is_empty());
        // Who has the bytes gives nothing away.
        protocol.put(&site.upstream, &offer.bytes);
        let body = json!({"source": offer.source});
        assert_eq!(fingerprint_of(&client.ask("own", &body)), offer.fingerprint);
        let path = format!("/1.0/images/{}?project=own", offer.fingerprint);
        let gone = client.finished(&client.delete(&path));
        assert_eq!(gone["status"], "Success");
    }
}

#[test]
fn a_file_without_end_is_bounded_by_the_projects_limit() {
    if !beyond_lxd("it goes on") {
        return;
    }
    let site = Site::start();
    let body = json!({"name": "small", "config": {"limits.disk": "1000000B"}});
    assert_eq!(site.daemon.post("/1.0/projects", &body).status, 201);
    let url = put(&site.upstream, &images::container("a"));
    site.upstream.act_times("/file", Act::Endless, 1);
    let said = refusal(&site.daemon.ask("small", &wish(&url)));
    assert!(said.contains("exceeding quota of 1000000"), "{said}");
    fingerprint_of(&site.daemon.ask("small", &wish(&url)));
}

#[test]
fn hostile_lxd_servers_name_no_files_here() {
    if !beyond_lxd("it takes some of them") {
        return;
    }
    let site = Site::start();
    let offer = Protocol::Lxd.offer(&site.upstream, "a");
    let about = site.upstream.find(&offer.described).unwrap();
    let found = &offer.fingerprint;
    for other in [
        "../../../../tmp/escape".to_owned(),
        found[..63].to_owned(),
        found.to_uppercase(),
        format!("{found}/"),
        String::new(),
        "0".repeat(64),
    ] {
        site.upstream
            .page(&offer.described, about.replaced(found, &other));
        let said = refusal(&site.daemon.ask("default", &json!({"source": offer.source})));
        let prefix = "Failed getting remote image info: Image fingerprint";
        assert!(said.starts_with(prefix), "{other}: {said}");
    }
    assert!(site.upstream.seen_at(&offer.file).is_empty());
}
