//! Control groups of the host: which version has which controller, and limits in its words.

use std::{fs, path::Path};

use super::Limits;

/// Where the host has its control groups.
pub(super) const MOUNTED_AT: &str = "/sys/fs/cgroup";

/// How control groups are mounted, and which controllers there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Layout {
    is_unified: bool,
    /// Controllers of the first version.
    legacy: Vec<String>,
    /// Controllers of the second.
    unified: Vec<String>,
}

impl Layout {
    /// That of this host.
    pub(super) fn find() -> Self {
        let top = Path::new(MOUNTED_AT);
        let controllers = |path: &Path| {
            let names = fs::read_to_string(path.join("cgroup.controllers")).ok()?;
            Some(names.split_whitespace().map(str::to_owned).collect())
        };
        if let Some(unified) = controllers(top) {
            return Self {
                is_unified: true,
                legacy: Vec::new(),
                unified,
            };
        }
        let is_there = |name: &&&str| top.join(name).join("cgroup.procs").exists();
        let names = [
            "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids",
        ];
        Self {
            is_unified: false,
            legacy: names
                .iter()
                .filter(is_there)
                .map(|name| (*name).to_owned())
                .collect(),
            unified: controllers(&top.join("unified")).unwrap_or_default(),
        }
    }

    /// Whether everything is in one tree.
    pub(super) fn is_unified(&self) -> bool {
        self.is_unified
    }

    /// Whether this controller is one of the first version.
    pub(super) fn is_legacy(&self, controller: &str) -> bool {
        self.legacy.iter().any(|name| name == controller)
    }

    /// How keys of the device controller begin, if there is one. In the second version it is a
    /// program in the kernel rather than a file.
    pub(super) fn devices(&self) -> Option<&'static str> {
        match (self.is_unified, self.is_legacy("devices")) {
            (true, _) => Some("lxc.cgroup2"),
            (false, true) => Some("lxc.cgroup"),
            (false, false) => None,
        }
    }

    /// Keys and values for these limits. What the host cannot limit is left out, and logged.
    pub(super) fn limits(&self, limits: &Limits) -> Vec<(String, String)> {
        let files = self.files(limits).into_iter();
        files
            .map(
                |Setting {
                     version,
                     file,
                     value,
                     ..
                 }| (format!("lxc.{version}.{file}"), value),
            )
            .collect()
    }

    /// The files of a container's control group that hold these limits.
    pub(super) fn files(&self, limits: &Limits) -> Vec<Setting> {
        let cpus = limits.cpus.as_ref().map(|cpus| {
            let cpus: Vec<_> = cpus.iter().map(u32::to_string).collect();
            cpus.join(",")
        });
        let memory = limits.memory_bytes.map(|bytes| bytes.to_string());
        let processes = limits.processes.map(|number| number.to_string());
        let wanted = [
            ("cpuset", "cpuset.cpus", "cpuset.cpus", cpus),
            ("memory", "memory.limit_in_bytes", "memory.max", memory),
            ("pids", "pids.max", "pids.max", processes),
        ];
        let wanted = wanted.into_iter();
        wanted
            .filter_map(|(controller, legacy, unified, value)| {
                self.setting(controller, legacy, unified, value?)
            })
            .collect()
    }

    fn setting(
        &self,
        controller: &'static str,
        legacy: &'static str,
        unified: &'static str,
        value: String,
    ) -> Option<Setting> {
        let (version, file) = if self.is_legacy(controller) {
            ("cgroup", legacy)
        } else if self.unified.iter().any(|name| name == controller) {
            ("cgroup2", unified)
        } else {
            tracing::warn!(controller, "the host cannot limit this");
            return None;
        };
        Some(Setting {
            controller,
            version,
            file,
            value,
        })
    }
}

/// One file of a container's control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Whose it is.
    pub(super) controller: &'static str,
    /// liblxc's word for the version.
    version: &'static str,
    /// Its name.
    pub(super) file: &'static str,
    /// What is to be in it.
    pub(super) value: String,
}
