//! What other servers do wrong, for each protocol: the error says what and where, nothing is left
//! behind, and the next try at a good server succeeds.

use std::{fmt::Write as _, thread};

use serde_json::{Value, json};

use crate::support::{
    Lximaged, Options, PATIENCE, beyond_lxd, fingerprint,
    image_api::fingerprint_of,
    images, soon,
    upstream::{
        Act, Page, Upstream, authority,
        offers::{Offer, PROTOCOLS, Protocol},
        streams::{PRODUCTS, Tree},
    },
};

/// A server with one image, and something wrong with it.
struct Scene {
    upstream: Upstream,
    protocol: Protocol,
    offer: Offer,
    /// The image when all is well.
    image: Vec<u8>,
    /// How often it goes wrong.
    times: usize,
}

/// Something that goes wrong.
struct Fault {
    name: &'static str,
    set: fn(&mut Scene),
    /// What comes of it with simplestreams, LXD's protocol, URLs.
    outcomes: [Outcome; 3],
}

/// What comes of a fault. In texts `*` stands for anything, `FILE` for the URL of the image's
/// file, `ABOUT` for that of its description, `SERVER` for the server's.
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
const HEAD_ONLY: &str = "a signpost is a head without a body";
const NOT_SPLIT: &str = "images behind URLs are of one piece";

