//! What instances of a restricted project may not have: `restricted.*`.

use std::path::{Component, Path, PathBuf};

use crate::{
    config,
    db::{profiles::Devices, projects::ProjectRow},
    error::{Error, Result},
    image::ImageType,
};

/// Configuration keys and values.
type Config = std::collections::BTreeMap<String, String>;

/// Which paths of the host may be shown.
const PATHS: &str = "restricted.devices.disk.paths";

/// Whose configuration is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    /// The restricted project.
    pub(super) project: &'a ProjectRow,
    /// `container` or `virtual-machine`.
    // LXD: nothing for a profile.
    pub(super) label: &'static str,
    /// The instance's or profile's name.
    pub(super) name: &'a str,
    /// A profile may be for either.
    pub(super) kind: Option<ImageType>,
}

/// Keys that reach beneath what a container is made with.
const LOW_LEVEL: &[&str] = &[
    "boot.host_shutdown_timeout",
    "linux.kernel_modules",
    "raw.apparmor",
    "raw.lxc",
    "raw.seccomp",
    "security.devlxd.images",
    "security.idmap.base",
    "security.idmap.size",
    "security.syscalls.intercept.mount.allowed",
    "security.syscalls.intercept.mount.shift",
    "security.syscalls.intercept.sched_setscheduler",
    "security.syscalls.intercept.sysinfo",
];

/// The same of virtual machines.
const LOW_LEVEL_OF_MACHINES: &[&str] = &[
    "boot.host_shutdown_timeout",
    "limits.memory.hugepages",
    "raw.qemu",
    "raw.qemu.conf",
];

/// Keys that have the host do what a container asks its kernel for.
const INTERCEPTION: &[&str] = &[
    "security.syscalls.intercept.bpf",
    "security.syscalls.intercept.bpf.devices",
    "security.syscalls.intercept.mknod",
    "security.syscalls.intercept.mount",
    "security.syscalls.intercept.mount.fuse",
    "security.syscalls.intercept.setxattr",
];

/// Types of devices, the key that lets them in, and what they are called.
const DEVICES: &[(&str, &str, &str)] = &[
    ("unix-char", "unix-char", "Unix character devices"),
    ("unix-block", "unix-block", "Unix block devices"),
    ("unix-hotplug", "unix-hotplug", "Unix hotplug devices"),
    ("infiniband", "infiniband", "Infiniband devices"),
    ("gpu", "gpu", "GPU devices"),
    ("usb", "usb", "USB devices"),
    ("pci", "pci", "PCI devices"),
    ("proxy", "proxy", "Proxy devices"),
];

