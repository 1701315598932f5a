//! Images taken from another LXD server.

use std::thread;

use serde_json::{Value, json};

use crate::support::{
    Events, Lximaged, Options, Request, beyond_lxd, fingerprint,
    image_api::{fingerprint_of, refusal},
    images,
    multipart::Multipart,
    pulls::{Pair, certificate},
    trust::{NOT_ALLOWED, project, restricted},
    upstream::{Act, Page, Site, offers::of_lxd},
};

#[test]
fn a_public_image_comes_by_its_alias_which_is_remembered() {
    let pair = Pair::start();
    let packed = images::container("a");
    let headers = [
        ("X-LXD-public", "1"),
        ("X-LXD-filename", "a.tar"),
        ("X-LXD-properties", "os=Mine"),
    ];
    let found = fingerprint_of(&pair.source.import_with(&packed, &headers));
    pair.source.alias("a", &found);
    let operation = pair.pull(&json!({"alias": "a"}));
    assert_eq!(fingerprint_of(&operation), found);
    assert_eq!(operation["metadata"]["size"], packed.len().to_string());
    let (there, here) = (pair.source.image(&found), pair.target.image(&found));
    for same in [
        "properties",
        "architecture",
        "type",
        "filename",
        "size",
        "created_at",
        "expires_at",
        "profiles",
    ] {
        assert_eq!(here[same], there[same], "{same}");
    }
    assert_eq!(
        [&here["public"], &here["cached"], &here["auto_update"]],
        [false, false, false]
    );
    assert_eq!(here["aliases"], json!([]));
    assert_eq!(
        here["update_source"],
        json!({"alias": "a", "certificate": certificate(&pair.source), "protocol": "lxd",
            "server": pair.url(), "image_type": ""})
    );
    assert_eq!(pair.target.export(&found).files, [packed]);
}

#[test]
fn a_fingerprint_is_one_certain_image_and_the_beginning_of_one_a_name() {
    let pair = Pair::start();
    let found = pair.source.import_public(&images::container("a"));
    assert_eq!(
        fingerprint_of(&pair.pull(&json!({"fingerprint": found}))),
        found
    );
    assert_eq!(pair.target.image(&found)["update_source"], Value::Null);
    pair.target.remove_image(&found);
    let beginning = &found[..9];
    assert_eq!(
        fingerprint_of(&pair.pull(&json!({"fingerprint": beginning}))),
        found
    );
    let source = &pair.target.image(&found)["update_source"];
    assert_eq!(source["alias"], *beginning);
}

#[test]
fn what_the_request_says_counts_here() {
    let pair = Pair::start();
    let found = pair.source.import_public(&images::container("a"));
    pair.source.alias("a", &found);
    let more = json!({"public": true, "auto_update": true, "filename": "mine.tar",
        "properties": {"added": "1"}, "aliases": [{"name": "mine", "description": "my own"}]});
    let mut events = Events::listen(&pair.target, "?type=lifecycle");
    let operation = pair.pull_as(&pair.target, "default", &json!({"alias": "a"}), &more);
    assert_eq!(fingerprint_of(&operation), found);
    let image = pair.target.image(&found);
    assert_eq!([&image["public"], &image["auto_update"]], [true, true]);
    assert_eq!(image["filename"], "mine.tar");
    assert_eq!(image["properties"]["added"], "1");
    assert_eq!(
        image["aliases"],
        json!([{"name": "mine", "description": "my own"}])
    );
    events.action("image-alias-created");
    let created = |event: &&Value| event["metadata"]["action"] == "image-created";
    assert_eq!(events.seen().iter().filter(created).count(), 1);
}

