//! What other servers do wrong, for each protocol: the error says what and where, nothing is left
//! behind, and the next try at a good server succeeds.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{
    Lximaged, Options, PATIENCE, beyond_lxd, fingerprint, images, soon,
    upstream::{
        Act, Page, Upstream, authority,
        offers::{Offer, PROTOCOLS, Protocol},
        streams::INDEX,
    },
};

/// A server with one image, and something wrong with it.
struct Scene {
    upstream: Upstream,
    protocol: Protocol,
    offer: Offer,
    /// How often it goes wrong.
    times: usize,
}

/// Something that goes wrong.
struct Fault {
    name: &'static str,
    set: fn(&Scene),
    /// What comes of it with simplestreams, LXD's protocol, URLs.
    outcomes: [Outcome; 3],
}

/// What comes of a fault. In texts `*` stands for anything, `FILE` for the URL of the image's
/// file, `ABOUT` for that of its description.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// It is told.
    Fails(&'static str),
    /// It is told when it goes on; if it happens once, the download goes on.
    Heals(&'static str),
    /// It does no harm.
    Harmless,
    /// It cannot be, and why.
    Senseless(&'static str),
}

use Outcome::{Fails, Harmless, Heals, Senseless};

const NO_SIZE: &str = "nobody announces the size of a file behind a URL: its hash is its bound";
const NOT_SPLIT: &str = "images behind URLs are of one piece";

const FAULTS: &[Fault] = &[
    Fault {
        name: "reset before the answer",
        set: |scene| scene.act(Act::Refuse),
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "reset at the first byte",
        set: |scene| scene.act(Act::Reset(1)),
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "reset in the middle",
        set: |scene| scene.act(Act::Reset(scene.middle())),
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "reset at the last byte",
        set: |scene| scene.act(Act::Reset(scene.offer.bytes.len() - 1)),
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "stall",
        set: |scene| scene.act(Act::Stall(scene.middle())),
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "truncated, with a length",
        set: |scene| scene.act(Act::Close(scene.middle())),
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "truncated, without a length",
        set: |scene| scene.act(Act::Unframed(scene.middle())),
        outcomes: [Heals("*"), Heals("*"), Fails("*")],
    },
    Fault {
        name: "one bit flipped",
        set: |scene| {
            let mut bytes = scene.offer.bytes.clone();
            bytes[2000] ^= 1;
            scene.say(Page::file(bytes));
        },
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "another image's hash",
        set: |scene| scene.lie(),
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "longer than announced",
        set: |scene| {
            let mut bytes = scene.offer.bytes.clone();
            bytes.push(0);
            scene.say(Page::file(bytes));
        },
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "endless",
        set: |scene| scene.act(Act::Endless),
        outcomes: [Fails("*"), Fails("*"), Senseless(NO_SIZE)],
    },
    Fault {
        name: "compressed",
        set: |scene| {
            let bomb = images::gzip(&vec![0; 1 << 20]);
            scene.say(Page::file(bomb).header("Content-Encoding", "gzip"));
        },
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "a page for people",
        set: |scene| scene.say(Page::file("<html>Welcome to our guest network!</html>")),
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "404",
        set: |scene| scene.say(Page::status(404)),
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "500",
        set: |scene| scene.say(Page::status(500)),
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "503",
        set: |scene| scene.say(Page::status(503)),
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "redirected in a circle",
        set: |scene| scene.say(Page::redirect(&scene.offer.file)),
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "a byte a second",
        set: |scene| scene.act(Act::Drip),
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "too short a length",
        set: |scene| {
            let length = (scene.offer.bytes.len() - 1).to_string();
            scene.say(Page::file(&scene.offer.bytes).header("Content-Length", &length));
        },
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "the whole file where its end is asked for",
        set: |scene| {
            let file = &scene.offer.file;
            scene
                .upstream
                .act_times(file, Act::Reset(scene.middle()), 1);
            scene.upstream.act_times(file, Act::WholeAgain, 1);
        },
        outcomes: [Harmless, Harmless, Harmless],
    },
    Fault {
        name: "two lengths",
        set: |scene| {
            let length = scene.offer.bytes.len();
            let mut raw =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Length: 7\r\n\r\n");
            raw.push_str("never");
            scene.act(Act::Raw(raw.into_bytes()));
        },
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "a header of a MiB",
        set: |scene| {
            let noise = "a".repeat(1 << 20);
            let raw = format!("HTTP/1.1 200 OK\r\nX-Noise: {noise}\r\n\r\n");
            scene.act(Act::Raw(raw.into_bytes()));
        },
        outcomes: [Heals("*"), Heals("*"), Heals("*")],
    },
    Fault {
        name: "a description that is a page for people",
        set: |scene| scene.describe(Page::file("<html>Welcome</html>")),
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "a description that is compressed",
        set: |scene| {
            let page = Page::file(images::gzip(&vec![b'['; 1 << 20]));
            scene.describe(page.header("Content-Encoding", "gzip"));
        },
        outcomes: [Fails("*"), Fails("*"), Fails("*")],
    },
    Fault {
        name: "a description that never ends",
        set: |scene| scene.upstream.act(&scene.offer.described, Act::Endless),
        outcomes: [
            Fails("*"),
            Fails("*"),
            Senseless("a signpost is a head only"),
        ],
    },
    Fault {
        name: "a description that stalls",
        set: |scene| scene.upstream.act(&scene.offer.described, Act::Stall(0)),
        outcomes: [
            Fails("*"),
            Fails("*"),
            Senseless("a signpost is a head only"),
        ],
    },
];

impl Scene {
    fn new(protocol: Protocol, marker: &str, times: usize) -> Self {
        let upstream = Upstream::start();
        let offer = protocol.offer(&upstream, marker);
        Self {
            upstream,
            protocol,
            offer,
            times,
        }
    }

    /// Does something at the image's file.
    fn act(&self, act: Act) {
        self.upstream.act_times(&self.offer.file, act, self.times);
    }

    /// Says something instead of the image's file.
    fn say(&self, page: Page) {
        self.act(Act::Say(page));
    }

    /// Says something instead of the image's description.
    fn describe(&self, page: Page) {
        self.upstream.act(&self.offer.described, Act::Say(page));
    }

    fn middle(&self) -> usize {
        self.offer.bytes.len() / 2
    }

    /// Gives the image out as another one.
    fn lie(&self) {
        let (own, other) = (&self.offer.fingerprint, fingerprint(&[b"another image"]));
        let upstream = &self.upstream;
        let moved = |page: Page| Page {
            body: String::from_utf8_lossy(&page.body)
                .replace(own, &other)
                .as_bytes()
                .into(),
            headers: page
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.replace(own, &other)))
                .collect(),
            ..page
        };
        for path in [&self.offer.described, "/1.0/images/aliases/a"] {
            if let Some(page) = upstream.find(path) {
                upstream.page(&path.replace(own, &other), moved(page));
            }
        }
        let file = upstream.find(&self.offer.file).unwrap();
        upstream.page(&self.offer.file.replace(own, &other), file);
    }

    fn expand(&self, text: &str) -> String {
        let url = self.upstream.url();
        text.replace("FILE", &format!("{url}{}", self.offer.file))
            .replace("ABOUT", &format!("{url}{}", self.offer.described))
    }

    fn ask(&self, daemon: &Lximaged) -> crate::support::Answer {
        daemon.post("/1.0/images", &json!({"source": self.offer.source}))
    }
}

