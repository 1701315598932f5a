//! Why a start failed, from what liblxc has logged.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// How much of the log's end is looked at.
const TAIL_BYTES: u64 = 64 * 1024;

/// How many reasons are told.
const MAX_REASONS: usize = 3;

/// What liblxc says whenever something has failed; it tells nothing.
const EMPTY_WORDS: &[&str] = &[
    "An error occurred in another process",
    "Received container state",
    "Failed to spawn container",
    "The container failed to start",
    "Failed to setup container",
    "Failed to receive",
];

/// The first errors of a run's log, of which the others follow; none when it has none.
pub(super) fn reason(log: &Path) -> Option<String> {
    let text = tail(log)?;
    let reasons = reasons(&text);
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn tail(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn reasons(log: &str) -> Vec<String> {
    let all: Vec<_> = log.lines().filter_map(message).collect();
    let is_empty = |text: &str| EMPTY_WORDS.iter().any(|words| text.contains(words));
    let telling: Vec<_> = all.iter().filter(|text| !is_empty(text)).collect();
    let chosen = if telling.is_empty() {
        all.iter().collect()
    } else {
        telling
    };
    chosen.into_iter().take(MAX_REASONS).cloned().collect()
}

/// `PROGRAM NAME TIME ERROR PART - FILE:FUNCTION:LINE - MESSAGE`, without control characters.
fn message(line: &str) -> Option<String> {
    let (_, behind) = line.split_once(" ERROR ")?;
    let mut parts = behind.splitn(3, " - ");
    let text = parts.nth(2)?;
    Some(text.chars().filter(|c| !c.is_control()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_errors_are_told() {
        let log = "lxc-start c 2026 ERROR    start - ../src/lxc/start.c:print:99 - Permission denied - Could not access /x\n\
                   lxc-start c 2026 WARN     cgfsng - ../src/x.c:y:1 - nothing\n\
                   lxc-start c 2026 ERROR    sync - ../src/lxc/sync.c:sync_wait:34 - An error occurred in another process (expected sequence number 1)\n";
        assert_eq!(reasons(log), ["Permission denied - Could not access /x"]);
    }

    #[test]
    fn empty_words_are_better_than_nothing() {
        let log = "lxc-start c 2026 ERROR start - f:g:1 - Failed to spawn container \"c\"\n";
        assert_eq!(reasons(log), ["Failed to spawn container \"c\""]);
        assert!(reasons("nothing\n").is_empty());
    }
}