#[test]
fn an_image_that_is_here_is_no_error_and_gets_what_is_asked_for() {
    let pair = Pair::start();
    let found = pair.source.import_public(&images::container("a"));
    pair.pull(&json!({"fingerprint": found}));
    let more = json!({"properties": {"added": "1"}, "public": true,
        "aliases": [{"name": "again", "description": ""}]});
    let source = json!({"fingerprint": found});
    let operation = pair.pull_as(&pair.target, "default", &source, &more);
    assert_eq!(fingerprint_of(&operation), found);
    let image = pair.target.image(&found);
    assert_eq!(
        (&image["properties"]["added"], &image["public"]),
        (&json!("1"), &json!(true))
    );
    assert_eq!(image["aliases"][0]["name"], "again");
    let operation = pair.pull_as(&pair.target, "default", &source, &more);
    assert_eq!(refusal(&operation), "Alias already exists: again");
}

#[test]
fn split_images_stay_split_and_machines_stay_machines() {
    let pair = Pair::start();
    for (root, kind, content) in [
        ("rootfs", "container", images::rootfs_tar("a")),
        ("rootfs.img", "virtual-machine", images::qcow2()),
    ] {
        let found = fingerprint_of(&pair.source.import_parts(&Multipart::split(
            &images::metadata_tar(kind),
            root,
            &content,
        )));
        let source = json!({"fingerprint": found, "secret": pair.secret(&found)});
        assert_eq!(fingerprint_of(&pair.pull(&source)), found);
        assert_eq!(pair.target.image(&found)["type"], kind);
        let files = pair.target.export(&found).files;
        assert_eq!(files, [images::metadata_tar(kind), content]);
    }
}

#[test]
fn a_private_image_needs_its_secret_even_if_another_project_has_it() {
    if !beyond_lxd("it does not look at the secret when it has the files") {
        return;
    }
    let pair = Pair::start();
    let packed = images::container("a");
    let found = pair.source.import(&packed);
    pair.target.import(&packed);
    project(&pair.target, "p1");
    for source in [
        json!({"fingerprint": found}),
        json!({"fingerprint": found, "secret": "wrong"}),
    ] {
        let operation = pair.pull_as(&pair.target, "p1", &source, &json!({}));
        let expected = "Failed getting remote image info: Image not found";
        assert_eq!(refusal(&operation), expected);
    }
    assert_eq!(pair.target.images("p1").len(), 0);
    let source = json!({"fingerprint": found, "secret": pair.secret(&found)});
    let operation = pair.pull_as(&pair.target, "p1", &source, &json!({}));
    assert_eq!(fingerprint_of(&operation), found);
}

#[test]
fn a_server_that_is_trusted_there_needs_no_secret_for_its_administrator() {
    if !beyond_lxd("it never shows who it is") {
        return;
    }
    let pair = Pair::start();
    let found = pair.source.import(&images::container("a"));
    let pem = certificate(&pair.target);
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let body = json!({"name": "target", "type": "client", "certificate": base64});
    assert_eq!(pair.source.post("/1.0/certificates", &body).status, 201);
    assert_eq!(
        fingerprint_of(&pair.pull(&json!({"fingerprint": found}))),
        found
    );
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let pair = Pair::start();
    let found = pair.source.import_public(&images::container("a"));
    pair.source.alias("alpine/3.18", &found);
    let said = refusal(&pair.pull(&json!({"alias": "alpine/3.81"})));
    assert!(
        said.starts_with("Failed getting remote image info: Image not found"),
        "{said}"
    );
    if beyond_lxd("it does not") {
        assert!(said.ends_with("(there are: alpine/3.18)"), "{said}");
    }
    let source = json!({"alias": "alpine/3.18", "image_type": "virtual-machine"});
    let said = refusal(&pair.pull(&source));
    assert!(
        said.starts_with("Failed getting remote image info: Image not found"),
        "{said}"
    );
}

