//! Storage pools of driver `dir`: what can be set, with LXD's texts.

use std::collections::BTreeMap;

use super::check::{self, Checked};
use crate::error::{Error, Result};

/// Drivers that LXD knows and this server does not have.
const ABSENT: &[&str] = &["btrfs", "ceph", "cephfs", "lvm", "zfs"];

/// Whether a pool may be made like this.
pub(crate) fn validate(name: &str, driver: &str, config: &BTreeMap<String, String>) -> Result<()> {
    if ABSENT.contains(&driver) {
        return Err(Error::failed(format!(
            "Required tool {driver:?} is missing"
        )));
    }
    if driver != "dir" {
        return Err(Error::failed("Unknown driver"));
    }
    if name.contains(char::is_whitespace) {
        return Err(Error::failed("Storage name cannot contain white space"));
    }
    options(config).map_err(Error::failed)
}

/// Whether a pool's configuration may become this one.
pub(crate) fn validate_change(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<()> {
    options(new).map_err(Error::bad_request)?;
    if old.get("source") != new.get("source") {
        let text = "Pool source cannot be changed when not in pending state";
        return Err(Error::failed(text));
    }
    Ok(())
}

fn options(config: &BTreeMap<String, String>) -> Checked {
    for (name, value) in config {
        let checked = match name.as_str() {
            "source" | "volatile.initial_source" | "volatile.pool.pristine" => Ok(()),
            name if name.starts_with("user.") || name.starts_with("volume.") => Ok(()),
            "rsync.bwlimit" => check::size(value),
            "rsync.compression" => check::boolean(value),
            _ => return Err(format!("Invalid option {name:?}")),
        };
        if !value.is_empty() {
            checked.map_err(|reason| format!("Invalid value for option {name:?}: {reason}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn options_and_drivers_are_checked() {
        let said = |driver, pairs| validate("p", driver, &config(pairs)).unwrap_err();
        assert_eq!(said("nope", &[]).message(), "Unknown driver");
        assert_eq!(
            said("btrfs", &[]).message(),
            "Required tool \"btrfs\" is missing"
        );
        assert_eq!(
            said("dir", &[("size", "1GB")]).message(),
            "Invalid option \"size\""
        );
        let text = "Invalid value for option \"rsync.bwlimit\": Invalid value: abc";
        assert_eq!(said("dir", &[("rsync.bwlimit", "abc")]).message(), text);
        validate(
            "p",
            "dir",
            &config(&[("user.x", "y"), ("rsync.compression", "no")]),
        )
        .unwrap();
        let white = validate("a b", "dir", &config(&[])).unwrap_err();
        assert_eq!(white.message(), "Storage name cannot contain white space");
    }

    #[test]
    fn the_source_of_a_pool_stays() {
        let old = config(&[("source", "/a")]);
        let error = validate_change(&old, &config(&[])).unwrap_err();
        let text = "Pool source cannot be changed when not in pending state";
        assert_eq!(error.message(), text);
        validate_change(&old, &config(&[("source", "/a"), ("user.x", "1")])).unwrap();
    }
}
