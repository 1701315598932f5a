//! Everything at once on the same few images, for as long as `LXIMAGED_STRESS_SECONDS` says, or a
//! few seconds: what is handed out is whole, nobody waits for ever, and the store ends clean.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Lximaged, Options, Request, against_lxd, beyond_lxd, fingerprint, images,
    pulls::{Pair, merged},
};

/// How many do something at any moment.
const WORKERS: usize = 24;

/// How many images they do it to.
const IMAGES: usize = 6;

/// The aliases that the source moves from one image to the next.
const ALIASES: [&str; 3] = ["a", "b", "c"];

/// What an operation may fail with: somebody else was faster.
const LOST: [&str; 5] = [
    "Image with same fingerprint already exists",
    "Image not found",
    "Image source not found",
    "Alias already exists",
    "Operation cancelled",
];

/// What all of them share.
struct Scene {
    pair: Pair,
    images: BTreeMap<String, Vec<u8>>,
    /// How often each kind of deed succeeded.
    done: [AtomicUsize; 8],
    instances: AtomicUsize,
    is_over: AtomicBool,
}

impl Scene {
    fn new() -> Self {
        let target = Options::default().expect_error("failed to update the image");
        let pair = Pair::with(target);
        let packed = (0..IMAGES).map(|number| {
            let size_bytes = 40_000 + number * 30_000;
            images::container_of_size(&number.to_string(), size_bytes)
        });
        let images: BTreeMap<_, _> = packed.map(|it| (fingerprint(&[&it]), it)).collect();
        for (number, packed) in images.values().enumerate() {
            let found = pair.source.import_public(packed);
            if number % 2 == 0 {
                // Cached, it is to go at once.
                let mut image = pair.source.image(&found);
                image["expires_at"] = json!("2001-01-01T00:00:00Z");
                let path = format!("/1.0/images/{found}");
                pair.source.put(&path, &image).is_done();
            }
        }
        for (alias, found) in ALIASES.iter().zip(images.keys()) {
            pair.source.alias(alias, found);
        }
        crate::support::trust::project(&pair.target, "p1");
        Self {
            pair,
            images,
            done: Default::default(),
            instances: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// One worker's next deed.
    fn act(&self, random: &mut Random) {
        let kind = random.below(self.done.len());
        let project = ["default", "p1"][random.below(2)];
        let (found, packed) = self.images.iter().nth(random.below(IMAGES)).unwrap();
        let alias = ALIASES[random.below(ALIASES.len())];
        let path = format!("/1.0/images/{found}");
        let is_done = match kind {
            0 => self.import(project, packed),
            1 => self.export(&format!("{path}/export?project={project}"), packed),
            2 => self.delete(&format!("{path}?project={project}")),
            3 => self.end(&self.post(&format!("{path}/refresh?project={project}"), &json!({}))),
            4 => self.pull(project, alias),
            5 => self.move_alias(project, found, alias),
            6 => self.instance(alias),
            _ => self.edit(&format!("{path}?project={project}"), random.below(2) == 0),
        };
        self.done[kind].fetch_add(usize::from(is_done), Ordering::Relaxed);
    }

    fn target(&self) -> &Client {
        &self.pair.target
    }

    /// Sends something that may come too late, and must not fail in any other way.
    fn post(&self, path: &str, body: &Value) -> Answer {
        fine(self.target().post(path, body))
    }

    /// Waits for an operation, if one was begun, and tells whether it succeeded.
    fn end(&self, answer: &Answer) -> bool {
        if answer.status != 202 {
            return false;
        }
        let ended = self.target().finished(answer);
        let (status, err) = (&ended["status"], ended["err"].as_str().unwrap());
        let is_fine = status == "Success" || LOST.iter().any(|text| err.contains(text));
        assert!(is_fine, "{ended:#}");
        status == "Success"
    }

    fn import(&self, project: &str, packed: &[u8]) -> bool {
        let request = Request::new("POST", &format!("/1.0/images?project={project}"));
        let request = request.body(packed).header("X-LXD-public", "true");
        self.end(&fine(self.target().send(&request)))
    }

    fn export(&self, path: &str, packed: &[u8]) -> bool {
        let answer = fine(self.target().get(path));
        assert!(
            answer.status == 404 || answer.body == packed,
            "{path}: not whole"
        );
        answer.status == 200
    }

    fn delete(&self, path: &str) -> bool {
        self.end(&fine(self.target().delete(path)))
    }

    fn pull(&self, project: &str, alias: &str) -> bool {
        let source = self.pair.from(&json!({"alias": alias}));
        let body = merged(json!({"source": source}), &json!({"auto_update": true}));
        self.end(&self.post(&format!("/1.0/images?project={project}"), &body))
    }

    fn move_alias(&self, project: &str, found: &str, alias: &str) -> bool {
        let path = format!("/1.0/images/aliases/{alias}?project={project}");
        let body = json!({"target": found, "description": ""});
        let moved = fine(self.target().put(&path, &body));
        if moved.status != 404 {
            return moved.status == 200;
        }
        let body = json!({"name": alias, "target": found});
        let path = format!("/1.0/images/aliases?project={project}");
        self.post(&path, &body).status == 201
    }

    fn edit(&self, path: &str, public: bool) -> bool {
        let body = json!({"public": public, "properties": {"x": "y"}});
        fine(self.target().patch(path, &body)).status == 200
    }

    /// Makes an instance from an image of the source, and an image from the instance.
    fn instance(&self, alias: &str) -> bool {
        let number = self.instances.fetch_add(1, Ordering::Relaxed);
        let name = format!("c{number}");
        let source = self.pair.from(&json!({"alias": alias}));
        self.end(&self.post("/1.0/instances", &json!({"name": name, "source": source})));
        let source = json!({"type": "instance", "name": name});
        let body = json!({"source": source, "compression_algorithm": "none",
            "properties": {"number": name}});
        let published = self.post("/1.0/images", &body);
        let is_published = self.end(&published);
        let path = format!("/1.0/instances/{name}");
        self.end(&fine(self.target().delete(&path))) && is_published
    }

    /// Has the daemon look after the store every tenth of a second.
    fn prune(&self) {
        for task in ["expiry", "auto-update", "sweep"].iter().cycle() {
            if self.is_over() {
                return;
            }
            self.end(&self.post(&format!("/1.0/lximaged/tasks/{task}"), &json!({})));
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The source releases something else under its names again and again.
    fn release(&self, mut random: Random) {
        while !self.is_over() {
            let found = self.images.keys().nth(random.below(IMAGES)).unwrap();
            let path = format!(
                "/1.0/images/aliases/{}",
                ALIASES[random.below(ALIASES.len())]
            );
            let body = json!({"target": found, "description": ""});
            self.pair.source.put(&path, &body).is_done();
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// What is there in the end is whole.
    fn check(&self) {
        for project in ["default", "p1"] {
            for found in self.images.keys() {
                let path = format!("/1.0/images/{found}/export?project={project}");
                let answer = self.target().get(&path);
                assert!(answer.status == 404 || answer.body == self.images[found]);
            }
        }
        let done: Vec<_> = self
            .done
            .iter()
            .map(|it| it.load(Ordering::Relaxed))
            .collect();
        assert!(done.iter().all(|count| *count > 0), "{done:?}");
        assert_eq!(self.pair.target.names("staging"), [""; 0]);
    }
}

/// An answer that says that all is well, or that somebody else was faster.
#[track_caller]
fn fine(answer: Answer) -> Answer {
    assert!(answer.status < 500, "{}: {}", answer.status, answer.json);
    answer
}

/// Numbers without a pattern, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn length() -> Duration {
    let seconds = std::env::var("LXIMAGED_STRESS_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(4))
}

#[test]
fn everything_at_once_leaves_every_image_whole() {
    if against_lxd() || !beyond_lxd("it loses images") {
        return;
    }
    let (scene, until) = (Scene::new(), Instant::now() + length());
    thread::scope(|scope| {
        let workers: Vec<_> = (1..=WORKERS)
            .map(|seed| {
                let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed as u64);
                let scene = &scene;
                scope.spawn(move || {
                    while Instant::now() < until {
                        scene.act(&mut random);
                    }
                })
            })
            .collect();
        scope.spawn(|| scene.prune());
        scope.spawn(|| scene.release(Random(7)));
        let broken: Vec<_> = workers
            .into_iter()
            .filter_map(|it| it.join().err())
            .collect();
        scene.is_over.store(true, Ordering::Relaxed);
        assert!(broken.is_empty(), "{} workers failed", broken.len());
    });
    scene.check();
    let Scene {
        pair: Pair { target, .. },
        ..
    } = scene;
    check_after_restart(target);
}

/// Nothing is found that was left behind.
fn check_after_restart(mut target: Lximaged) {
    target.check();
    target.restart();
    assert_eq!(target.names("quarantine"), [""; 0]);
    assert!(
        !target.log().contains("removed unfinished uploads"),
        "{}",
        target.log()
    );
}