#[test]
fn sources_that_make_no_sense_are_refused_in_lxds_words() {
    let pair = Pair::start();
    let nowhere = "https://127.0.0.1:1";
    let refused = "Unable to connect to: 127.0.0.1:1 \
        ([dial tcp 127.0.0.1:1: connect: connection refused])";
    for (source, expected) in [
        (
            json!({}),
            "must specify one of alias or fingerprint for init from image".to_owned(),
        ),
        (
            json!({"alias": "a", "server": ""}),
            "Failed to connect to LXD server \"\": Get \"/1.0\": \
                unsupported protocol scheme \"\""
                .to_owned(),
        ),
        (
            json!({"alias": "a", "protocol": "alien"}),
            "Unsupported protocol: alien".to_owned(),
        ),
        (
            json!({"alias": "a", "certificate": "garbage"}),
            format!(
                "Failed to connect to LXD server \"{}\": Invalid remote certificate",
                pair.url()
            ),
        ),
        (
            json!({"alias": "a", "certificate": ""}),
            format!(
                "Failed to connect to LXD server \"{0}\": Get \"{0}/1.0\": \
                    x509: certificate signed by unknown authority",
                pair.url()
            ),
        ),
        (
            json!({"alias": "a", "certificate": certificate(&pair.target)}),
            format!(
                "Failed to connect to LXD server \"{0}\": Get \"{0}/1.0\": \
                    x509: certificate signed by unknown authority",
                pair.url()
            ),
        ),
        (
            json!({"alias": "a", "server": nowhere}),
            format!(
                "Failed to connect to LXD server \"{nowhere}\": Get \"{nowhere}/1.0\": {refused}"
            ),
        ),
    ] {
        assert_eq!(refusal(&pair.pull(&source)), expected);
    }
    assert_eq!(pair.target.images("default").len(), 0);
}

#[test]
fn many_who_ask_for_one_image_cause_one_download() {
    if !beyond_lxd("it counts otherwise") {
        return;
    }
    let pair = Pair::start();
    let packed = images::container_of_size("a", 24 << 20);
    let found = pair.source.import_public(&packed);
    pair.source.alias("a", &found);
    project(&pair.target, "p1");
    let mut events = Events::listen(&pair.source, "?type=lifecycle");
    let pull = |number: usize| {
        let project = ["default", "p1"][number % 2];
        let named = [json!({"alias": "a"}), json!({"fingerprint": found})][number / 2 % 2].clone();
        let body = json!({"source": pair.from(&named)});
        let answer = pair
            .target
            .post(&format!("/1.0/images?project={project}"), &body);
        pair.target.finished(&answer)
    };
    let ended: Vec<Value> = thread::scope(|scope| {
        let pull = &pull;
        #[expect(
            clippy::needless_collect,
            reason = "all are begun before one is waited for"
        )]
        let pulls: Vec<_> = (0..32)
            .map(|number| scope.spawn(move || pull(number)))
            .collect();
        pulls.into_iter().map(|pull| pull.join().unwrap()).collect()
    });
    for operation in &ended {
        assert_eq!(fingerprint_of(operation), found);
    }
    for project in ["default", "p1"] {
        assert_eq!(pair.target.images(project).len(), 1, "{project}");
    }
    assert_eq!(pair.target.names("images"), std::slice::from_ref(&found));
    // The last event of the source: all before it have come by then.
    pair.source.alias("end", &found);
    events.find(|event| event["metadata"]["action"] == "image-alias-created");
    let fetched = |event: &&Value| event["metadata"]["action"] == "image-retrieved";
    assert_eq!(events.seen().iter().filter(fetched).count(), 1);
}

#[test]
fn two_projects_share_the_files_of_an_image() {
    let pair = Pair::start();
    let found = pair.source.import_public(&images::container("a"));
    pair.source.alias("a", &found);
    project(&pair.target, "p1");
    pair.pull(&json!({"alias": "a"}));
    let more = json!({"auto_update": true});
    let operation = pair.pull_as(&pair.target, "p1", &json!({"alias": "a"}), &more);
    assert_eq!(fingerprint_of(&operation), found);
    let image = &pair.target.images("p1")[0];
    if beyond_lxd("it takes the flag from the other project") {
        assert_eq!(image["auto_update"], true);
    }
    assert_eq!(image["update_source"]["alias"], "a");
    assert_eq!(pair.target.names("images").len(), 1);
}

