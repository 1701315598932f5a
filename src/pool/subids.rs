//! Which ids of the host containers get.

use std::fs;

use super::idmap::IdMap;

/// What LXD takes where nobody says otherwise.
const FALLBACK: (u32, u32) = (1_000_000, 1_000_000_000);

/// The fewest ids that a system can run with.
const FEWEST: u32 = 65_536;

/// Whom a line may name: LXD runs as root, and some systems keep a user for it.
const USERS: [&str; 2] = ["root", "lxd"];

/// The ids that /etc/subuid and /etc/subgid give to root, else 1000000:1000000000.
pub(crate) fn host_map() -> IdMap {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    map(&read("/etc/subuid"), &read("/etc/subgid"))
}

/// Users and groups are shifted alike, so a range counts that both files give.
fn map(users: &str, groups: &str) -> IdMap {
    let common = ranges(users).into_iter().find_map(|user| {
        let both = ranges(groups)
            .into_iter()
            .filter_map(|group| overlap(user, group));
        both.max_by_key(|(_, size)| *size)
    });
    let (base, size) = common.unwrap_or(FALLBACK);
    IdMap::new(base, size).unwrap_or(IdMap::IDENTITY)
}

fn ranges(text: &str) -> Vec<(u32, u32)> {
    let parse = |line: &str| {
        let mut fields = line.trim().split(':');
        let user = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        USERS.contains(&user).then_some(range)
    };
    text.lines().filter_map(parse).collect()
}

fn overlap((one, one_size): (u32, u32), (other, other_size): (u32, u32)) -> Option<(u32, u32)> {
    let base = one.max(other);
    let end = one
        .saturating_add(one_size)
        .min(other.saturating_add(other_size));
    let size = end.checked_sub(base)?;
    (base > 0 && size >= FEWEST).then_some((base, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(users: &str, groups: &str) -> String {
        map(users, groups).to_string()
    }

    #[test]
    fn the_files_of_the_system_say_which_ids_there_are() {
        let debian = "_lxd:100000:10000001\nroot:200000:10000001\n";
        assert_eq!(said(debian, debian), "200000-10000001");
        assert_eq!(said("lxd:5000:65536", "lxd:5000:65536"), "5000-65536");
        let two = "root:1000:10\nroot:300000:70000\n";
        assert_eq!(said(two, two), "300000-70000");
        assert_eq!(
            said("root:100000:100000", "root:120000:200000"),
            "120000-80000"
        );
    }

    #[test]
    fn what_is_no_use_is_passed_over() {
        for text in [
            "",
            "root:x:y",
            "root:1000:10",
            "other:1:99999",
            "root:0:99999",
        ] {
            assert_eq!(said(text, text), "1000000-1000000000", "{text}");
        }
    }
}