/// Whether a text is like a pattern in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let pieces: Vec<_> = pattern.split('*').collect();
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return false;
    };
    if pieces.len() == 1 {
        return text == pattern;
    }
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for piece in &pieces[1..pieces.len() - 1] {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

fn daemon() -> Lximaged {
    let options = Options::default().authority(authority().pem());
    options.arg("--remote-idle-seconds").arg("1").start()
}

/// What is not as it should be about the end of an operation.
fn wrong(scene: &Scene, operation: &Value, expected: Option<&str>) -> Option<String> {
    let (status, err) = (&operation["status"], operation["err"].as_str().unwrap());
    match expected {
        None if status == "Success" => None,
        Some(text) if status == "Failure" && is_like(err, &scene.expand(text)) => None,
        _ => Some(format!(
            "{status} {err:?}, expected {:?}",
            expected.map(|text| scene.expand(text))
        )),
    }
}

fn matrix(protocol: Protocol) {
    let column = PROTOCOLS.iter().position(|it| *it == protocol).unwrap();
    let daemon = daemon();
    let mut scenes = Vec::new();
    for fault in FAULTS {
        let (always, once) = match fault.outcomes[column] {
            Fails(text) => (Some(Some(text)), None),
            Heals(text) => (Some(Some(text)), Some(None)),
            Harmless => (None, Some(None)),
            Senseless(_) => (None, None),
        };
        for (times, expected) in [(usize::MAX, always), (1, once)] {
            let Some(expected) = expected else { continue };
            let scene = Scene::new(protocol, &format!("{} {times}", fault.name), times);
            (fault.set)(&scene);
            scenes.push((fault.name, scene, expected));
        }
    }
    let asked: Vec<_> = scenes
        .iter()
        .map(|(_, scene, _)| scene.ask(&daemon))
        .collect();
    let mut failures = String::new();
    for ((name, scene, expected), answer) in scenes.iter().zip(&asked) {
        let operation = daemon.finished(answer);
        if let Some(wrong) = wrong(scene, &operation, *expected) {
            writeln!(failures, "{name}: {wrong}").unwrap();
        }
        println!(
            "{name} {}: {} {}",
            scene.times, operation["status"], operation["err"]
        );
    }
    assert!(failures.is_empty(), "{protocol:?}:\n{failures}");
}

#[test]
fn faults_of_simplestreams_servers() {
    matrix(Protocol::Streams);
}

#[test]
fn faults_of_lxd_servers() {
    matrix(Protocol::Lxd);
}

#[test]
fn faults_behind_urls() {
    matrix(Protocol::Url);
}