#[test]
fn a_project_without_room_is_told_before_anything_is_fetched() {
    let pair = Pair::start();
    let found = pair
        .source
        .import_public(&images::container_of_size("a", 1 << 20));
    let size = pair.source.image(&found)["size"].clone();
    let body = json!({"name": "small", "config": {"limits.disk": "1000000B"}});
    assert_eq!(pair.target.post("/1.0/projects", &body).status, 201);
    let source = json!({"fingerprint": found});
    let said = refusal(&pair.pull_as(&pair.target, "small", &source, &json!({})));
    let expected = format!("Remote image with size {size} exceeds allowed budget of 1000000");
    assert_eq!(said.replace("bugdget", "budget"), expected);
    assert!(pair.target.names("images").is_empty());
}

#[test]
fn a_pull_tells_how_far_it_is_and_can_be_ended() {
    let pair = Pair::start();
    // Large enough to be caught on its way.
    let found = pair
        .source
        .import_public(&images::container_of_size("a", 200 << 20));
    let mut events = Events::listen(&pair.target, "?type=operation");
    let body = json!({"source": pair.from(&json!({"fingerprint": found}))});
    let answer = pair.target.post("/1.0/images", &body);
    assert_eq!(answer.operation()["may_cancel"], false);
    let event = events.find(|event| {
        let told = &event["metadata"]["metadata"]["download_progress"];
        told.as_str()
            .is_some_and(|text| text.contains("% (") && text.ends_with("B/s)"))
    });
    assert_eq!(event["metadata"]["may_cancel"], true);
    let id = answer.operation()["id"].as_str().unwrap().to_owned();
    pair.target
        .delete(&format!("/1.0/operations/{id}"))
        .is_done();
    assert_eq!(pair.target.finished(&answer)["status"], "Cancelled");
    assert!(pair.target.images("default").is_empty());
    let is_empty = || pair.target.names("staging").is_empty();
    assert!(crate::support::soon(crate::support::PATIENCE, is_empty));
    assert_eq!(
        fingerprint_of(&pair.pull(&json!({"fingerprint": found}))),
        found
    );
}

#[test]
fn a_daemon_that_is_killed_while_it_downloads_begins_anew() {
    let mut pair = Pair::start();
    let found = pair
        .source
        .import_public(&images::container_of_size("a", 100 << 20));
    let mut events = Events::listen(&pair.target, "?type=operation");
    let body = json!({"source": pair.from(&json!({"fingerprint": found}))});
    pair.target.post("/1.0/images", &body);
    events.find(|event| event["metadata"]["metadata"]["download_progress"].is_string());
    pair.target.kill9();
    pair.target.boot();
    assert!(pair.target.images("default").is_empty());
    assert!(pair.target.names("images").is_empty() && pair.target.names("staging").is_empty());
    assert_eq!(
        fingerprint_of(&pair.pull(&json!({"fingerprint": found}))),
        found
    );
}

#[test]
fn a_server_pulls_from_itself_between_projects() {
    let daemon = Lximaged::start();
    let address = daemon.listen();
    let found = daemon.import_public(&images::container("a"));
    daemon.alias("a", &found);
    project(&daemon, "p1");
    let source = json!({"type": "image", "mode": "pull", "server": format!("https://{address}"),
        "certificate": certificate(&daemon), "alias": "a", "project": "default"});
    let answer = daemon.post("/1.0/images?project=p1", &json!({ "source": source }));
    if beyond_lxd("it calls a protocol that is not named an invalid one") {
        assert_eq!(fingerprint_of(&daemon.finished(&answer)), found);
        assert_eq!(daemon.images("p1")[0]["update_source"]["protocol"], "lxd");
    }
}

