//! What things may be called, with LXD's texts.

use crate::error::{Error, Result};

/// Names that mean a directory wherever they end up in a path.
const DOTS: [&str; 2] = [".", ".."];

/// The name of a project.
pub(crate) fn project(name: &str) -> Result<()> {
    let contains = |what: &str| {
        Err(Error::bad_request(format!(
            "Project names may not contain {what}"
        )))
    };
    match name {
        "" => Err(Error::bad_request("No name provided")),
        "*" => Err(Error::bad_request("Reserved project name")),
        _ if name.contains('/') => contains("slashes"),
        _ if name.contains(' ') => contains("spaces"),
        _ if name.contains('_') => contains("underscores"),
        _ if name.contains(['\'', '"']) => contains("quotes"),
        _ if DOTS.contains(&name) => {
            Err(Error::bad_request(format!("Invalid project name {name:?}")))
        }
        _ => printable("Project", name),
    }
}

/// The name of a profile.
pub(crate) fn profile(name: &str) -> Result<()> {
    match name {
        "" => Err(Error::bad_request("No name provided")),
        _ if name.contains('/') => Err(Error::bad_request("Profile names may not contain slashes")),
        _ if DOTS.contains(&name) => {
            Err(Error::bad_request(format!("Invalid profile name {name:?}")))
        }
        _ => printable("Profile", name),
    }
}

/// The name of an instance: one that a host can have.
pub(crate) fn instance(name: &str) -> Result<()> {
    let invalid = |reason: &str| {
        Err(Error::bad_request(format!(
            "Invalid instance name: {reason}"
        )))
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match name {
        _ if name.contains('/') => Err(Error::bad_request(
            "The character \"/\" is reserved for snapshots",
        )),
        _ if name.is_empty() || name.chars().count() > 63 => {
            invalid("Name must be 1-63 characters long")
        }
        _ if name.starts_with('-') => invalid("Name must not start with \"-\" character"),
        _ if name.ends_with('-') => invalid("Name must not end with \"-\" character"),
        _ if name.starts_with(|c: char| c.is_ascii_digit()) => {
            invalid("Name must not start with a number")
        }
        _ if !name.chars().all(fits) => {
            invalid("Name can only contain alphanumeric and hyphen characters")
        }
        _ => Ok(()),
    }
}

/// The name of a snapshot, which is one component of a path too.
pub(crate) fn snapshot(name: &str) -> Result<()> {
    if name.contains('/') {
        let text = "Invalid snapshot name: Cannot contain \"/\"";
        return Err(Error::bad_request(text));
    }
    // LXD: takes dots, which are other places than a snapshot's, and renames to nothing.
    if name.is_empty() || DOTS.contains(&name) || name.len() > 255 {
        let text = format!("Invalid snapshot name {name:?}");
        return Err(Error::bad_request(text));
    }
    printable("Snapshot", name)
}

/// The name of a storage pool, and that it has a driver.
pub(crate) fn pool(name: &str, driver: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::bad_request("No name provided"));
    }
    if name.contains('/') {
        return Err(Error::bad_request(
            "Storage pool names may not contain slashes",
        ));
    }
    if driver.is_empty() {
        return Err(Error::bad_request("No driver provided"));
    }
    printable("Storage pool", name)
}

/// Names end up in URLs, logs and terminals. Beyond LXD, which takes any.
fn printable(kind: &str, name: &str) -> Result<()> {
    if name.chars().any(char::is_control) {
        let text = format!("{kind} names may not contain control characters");
        return Err(Error::bad_request(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_refused_in_lxds_words() {
        let cases = [
            (project(""), "No name provided"),
            (project("a/b"), "Project names may not contain slashes"),
            (project("a b"), "Project names may not contain spaces"),
            (project("a_b"), "Project names may not contain underscores"),
            (project("a'b"), "Project names may not contain quotes"),
            (project("*"), "Reserved project name"),
            (project(".."), "Invalid project name \"..\""),
            (profile("a/b"), "Profile names may not contain slashes"),
            (profile("."), "Invalid profile name \".\""),
            (
                pool("a/b", "dir"),
                "Storage pool names may not contain slashes",
            ),
            (pool("a", ""), "No driver provided"),
            (
                instance("a/b"),
                "The character \"/\" is reserved for snapshots",
            ),
            (
                instance(""),
                "Invalid instance name: Name must be 1-63 characters long",
            ),
            (
                instance("1a"),
                "Invalid instance name: Name must not start with a number",
            ),
            (
                instance("-a"),
                "Invalid instance name: Name must not start with \"-\" character",
            ),
            (
                instance("a-"),
                "Invalid instance name: Name must not end with \"-\" character",
            ),
            (
                instance("a_b"),
                "Invalid instance name: Name can only contain alphanumeric and hyphen characters",
            ),
            (
                snapshot("a/b"),
                "Invalid snapshot name: Cannot contain \"/\"",
            ),
            (snapshot(".."), "Invalid snapshot name \"..\""),
        ];
        for (result, text) in cases {
            assert_eq!(result.unwrap_err().message(), text);
        }
        for name in ["p1", "ü", "a.b", &"x".repeat(70)] {
            project(name).unwrap();
        }
        instance("A-1").unwrap();
        snapshot("20.04").unwrap();
        profile("a b*?").unwrap();
        assert!(profile("a\nb").is_err());
    }
}