const FAULTS: &[Fault] = &[
    Fault {
        name: "reset before the answer",
        set: |scene| scene.act(Act::Refuse),
        outcomes: [
            Heals("Get \"FILE\": Connection reset by peer*"),
            Heals("Get \"FILE\": Connection reset by peer*"),
            Heals("Get \"FILE\": Connection reset by peer*"),
        ],
    },
    Fault {
        name: "reset at the first byte",
        set: |scene| scene.act(Act::Reset(1)),
        outcomes: [
            Heals("Get \"FILE\": Connection reset by peer*"),
            Heals("Get \"FILE\": Connection reset by peer*"),
            Heals("Get \"FILE\": Connection reset by peer*"),
        ],
    },
    Fault {
        name: "reset in the middle",
        set: |scene| scene.act(Act::Reset(scene.middle())),
        outcomes: [
            Heals("Get \"FILE\": Connection reset by peer*"),
            Heals("Get \"FILE\": Connection reset by peer*"),
            Heals("Get \"FILE\": Connection reset by peer*"),
        ],
    },
    Fault {
        name: "reset at the last byte",
        set: |scene| scene.act(Act::Reset(scene.offer.bytes.len() - 1)),
        outcomes: [
            Heals("Get \"FILE\": Connection reset by peer*"),
            Heals("Get \"FILE\": Connection reset by peer*"),
            Heals("Get \"FILE\": Connection reset by peer*"),
        ],
    },
    Fault {
        name: "truncated, with a length",
        set: |scene| scene.act(Act::Close(scene.middle())),
        outcomes: [
            Heals("Get \"FILE\": end of file before message length reached"),
            Heals("Get \"FILE\": end of file before message length reached"),
            Heals("Get \"FILE\": end of file before message length reached"),
        ],
    },
    Fault {
        name: "truncated, without a length",
        set: |scene| scene.act(Act::Unframed(scene.middle())),
        outcomes: [
            Heals("Get \"FILE\": ended after 10240 of 20480 bytes"),
            Heals("Get \"FILE\": ended after 10240 of 20480 bytes"),
            Fails("Hash mismatch for \"FILE\": * != *"),
        ],
    },
    Fault {
        name: "one bit flipped",
        set: |scene| {
            let mut bytes = scene.offer.bytes.clone();
            bytes[2000] ^= 1;
            scene.say(Page::file(bytes));
        },
        outcomes: [
            Fails("Hash mismatch for FILE: * != *"),
            Fails("Image fingerprint doesn't match. Got * expected *, from SERVER/1.0"),
            Fails("Hash mismatch for \"FILE\": * != *"),
        ],
    },
    Fault {
        name: "another image's hash",
        set: |scene| scene.lie(),
        outcomes: [
            Fails("Hash mismatch for FILE: * != *"),
            Fails("Image fingerprint doesn't match. Got * expected *, from SERVER/1.0"),
            Fails("Hash mismatch for \"FILE\": * != *"),
        ],
    },
    Fault {
        name: "another image's combined hash",
        set: |scene| {
            let split = scene.protocol.offer_split(&scene.upstream, "split");
            scene.offer = split.unwrap();
            scene.lie();
        },
        outcomes: [
            Fails("Image fingerprint doesn't match. Got * expected *, from SERVER/"),
            Fails("Image fingerprint doesn't match. Got * expected *, from SERVER/1.0"),
            Senseless(NOT_SPLIT),
        ],
    },
    Fault {
        name: "gone between description and file",
        set: |scene| scene.move_on(),
        outcomes: [
            // The list is read again, and names what is there by now.
            Harmless,
            Fails("Unable to fetch FILE: 404 Not Found"),
            Fails("Unable to fetch \"FILE\": 404 Not Found"),
        ],
    },
    Fault {
        name: "longer than announced",
        set: |scene| {
            let mut bytes = scene.offer.bytes.clone();
            bytes.push(0);
            scene.say(Page::file(bytes));
        },
        outcomes: [
            Fails("Get \"FILE\": the file has 20481 bytes, 20480 were announced"),
            Fails("Get \"FILE\": the file has 20481 bytes, 20480 were announced"),
            Fails("Hash mismatch for \"FILE\": * != *"),
        ],
    },
    Fault {
        name: "endless",
        set: |scene| scene.act(Act::Endless),
        outcomes: [
            Fails("FILE: the file is longer than the 20480 bytes announced"),
            Fails("Get \"FILE\": the file is longer than the 20480 bytes announced"),
            Senseless(NO_SIZE),
        ],
    },
    Fault {
        name: "compressed",
        set: |scene| {
            let bomb = images::gzip(&vec![0; 1 << 20]);
            scene.say(Page::file(bomb).header("Content-Encoding", "gzip"));
        },
        outcomes: [
            Fails("Get \"FILE\": the answer is encoded (gzip), which was not asked for"),
            Fails("Get \"FILE\": the answer is encoded (gzip), which was not asked for"),
            Fails("Get \"FILE\": the answer is encoded (gzip), which was not asked for"),
        ],
    },
    Fault {
        name: "a page for people",
        set: |scene| scene.say(Page::file("<html>Welcome to our guest network!</html>")),
        outcomes: [
            Fails("Get \"FILE\": the file has 42 bytes, 20480 were announced"),
            Fails("Get \"FILE\": the file has 42 bytes, 20480 were announced"),
            Fails("Hash mismatch for \"FILE\": * != *"),
        ],
    },
    Fault {
        name: "404",
        set: |scene| scene.say(Page::status(404)),
        outcomes: [
            Fails("Unable to fetch FILE: 404 Not Found"),
            Fails("Unable to fetch FILE: 404 Not Found"),
            Fails("Unable to fetch \"FILE\": 404 Not Found"),
        ],
    },
    Fault {
        name: "500",
        set: |scene| scene.say(Page::status(500)),
        outcomes: [
            Fails("Unable to fetch FILE: 500 Internal Server Error"),
            Fails("Unable to fetch FILE: 500 Internal Server Error"),
            Fails("Unable to fetch \"FILE\": 500 Internal Server Error"),
        ],
    },
    Fault {
        name: "503",
        set: |scene| scene.say(Page::status(503)),
        outcomes: [
            Heals("Unable to fetch FILE: 503 Service Unavailable"),
            Heals("Unable to fetch FILE: 503 Service Unavailable"),
            Heals("Unable to fetch \"FILE\": 503 Service Unavailable"),
        ],
    },
    Fault {
        name: "redirected in a circle",
        set: |scene| scene.say(Page::redirect(&scene.offer.file)),
        outcomes: [
            Fails("Get \"FILE\": stopped after 5 redirects"),
            Fails("Get \"FILE\": stopped after 5 redirects"),
            Fails("Get \"FILE\": stopped after 5 redirects"),
        ],
    },
    Fault {
        name: "too short a length",
        set: |scene| {
            let length = (scene.offer.bytes.len() - 1).to_string();
            scene.say(Page::file(&scene.offer.bytes).header("Content-Length", &length));
        },
        outcomes: [
            Fails("Get \"FILE\": the file has 20479 bytes, 20480 were announced"),
            Fails("Get \"FILE\": the file has 20479 bytes, 20480 were announced"),
            Fails("Hash mismatch for \"FILE\": * != *"),
        ],
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
        outcomes: [
            Heals("Get \"FILE\": invalid content-length parsed"),
            Heals("Get \"FILE\": invalid content-length parsed"),
            Heals("Get \"FILE\": invalid content-length parsed"),
        ],
    },
    Fault {
        name: "a header of a MiB",
        set: |scene| {
            let noise = "a".repeat(1 << 20);
            let raw = format!("HTTP/1.1 200 OK\r\nX-Noise: {noise}\r\n\r\n");
            scene.act(Act::Raw(raw.into_bytes()));
        },
        outcomes: [
            Heals("Get \"FILE\": message head is too large"),
            Heals("Get \"FILE\": message head is too large"),
            Heals("Get \"FILE\": message head is too large"),
        ],
    },
    Fault {
        name: "a description that is a page for people",
        set: |scene| scene.describe(Page::file("<html>Welcome</html>")),
        outcomes: [
            Fails(
                "Failed getting remote image info: Failed getting image: Failed parsing products: Failed decoding stream JSON from \"ABOUT\": not what it should be at line 1 column 1",
            ),
            Fails(
                "Failed getting remote image info: Get \"ABOUT\": the answer is not an LXD server's",
            ),
            Fails("Missing LXD-Image-Hash header"),
        ],
    },
    Fault {
        name: "a description that is compressed",
        set: |scene| {
            let page = Page::file(images::gzip(&vec![b'['; 1 << 20]));
            scene.describe(page.header("Content-Encoding", "gzip"));
        },
        outcomes: [
            Fails(
                "Failed getting remote image info: Failed getting image: Failed parsing products: Get \"ABOUT\": the answer is encoded (gzip), which was not asked for",
            ),
            Fails(
                "Failed getting remote image info: Get \"ABOUT\": the answer is encoded (gzip), which was not asked for",
            ),
            Fails("Missing LXD-Image-Hash header"),
        ],
    },
    Fault {
        name: "a description that never ends",
        set: |scene| scene.upstream.act(&scene.offer.described, Act::Endless),
        outcomes: [
            Fails(
                "Failed getting remote image info: Failed getting image: Failed parsing products: Get \"ABOUT\": the answer is longer than 67108864 bytes",
            ),
            Fails(
                "Failed getting remote image info: Get \"ABOUT\": the answer is longer than 4194304 bytes",
            ),
            Senseless(HEAD_ONLY),
        ],
    },
];