#[test]
fn a_pushed_image_arrives_as_it_was_announced() {
    let pair = Pair::start();
    let packed = images::container("a");
    let found = pair.source.import(&packed);
    let more = json!({"public": true, "properties": {"os": "Pushed"},
        "aliases": [{"name": "pushed", "description": "d"}]});
    let secret = pair.token(&found, &more);
    let reference = if crate::support::against_lxd() {
        &found[..]
    } else {
        &found[..12]
    };
    assert_eq!(pair.push(reference, &secret)["status"], "Success");
    let image = pair.target.image(&found);
    assert_eq!(
        (&image["public"], &image["properties"]),
        (&json!(true), &json!({"os": "Pushed"}))
    );
    assert_eq!(
        image["aliases"],
        json!([{"name": "pushed", "description": "d"}])
    );
    assert_eq!(image["filename"], *found);
    assert_eq!(pair.target.export(&found).files, [packed]);
}

#[test]
fn a_pushed_machine_stays_a_machine() {
    if !beyond_lxd("it makes a container of it") {
        return;
    }
    let pair = Pair::start();
    let parts = Multipart::split(&images::metadata_tar("vm"), "rootfs.img", &images::qcow2());
    let found = fingerprint_of(&pair.source.import_parts(&parts));
    let secret = pair.token(&found, &json!({}));
    assert_eq!(pair.push(&found, &secret)["status"], "Success");
    assert_eq!(pair.target.image(&found)["type"], "virtual-machine");
    assert_eq!(pair.target.export(&found).files[1], images::qcow2());
}

#[test]
fn a_push_to_a_server_that_takes_nothing_or_tells_nothing_ends() {
    if !beyond_lxd("it does not") {
        return;
    }
    let site = Site::with(Options::default().arg("--remote-idle-seconds").arg("2"));
    let image = images::container_of_size("a", 16 << 20);
    let found = site.daemon.import(&image);
    of_lxd(&site.upstream, "container", &image, None);
    let body = json!({"target": site.upstream.url(), "secret": "x",
        "certificate": site.upstream.pem()});
    let path = format!("/1.0/images/{found}/export");
    let push = || refusal(&site.daemon.finished(&site.daemon.post(&path, &body)));
    site.upstream.act_times("/1.0/images", Act::Silent, 1);
    let said = push();
    assert!(said.ends_with("nothing was taken for 2 seconds"), "{said}");

    // It takes all of it, and then says the same again and again.
    let small = site.daemon.import(&images::container("b"));
    let path = format!("/1.0/images/{small}/export");
    let push = || refusal(&site.daemon.finished(&site.daemon.post(&path, &body)));
    let say = |path: &str, code: u16| {
        let operation = json!({"id": "o", "status_code": code, "status": "Running"});
        let page = Page::json(&json!({"type": "sync", "status_code": 200, "metadata": operation}));
        site.upstream.page(path, page);
    };
    say("/1.0/images", 103);
    say("/1.0/operations/o/wait", 0);
    let said = push();
    assert!(said.ends_with("an operation with the status 0"), "{said}");
}

#[test]
fn a_push_that_cannot_be_is_told() {
    let pair = Pair::start();
    let found = pair.source.import(&images::container("a"));
    assert_eq!(refusal(&pair.push(&found, "wrong")), "not authorized");
    // The other server has it already.
    pair.target.import(&images::container("a"));
    let secret = pair.token(&found, &json!({}));
    let expected = "Failed operation \"Failure\": \"Image with same fingerprint already exists\"";
    assert_eq!(refusal(&pair.push(&found, &secret)), expected);

    let path = format!("/1.0/images/{found}/export");
    for (body, expected) in [
        (
            json!({}),
            "Get \"/1.0\": unsupported protocol scheme \"\"".to_owned(),
        ),
        (
            json!({"target": pair.url(), "certificate": "x"}),
            "Invalid remote certificate".to_owned(),
        ),
    ] {
        pair.source.post(&path, &body).is_error(500, &expected);
    }
    let missing = fingerprint(&[b"nothing"]);
    pair.source
        .post(
            &format!("/1.0/images/{missing}/export"),
            &json!({"target": pair.url()}),
        )
        .is_error(404, "Image not found");
}

