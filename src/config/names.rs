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
        ];
        for (result, text) in cases {
            assert_eq!(result.unwrap_err().message(), text);
        }
        for name in ["p1", "ü", "a.b", &"x".repeat(70)] {
            project(name).unwrap();
        }
        profile("a b*?").unwrap();
        assert!(profile("a\nb").is_err());
    }
}