/// What takes its time to be noticed.
const SILENCE: &[Fault] = &[
    Fault {
        name: "stall",
        set: |scene| scene.act(Act::Stall(scene.middle())),
        outcomes: [
            Heals("Get \"FILE\": nothing came for 2 seconds"),
            Heals("Get \"FILE\": nothing came for 2 seconds"),
            Heals("Get \"FILE\": nothing came for 2 seconds"),
        ],
    },
    Fault {
        name: "a byte a second",
        set: |scene| scene.act(Act::Drip),
        outcomes: [
            Heals("Get \"FILE\": too slow: * bytes came in 2 seconds"),
            Heals("Get \"FILE\": too slow: * bytes came in 2 seconds"),
            Heals("Get \"FILE\": too slow: * bytes came in 2 seconds"),
        ],
    },
    Fault {
        name: "a description that stalls",
        set: |scene| scene.upstream.act(&scene.offer.described, Act::Stall(0)),
        outcomes: [
            Fails(
                "Failed getting remote image info: Failed getting image: Failed parsing products: Get \"ABOUT\": nothing came for 2 seconds",
            ),
            Fails("Failed getting remote image info: Get \"ABOUT\": nothing came for 2 seconds"),
            Senseless(HEAD_ONLY),
        ],
    },
];

impl Scene {
    fn new(protocol: Protocol, marker: &str, times: usize) -> Self {
        let upstream = Upstream::start();
        let image = images::container_of_size(marker, 16 << 10);
        Self {
            offer: protocol.put(&upstream, &image),
            upstream,
            protocol,
            image,
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
        for path in [
            &self.offer.described,
            "/1.0/images/aliases/a",
            &self.offer.file,
        ] {
            if let Some(page) = self.upstream.find(path) {
                let other_page = page.replaced(own, &other);
                self.upstream.page(&path.replace(own, &other), other_page);
            }
        }
    }

    /// Replaces the image by another one after its description was read.
    fn move_on(&mut self) {
        self.upstream.remove(&self.offer.file);
        if self.protocol != Protocol::Streams {
            return;
        }
        let old = self.upstream.find(PRODUCTS).unwrap();
        self.upstream.act_times(PRODUCTS, Act::Say(old), 1);
        let mut tree = Tree::new(&self.upstream);
        let files = [("lxd_combined.tar.gz", &self.image[..])];
        let newer = "20240102_0000";
        tree.product("a", &json!({}))
            .version("a", newer, &files)
            .publish();
    }

    /// All is well from now on.
    fn mend(&mut self) {
        self.upstream.behave();
        self.offer = self.protocol.put(&self.upstream, &self.image);
    }

    fn expand(&self, text: &str) -> String {
        let url = self.upstream.url();
        text.replace("FILE", &format!("{url}{}", self.offer.file))
            .replace("ABOUT", &format!("{url}{}", self.offer.described))
            .replace("SERVER", &url)
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

fn options() -> Options {
    Options::default().authority(authority().pem())
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

/// A scene, the fault's name, and the error to expect; none where all is well in the end.
type Played = (Scene, &'static str, Option<&'static str>);

fn played(fault: &Fault, column: usize) -> Vec<Played> {
    let (always, once) = match fault.outcomes[column] {
        Fails(text) => (Some(Some(text)), None),
        Heals(text) => (Some(Some(text)), Some(None)),
        Harmless => (None, Some(None)),
        Senseless(why) => {
            println!("{}, {:?}: {why}", fault.name, PROTOCOLS[column]);
            (None, None)
        }
    };
    let mut scenes = Vec::new();
    for (times, expected) in [(usize::MAX, always), (1, once)] {
        let Some(expected) = expected else { continue };
        let marker = format!("{column} {} {times}", fault.name);
        let mut scene = Scene::new(PROTOCOLS[column], &marker, times);
        (fault.set)(&mut scene);
        scenes.push((scene, fault.name, expected));
    }
    scenes
}

/// Asks for the images of all scenes at once, and gives how that ended.
fn ask_all(daemon: &Lximaged, scenes: &[Played]) -> Vec<Value> {
    thread::scope(|scope| {
        let asked: Vec<_> = scenes
            .iter()
            .map(|(scene, ..)| scope.spawn(|| daemon.finished(&scene.ask(daemon))))
            .collect();
        asked
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .collect()
    })
}

fn play(daemon: &Lximaged, faults: &[Fault]) {
    let columns = 0..PROTOCOLS.len();
    let mut scenes: Vec<Played> = columns
        .flat_map(|column| faults.iter().flat_map(move |fault| played(fault, column)))
        .collect();
    let mut failures = String::new();
    for ((scene, name, expected), operation) in scenes.iter().zip(ask_all(daemon, &scenes)) {
        if let Some(wrong) = wrong(scene, &operation, *expected) {
            writeln!(failures, "{:?}, {name}: {wrong}", scene.protocol).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
    let healed = scenes.iter().filter(|(_, _, expected)| expected.is_none());
    let mut healed: Vec<_> = healed
        .map(|(scene, ..)| scene.offer.fingerprint.clone())
        .collect();
    healed.sort();
    assert_eq!(daemon.names("images"), healed);
    assert_eq!(daemon.images("default").len(), healed.len());
    assert!(soon(PATIENCE, || daemon.names("staging").is_empty()));

    for (scene, ..) in &mut scenes {
        scene.mend();
    }
    for ((scene, name, _), operation) in scenes.iter().zip(ask_all(daemon, &scenes)) {
        assert_eq!(
            fingerprint_of(&operation),
            scene.offer.fingerprint,
            "{name}"
        );
    }
}

#[test]
fn whatever_goes_wrong_is_told_and_leaves_nothing_and_a_good_server_helps() {
    if beyond_lxd("it hangs, or takes what it gets") {
        play(&options().start(), FAULTS);
    }
}

#[test]
fn servers_that_fall_silent_are_given_up() {
    if beyond_lxd("it waits for an hour") {
        let options = options().arg("--remote-idle-seconds").arg("2");
        play(&options.start(), SILENCE);
    }
}
