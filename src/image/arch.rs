//! Architectures, by LXD's names for them.

use crate::error::{Error, Result};

/// Canonical name, other names, and what machines of it also run.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const TABLE: &[Row] = &[
    ("i686", &["i386", "i586", "386", "x86", "generic_32"], &[]),
    ("x86_64", &["amd64", "generic_64"], &["i686"]),
    ("armv6l", &["armel", "arm"], &[]),
    (
        "armv7l",
        &[
            "armhf",
            "armhfp",
            "armv7a_hardfp",
            "armv7",
            "armv7a_vfpv3_hardfp",
        ],
        &["armv6l"],
    ),
    ("armv8l", &[], &["armv6l", "armv7l"]),
    (
        "aarch64",
        &["arm64", "arm64_generic"],
        &["armv6l", "armv7l", "armv8l"],
    ),
    ("ppc", &["powerpc"], &[]),
    ("ppc64", &["powerpc64"], &["ppc"]),
    ("ppc64le", &["ppc64el"], &[]),
    ("s390x", &[], &[]),
    ("mips", &["mipsel"], &[]),
    ("mips64", &["mips64el"], &["mips"]),
    ("riscv32", &[], &[]),
    ("riscv64", &[], &[]),
];

/// An architecture that LXD knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Architecture(&'static str);

impl Architecture {
    /// The architecture that a name or one of its aliases means.
    ///
    /// # Errors
    ///
    /// LXD's text for one it does not know.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let known = TABLE
            .iter()
            .find(|(canonical, aliases, _)| *canonical == name || aliases.contains(&name));
        let unknown = || Error::failed(format!("Architecture isn't supported: {name}"));
        known
            .map(|(canonical, ..)| Self(canonical))
            .ok_or_else(unknown)
    }

    /// LXD's canonical name.
    pub(crate) fn name(self) -> &'static str {
        self.0
    }
}

/// The canonical names of all architectures, in order.
pub(crate) fn architectures() -> Vec<&'static str> {
    let mut names: Vec<_> = TABLE.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    names
}

/// What this machine runs: its own architecture first, then those it also takes.
pub(crate) fn host_architectures() -> Vec<&'static str> {
    let machine = rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned();
    let Ok(host) = Architecture::parse(&machine) else {
        return Vec::new();
    };
    let row = TABLE.iter().find(|(name, ..)| *name == host.name());
    let also = row.map_or(&[][..], |(_, _, also)| also);
    std::iter::once(host.name())
        .chain(also.iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_mean_the_canonical_architecture() {
        for (alias, name) in [
            ("amd64", "x86_64"),
            ("arm64", "aarch64"),
            ("s390x", "s390x"),
        ] {
            assert_eq!(Architecture::parse(alias).unwrap().name(), name);
        }
        let error = Architecture::parse("z80").unwrap_err();
        assert_eq!(error.message(), "Architecture isn't supported: z80");
    }

    #[test]
    fn this_machine_has_an_architecture() {
        assert!(!host_architectures().is_empty());
    }
}
