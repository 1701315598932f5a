//! Names for instances whose makers gave none.

/// First halves.
const ADJECTIVES: &[&str] = &[
    "able", "amber", "ample", "ardent", "azure", "bold", "brave", "brief", "bright", "brisk",
    "calm", "candid", "clear", "clever", "cosy", "crisp", "daring", "deft", "eager", "early",
    "fair", "fancy", "fleet", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand",
    "happy", "hardy", "honest", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid",
    "lucky", "mellow", "merry", "mighty", "modest", "neat", "nimble", "noble", "patient", "placid",
    "polite", "proud", "quick", "quiet", "rapid", "ready", "robust", "serene", "sharp", "silent",
    "silver", "sincere", "smooth", "snug", "solid", "sound", "steady", "sturdy", "sunny", "swift",
    "tender", "tidy", "true", "upbeat", "valid", "vivid", "warm", "wise", "witty", "zesty",
];

/// Second halves.
const NOUNS: &[&str] = &[
    "acorn", "alder", "aspen", "badger", "basil", "beaver", "birch", "bison", "bramble", "breeze",
    "brook", "cedar", "cliff", "clover", "comet", "condor", "coral", "crane", "creek", "cypress",
    "dune", "eagle", "elm", "falcon", "fern", "finch", "fjord", "forest", "fox", "garnet",
    "glacier", "grove", "harbor", "hare", "hazel", "heron", "hill", "ibis", "island", "ivy",
    "juniper", "kestrel", "lagoon", "lake", "lark", "laurel", "linden", "lynx", "maple", "marsh",
    "marten", "meadow", "moss", "nettle", "oak", "osprey", "otter", "owl", "pebble", "pine",
    "plover", "poplar", "quail", "raven", "reed", "ridge", "river", "robin", "rowan", "sage",
    "sparrow", "spruce", "stone", "stork", "swan", "thistle", "tulip", "valley", "willow", "wren",
];

/// Two words with a hyphen between.
pub(super) fn made_up() -> String {
    let random = uuid::Uuid::new_v4().as_u128();
    let pick = |words: &[&'static str], number: u128| {
        let index = usize::try_from(number % words.len() as u128).unwrap_or_default();
        words.get(index).copied().unwrap_or("instance")
    };
    // The lowest bits of either half are random in a UUID of version 4.
    format!(
        "{}-{}",
        pick(ADJECTIVES, random & 0xffff_ffff),
        pick(NOUNS, random >> 96)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::names;

    #[test]
    fn names_that_are_made_up_are_good_ones() {
        let made: std::collections::BTreeSet<_> = (0..200).map(|_| made_up()).collect();
        assert!(made.len() > 150);
        for name in &made {
            names::instance(name).unwrap();
        }
    }
}