#[test]
fn bodies_that_are_no_requests_are_told_so() {
    let daemon = Lximaged::start();
    let found = daemon.import(&images::container("a"));
    let request = Request::new("POST", &format!("/1.0/images/{found}/export")).body("{");
    let answer = daemon.send(&request);
    answer.is_error(500, "Get \"/1.0\": unsupported protocol scheme \"\"");
}

#[test]
fn a_restricted_client_reaches_no_inner_addresses_by_any_door() {
    if !beyond_lxd("it connects anywhere for anybody") {
        return;
    }
    let daemon = Lximaged::start();
    let client = restricted(&daemon, "");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let request = Request::new("POST", "/1.0/images?project=own").body(images::container("a"));
    let found = fingerprint_of(&client.finished(&client.send(&request)));
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "0.0.0.0",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "100.64.0.1",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "no-such-host.invalid",
    ];
    for host in hosts {
        let url = format!("https://{host}:{port}");
        for source in [
            json!({"type": "image", "protocol": "lxd", "server": url, "alias": "a"}),
            json!({"type": "image", "protocol": "simplestreams", "server": url, "alias": "a"}),
            json!({"type": "image", "protocol": "direct", "server": url, "alias": found}),
            json!({"type": "url", "url": url}),
            json!({"type": "url", "url": url.replace("https", "http")}),
        ] {
            let body = json!({ "source": source });
            let answer = client.post("/1.0/images?project=own", &body);
            answer.is_error(403, NOT_ALLOWED);
        }
        let push = json!({"target": url, "secret": "x"});
        let path = format!("/1.0/images/{found}/export?project=own");
        client.post(&path, &push).is_error(403, NOT_ALLOWED);
    }
    assert!(listener.accept().is_err(), "nobody has connected");
}

#[test]
fn an_administrator_opens_a_server_to_a_project() {
    if !beyond_lxd("it connects anywhere for anybody") {
        return;
    }
    let pair = Pair::with(Options::default().expect_error("failed to update the image"));
    let client = restricted(&pair.target, "");
    let found = pair.source.import_public(&images::container("a"));
    pair.source.alias("a", &found);
    let body = json!({"source": pair.from(&json!({"alias": "a"})), "auto_update": true});
    let path = "/1.0/images?project=own";
    client.post(path, &body).is_error(403, NOT_ALLOWED);
    let servers = |list: &str| {
        let config = json!({"config": {"restricted.images.servers": list}});
        pair.target.patch("/1.0/projects/own", &config).is_done();
    };
    servers(&format!("images.example.org,{}", pair.address));
    assert_eq!(
        fingerprint_of(&client.finished(&client.post(path, &body))),
        found
    );

    // What was named by somebody restricted stays so, whoever looks after it.
    servers("");
    let refresh = format!("/1.0/images/{found}/refresh?project=own");
    let operation = pair
        .target
        .finished(&pair.target.post(&refresh, &json!({})));
    assert_eq!(operation["metadata"]["refreshed"], false);
    let error = operation["metadata"]["error"].as_str().unwrap();
    assert!(error.ends_with(NOT_ALLOWED), "{error}");
}

#[test]
fn a_fingerprint_alone_opens_no_image_of_another_project() {
    if !beyond_lxd("it takes a server's word for it") {
        return;
    }
    // The server has the image, but is not known for it: its bytes have to come from there.
    let pair = Pair::start();
    let client = restricted(&pair.target, "");
    let config = json!({"config": {"restricted.images.servers": pair.address.to_string()}});
    pair.target.patch("/1.0/projects/own", &config).is_done();
    let packed = images::container("secret");
    pair.target.import(&packed);
    let found = pair.source.import_public(&packed);
    let mut events = Events::listen(&pair.source, "?type=lifecycle");
    let operation = pair.pull_as(&client, "own", &json!({"fingerprint": found}), &json!({}));
    assert_eq!(fingerprint_of(&operation), found);
    events.action("image-retrieved");
    assert_eq!(pair.target.names("images").len(), 1);
}
