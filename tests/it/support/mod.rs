//! What the tests are written with: the real binary, real sockets, real clients, small images.
//!
//! Start at [`Lximaged`]: it boots a daemon on a directory of its own and, when it is dropped,
//! checks what no test remembers to assert. `LXIMAGED_TEST_DAEMON=lxd` boots the real LXD
//! instead, to prove an expectation right on the original.

pub(crate) mod clients;
pub(crate) mod commands;
pub(crate) mod containers;
pub(crate) mod daemon;
pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod image_api;
pub(crate) mod images;
pub(crate) mod instances;
pub(crate) mod invariants;
pub(crate) mod multipart;
pub(crate) mod packed;
pub(crate) mod publishing;
pub(crate) mod pulls;
pub(crate) mod sources;
pub(crate) mod strace;
pub(crate) mod stream;
pub(crate) mod tar;
pub(crate) mod trust;
pub(crate) mod upstream;

use std::{
    thread,
    time::{Duration, Instant},
};

pub(crate) use clients::Client;
pub(crate) use daemon::{Lximaged, Options};
pub(crate) use events::Events;
pub(crate) use http::{Answer, Request};
use sha2::{Digest, Sha256};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Whether the tests run against the real LXD, to prove their expectations.
pub(crate) fn against_lxd() -> bool {
    std::env::var("LXIMAGED_TEST_DAEMON").is_ok_and(|name| name == "lxd")
}

/// Whether to go on with a test of something that LXD 5.0.2 lacks or gets wrong; says why not.
pub(crate) fn beyond_lxd(reason: &str) -> bool {
    if against_lxd() {
        println!("not on LXD 5.0.2: {reason}");
    }
    !against_lxd()
}

/// Whether `condition` comes true within `patience`. For what has no event to wait for: the end
/// of another process, a file that goes away.
pub(crate) fn soon(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The fingerprint of an image made of these files.
pub(crate) fn fingerprint(files: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file);
    }
    hex::encode(digest.finalize())
}

/// Fails, and says why, unless the tests run as root: some need mounts or other users' files.
#[track_caller]
pub(crate) fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root (it mounts a tmpfs)"
    );
}