impl Of<'_> {
    /// Whether this configuration and these devices are allowed.
    ///
    /// # Errors
    ///
    /// 500 with LXD's text for the first that is not.
    pub(super) fn check(self, config: &Config, devices: &Devices) -> Result<()> {
        for (key, value) in config {
            if self.kind != Some(ImageType::VirtualMachine) {
                self.check_container_key(key, value)?;
            }
            if self.kind != Some(ImageType::Container) {
                self.check_machine_key(key)?;
            }
        }
        for (name, device) in devices {
            self.check_device(device)
                .map_err(|reason| self.bad_device(name, &reason))?;
        }
        Ok(())
    }

    /// What the project says of a restriction; nothing is the strictest.
    fn setting(&self, key: &str) -> &str {
        let value = self.project.config.get(&format!("restricted.{key}"));
        value.map(String::as_str).unwrap_or_default()
    }

    fn is_open(&self, key: &str) -> bool {
        self.setting(key) == "allow"
    }

    fn check_container_key(self, key: &str, value: &str) -> Result<()> {
        let is_set = config::truth(value) == Some(true);
        let privilege = self.setting("containers.privilege");
        let reason = match key {
            "security.privileged" if is_set && privilege != "allow" => {
                "Privileged containers are forbidden"
            }
            "security.idmap.isolated" if !is_set && privilege == "isolated" => {
                "Non-isolated containers are forbidden"
            }
            "security.nesting" if is_set && !self.is_open("containers.nesting") => {
                "Container nesting is forbidden"
            }
            _ if INTERCEPTION.contains(&key) && !self.may_intercept() => {
                "Container syscall interception is forbidden"
            }
            "raw.idmap" if !self.is_open("containers.lowlevel") => return self.check_ids(value),
            _ if LOW_LEVEL.contains(&key) && !self.is_open("containers.lowlevel") => {
                return Err(self.low_level(key));
            }
            _ => return Ok(()),
        };
        let of = self.subject();
        Err(Error::failed(format!(
            "Invalid value {value:?} for config {key:?} on {of}: {reason}"
        )))
    }

    fn may_intercept(&self) -> bool {
        matches!(self.setting("containers.interception"), "allow" | "full")
    }

    fn check_machine_key(self, key: &str) -> Result<()> {
        let is_free = self.is_open("virtual-machines.lowlevel");
        if LOW_LEVEL_OF_MACHINES.contains(&key) && !is_free {
            return Err(self.low_level(key));
        }
        Ok(())
    }

    fn low_level(self, key: &str) -> Error {
        let of = self.subject();
        Error::failed(format!(
            "Use of low-level config {key:?} on {of} is forbidden"
        ))
    }

    /// The host's ids that `raw.idmap` asks for have to be among those the project may use.
    fn check_ids(self, text: &str) -> Result<()> {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (kind, host) = (words.next().unwrap_or_default(), words.next());
            let (first, last) = range(host.unwrap_or_default());
            let kinds: &[&str] = match kind {
                "both" => &["uid", "gid"],
                "uid" => &["uid"],
                _ => &["gid"],
            };
            let allows = |kind: &&str| {
                let ranges = self.setting(&format!("idmap.{kind}")).split(',');
                let mut ranges = ranges.filter(|item| !item.trim().is_empty()).map(range);
                ranges.any(|(from, to)| from <= first && last <= to)
            };
            if !kinds.iter().all(allows) {
                let of = self.subject();
                return Err(Error::failed(format!(
                    "Use of low-level \"raw.idmap\" element {first} on {of} is forbidden"
                )));
            }
        }
        Ok(())
    }

    fn check_device(self, device: &Config) -> Result<(), String> {
        let get = |key: &str| device.get(key).map(String::as_str).unwrap_or_default();
        let kind = get("type");
        match kind {
            "disk" if config::expand::is_root(device) => Ok(()),
            "disk" => self.check_disk(get("pool"), get("source")),
            "nic" => match self.setting("devices.nic") {
                "block" => Err("Network devices are forbidden".to_owned()),
                "allow" => Ok(()),
                _ if get("network").is_empty() => {
                    Err("Only managed network devices are allowed".to_owned())
                }
                _ => Ok(()),
            },
            _ => {
                let known = DEVICES.iter().find(|(name, ..)| *name == kind);
                match known {
                    Some((_, key, words)) if !self.is_open(&format!("devices.{key}")) => {
                        Err(format!("{words} are forbidden"))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn check_disk(self, pool: &str, source: &str) -> Result<(), String> {
        match self.setting("devices.disk") {
            "block" => Err("Disk devices are forbidden".to_owned()),
            "allow" if pool.is_empty() && !self.may_show(source) => {
                Err(format!("Disk source path {source:?} not allowed"))
            }
            "allow" => Ok(()),
            _ if pool.is_empty() => {
                Err("Attaching disks not backed by a pool is forbidden".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether a path of the host is below one that the project may show, by its name. Where links
    /// lead that are in there is looked at when it is shown.
    fn may_show(&self, source: &str) -> bool {
        self.setting("devices.disk.paths").is_empty() || below(self.project, source).is_some()
    }

    fn subject(&self) -> String {
        let Self {
            label,
            name,
            project,
            ..
        } = self;
        format!("{label} {name:?} of project {:?}", project.name)
    }

    fn bad_device(self, name: &str, reason: &str) -> Error {
        let of = self.subject();
        Error::failed(format!("Invalid device {name:?} on {of}: {reason}"))
    }
}

/// The directory that a host path has to stay in when an instance of the project shows it; none
/// for a project that may show everything.
///
/// # Errors
///
/// LXD's text when it is in none of those that the project may show.
pub(crate) fn confined_to(project: &ProjectRow, source: &str) -> Result<Option<PathBuf>> {
    let is_restricted = config::project::feature(&project.config, "restricted");
    let paths = project.config.get(PATHS).filter(|paths| !paths.is_empty());
    if !is_restricted || paths.is_none() {
        return Ok(None);
    }
    match below(project, source) {
        Some(path) => Ok(Some(path)),
        None => Err(Error::failed(format!(
            "Disk source path {source:?} not allowed"
        ))),
    }
}

/// The first of the paths that a project may show that this one is below of.
fn below(project: &ProjectRow, source: &str) -> Option<PathBuf> {
    let source = Path::new(source);
    let is_plain = !source.components().any(|part| part == Component::ParentDir);
    let mut allowed = project.config.get(PATHS)?.split(',').map(str::trim);
    let path = allowed.find(|path| is_plain && source.starts_with(path))?;
    Some(PathBuf::from(path))
}

/// `FIRST-LAST`, or one number; what is no number is beyond every range.
fn range(text: &str) -> (u64, u64) {
    let (first, last) = text
        .trim()
        .split_once('-')
        .unwrap_or((text.trim(), text.trim()));
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    (number(first), number(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::ProjectId;

    fn map(pairs: &[(&str, &str)]) -> Config {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    fn refusal(
        settings: &[(&str, &str)],
        config: &[(&str, &str)],
        device: &[(&str, &str)],
    ) -> String {
        let project = ProjectRow {
            id: ProjectId(1),
            name: "p".to_owned(),
            description: String::new(),
            config: map(settings),
        };
        let of = Of {
            project: &project,
            label: "container",
            name: "c",
            kind: Some(ImageType::Container),
        };
        let devices = Devices::from([("d".to_owned(), map(device))]);
        let checked = of.check(&map(config), &devices);
        checked
            .err()
            .map(|error| error.message().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn what_is_restricted_is_refused_in_lxds_words() {
        let key = |key: &str, value: &str, reason: &str| {
            format!(
                "Invalid value {value:?} for config {key:?} on container \"c\" of project \"p\": {reason}"
            )
        };
        let privileged = "Privileged containers are forbidden";
        assert_eq!(
            refusal(&[], &[("security.privileged", "true")], &[]),
            key("security.privileged", "true", privileged)
        );
        assert_eq!(
            refusal(&[], &[("raw.lxc", "x")], &[]),
            "Use of low-level config \"raw.lxc\" on container \"c\" of project \"p\" is forbidden"
        );
        let free: [(&str, &str, &str); 4] = [
            (
                "restricted.containers.privilege",
                "security.privileged",
                "true",
            ),
            ("restricted.containers.nesting", "security.nesting", "true"),
            ("restricted.containers.lowlevel", "raw.lxc", "x"),
            (
                "restricted.containers.interception",
                "security.syscalls.intercept.mount",
                "true",
            ),
        ];
        for (setting, key, value) in free {
            assert_ne!(refusal(&[], &[(key, value)], &[]), "", "{key}");
            assert_eq!(
                refusal(&[(setting, "allow")], &[(key, value)], &[]),
                "",
                "{key}"
            );
        }
    }

    #[test]
    fn ids_of_the_host_have_to_be_allowed() {
        let allowed = [
            ("restricted.idmap.uid", "1000-1001"),
            ("restricted.idmap.gid", "5"),
        ];
        for (line, is_good) in [
            ("uid 1000 1000", true),
            ("uid 1000-1001 5-6", true),
            ("gid 5 5", true),
            ("both 5 5", false),
            ("uid 1000-1002 1-3", false),
            ("uid 0 0", false),
            ("uid x 0", false),
        ] {
            let refused = refusal(&allowed, &[("raw.idmap", line)], &[]);
            assert_eq!(refused.is_empty(), is_good, "{line}: {refused}");
        }
    }

    #[test]
    fn devices_are_let_in_by_type() {
        let disk = |source| [("type", "disk"), ("path", "/x"), ("source", source)];
        let root = [("type", "disk"), ("path", "/"), ("pool", "p")];
        assert_eq!(
            refusal(&[("restricted.devices.disk", "block")], &[], &root),
            ""
        );
        assert!(refusal(&[], &[], &disk("/tmp")).ends_with("not backed by a pool is forbidden"));
        let below = [
            ("restricted.devices.disk", "allow"),
            ("restricted.devices.disk.paths", "/tmp"),
        ];
        assert_eq!(refusal(&below, &[], &disk("/tmp/x")), "");
        for source in ["/usr", "/tmp/../usr", "/tmpx"] {
            let text = format!("Disk source path {source:?} not allowed");
            assert!(refusal(&below, &[], &disk(source)).ends_with(&text));
        }
        for (kind, ..) in DEVICES {
            assert!(refusal(&[], &[], &[("type", kind)]).ends_with("are forbidden"));
            let setting = format!("restricted.devices.{kind}");
            assert_eq!(refusal(&[(&setting, "allow")], &[], &[("type", kind)]), "");
        }
    }
}
