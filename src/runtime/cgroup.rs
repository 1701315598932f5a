//! The control groups of a running container.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Limits,
    limits::{Layout, MOUNTED_AT},
};
use crate::error::{Context, Error, Result};

/// Where a container's control groups are: one directory for each controller of the first
/// version, and one for all of the second.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    legacy: Vec<(String, PathBuf)>,
    unified: Option<PathBuf>,
}

impl Group {
    /// Those of the container whose first process this is.
    pub(super) fn of(init: i32) -> Self {
        let lines = fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap_or_default();
        Self::parse(&lines, Path::new(MOUNTED_AT))
    }

    fn parse(lines: &str, mounted_at: &Path) -> Self {
        let mut group = Self::default();
        for line in lines.lines() {
            let mut columns = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) =
                (columns.next(), columns.next(), columns.next())
            else {
                continue;
            };
            let Some(payload) = payload(path) else {
                continue;
            };
            if controllers.is_empty() {
                let hybrid = mounted_at.join("unified");
                let top = if hybrid.is_dir() {
                    hybrid
                } else {
                    mounted_at.to_owned()
                };
                group.unified = Some(top.join(payload));
            }
            for controller in controllers.split(',').filter(|name| !name.is_empty()) {
                let path = mounted_at.join(controller).join(payload);
                group.legacy.push((controller.to_owned(), path));
            }
        }
        group
    }

    /// The text of a file: `legacy` of the controller's own directory, else `unified`.
    pub(super) fn read(&self, controller: &str, legacy: &str, unified: &str) -> Option<String> {
        let path = match self.legacy(controller) {
            Some(directory) => directory.join(legacy),
            None => self.unified.as_ref()?.join(unified),
        };
        fs::read_to_string(path).ok()
    }

    /// The number in a file.
    pub(super) fn number(&self, controller: &str, legacy: &str, unified: &str) -> Option<u64> {
        self.read(controller, legacy, unified)?.trim().parse().ok()
    }

    /// Whether the container is frozen.
    pub(super) fn is_frozen(&self) -> bool {
        let state = self.read("freezer", "freezer.state", "cgroup.events");
        let state = state.unwrap_or_default();
        state.trim() == "FROZEN" || state.lines().any(|line| line == "frozen 1")
    }

    /// Whether somebody has asked for it to be frozen, and not to go on since.
    pub(super) fn is_to_freeze(&self) -> bool {
        let asked = self.read("freezer", "freezer.self_freezing", "cgroup.freeze");
        asked.is_some_and(|text| text.trim() == "1")
    }

    /// Asks for it to be frozen, which takes a while.
    pub(super) fn freeze(&self) -> Result<()> {
        self.write(
            "freezer",
            ("freezer.state", "FROZEN"),
            ("cgroup.freeze", "1"),
        )
    }

    /// Lets it go on.
    pub(super) fn thaw(&self) -> Result<()> {
        self.write(
            "freezer",
            ("freezer.state", "THAWED"),
            ("cgroup.freeze", "0"),
        )
    }

    /// Writes a value to a file: `legacy` of the controller's own directory, else `unified`.
    fn write(&self, controller: &str, legacy: (&str, &str), unified: (&str, &str)) -> Result<()> {
        let (directory, (file, value)) = match self.legacy(controller) {
            Some(directory) => (Some(directory), legacy),
            None => (self.unified.as_deref(), unified),
        };
        let directory = directory.ok_or_else(|| Error::failed("It has no control group"))?;
        fs::write(directory.join(file), value).context(format_args!("Failed to set {file}"))
    }

    /// Puts other limits on the running container.
    pub(super) fn limit(&self, limits: &Limits, layout: &Layout) -> Result<()> {
        for setting in layout.files(limits) {
            let directory = if layout.is_legacy(setting.controller) {
                self.legacy(setting.controller)
            } else {
                self.unified.as_deref()
            };
            let Some(directory) = directory else { continue };
            fs::write(directory.join(setting.file), &setting.value)
                .context(format_args!("Failed to set {}", setting.file))?;
        }
        Ok(())
    }

    /// Whether the container is in a group of the first version of this controller.
    pub(super) fn is_legacy(&self, controller: &str) -> bool {
        self.legacy(controller).is_some()
    }

    fn legacy(&self, controller: &str) -> Option<&Path> {
        let found = self.legacy.iter().find(|(name, _)| name == controller);
        found.map(|(_, path)| path.as_path())
    }
}

/// The container's own group in the path of one of its processes, relative to the mount: inside
/// of it, an init makes groups as it likes.
fn payload(path: &str) -> Option<&str> {
    let path = path.trim_start_matches('/');
    let at = path.find("lxc.payload")?;
    let (_, behind) = path.split_at_checked(at)?;
    let length = behind.find('/').unwrap_or(behind.len());
    path.get(..at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_whatever_init_makes_of_them() {
        let lines = "4:memory:/lxc.payload.c1\n1:cpu,cpuacct:/lxc.payload.c1/init.scope\n\
                     0::/lxc.payload.c1/system.slice/x\n";
        let group = Group::parse(lines, Path::new("/nowhere"));
        let place = |name: &str| group.legacy(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(place("memory"), "/nowhere/memory/lxc.payload.c1");
        assert_eq!(place("cpuacct"), "/nowhere/cpuacct/lxc.payload.c1");
        assert_eq!(group.unified.unwrap(), Path::new("/nowhere/lxc.payload.c1"));
    }

    #[test]
    fn groups_of_others_are_none_of_ours() {
        let group = Group::parse("0::/user.slice\n", Path::new("/nowhere"));
        assert!(group.unified.is_none());
    }
}
