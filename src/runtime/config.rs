//! liblxc's configuration of a container, one `key = value` a line.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

use super::{Bind, Ids, Nic, NicKind, Spec, limits::Layout};
use crate::error::{Context, Error, Result};

/// What of the host the configuration depends on.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// How control groups are mounted.
    pub(super) layout: Layout,
    /// Whether containers' devices can be limited: not from within a user namespace, where nobody
    /// makes nodes that open anything.
    pub(super) has_devices: bool,
    /// Whether `AppArmor` confines, and profiles can be loaded.
    pub(super) app_armor: AppArmor,
    /// Files of liblxc's that others put there (lxcfs), if the directory exists.
    pub(super) has_includes: bool,
}

/// What `AppArmor` can do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppArmor {
    /// The kernel has none.
    Absent,
    /// The kernel has it, and nobody here can load a profile.
    Unusable,
    /// liblxc makes a profile for each container.
    Usable,
}

/// Where the packages of others put what every container gets.
pub(super) const INCLUDES: &str = "/usr/share/lxc/config/common.conf.d/";

/// Files of one run of a container.
pub(super) struct Places<'a> {
    /// liblxc's own log.
    pub(super) log: &'a Path,
    /// What the container writes to its console.
    pub(super) console: &'a Path,
    /// Its policy for calls of the kernel, if the kernel can keep it.
    pub(super) syscalls: Option<&'a Path>,
    /// What runs when the container has ended.
    pub(super) hook: &'a Path,
}

/// How much of the console is kept; twice as much is on disk.
const CONSOLE_BYTES: u32 = 1024 * 1024;

/// What every container sees of the host, if the host has it.
const HOST_MOUNTS: &[&str] = &[
    "/dev/fuse dev/fuse none bind,create=file,optional 0 0",
    "/dev/net/tun dev/net/tun none bind,create=file,optional 0 0",
    "/proc/sys/fs/binfmt_misc proc/sys/fs/binfmt_misc none rbind,create=dir,optional 0 0",
    "/sys/fs/fuse/connections sys/fs/fuse/connections none rbind,create=dir,optional 0 0",
    "/sys/fs/pstore sys/fs/pstore none rbind,create=dir,optional 0 0",
    "/sys/kernel/debug sys/kernel/debug none rbind,create=dir,optional 0 0",
    "/sys/kernel/security sys/kernel/security none rbind,create=dir,optional 0 0",
    "/sys/kernel/tracing sys/kernel/tracing none rbind,create=dir,optional 0 0",
];

/// Clean /proc and /sys, without which no container can be started inside.
const NESTING_MOUNTS: &[&str] = &[
    "proc dev/.lxc/proc proc create=dir,optional 0 0",
    "sys dev/.lxc/sys sysfs create=dir,optional 0 0",
];

/// The devices that a container may use: `null`, `zero`, `full`, `random`, `urandom`,
/// `tty`, `console`, `ptmx`, `fuse`, `tun`, terminals; nodes may be made of any.
const DEVICES: &[&str] = &[
    "b *:* m",
    "c *:* m",
    "c 136:* rwm",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 10:229 rwm",
    "c 10:200 rwm",
];

/// The configuration of a container.
///
/// # Errors
///
/// When a value holds a line break or another control character: it could begin a line of its
/// own.
pub(super) fn generate(spec: &Spec, places: &Places<'_>, host: &Host) -> Result<String> {
    let mut lines = Lines::default();
    lines.logging(places)?;
    lines.kernel(spec, host)?;
    lines.security(spec, host)?;
    if let Some(policy) = places.syscalls {
        lines.set("lxc.seccomp.profile", text(policy)?)?;
    }
    lines.set("lxc.hook.version", "1")?;
    lines.set("lxc.hook.post-stop", &quoted(places.hook)?)?;
    for (key, value) in host.layout.limits(&spec.limits) {
        lines.set(&key, &value)?;
    }
    for (name, value) in &spec.environment {
        lines.environment(name, value)?;
    }
    for (index, nic) in spec.nics.iter().enumerate() {
        lines.nic(index, nic)?;
    }
    if spec.nics.is_empty() {
        lines.set("lxc.net.0.type", "empty")?;
    }
    for bind in &spec.binds {
        lines.set("lxc.mount.entry", &mount_entry(bind)?)?;
    }
    lines.set("lxc.rootfs.path", &format!("dir:{}", text(&spec.rootfs)?))?;
    lines.raw(&spec.raw)?;
    Ok(lines.0)
}

/// The text so far.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// Adds a line. The one way into the text, but for the owner's own lines.
    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if value.chars().chain(key.chars()).any(is_control) {
            return Err(Error::bad_request(format!(
                "Invalid value for {key:?}: Control characters are not allowed"
            )));
        }
        self.0.extend([key, " = ", value, "\n"]);
        Ok(())
    }

    fn logging(&mut self, places: &Places<'_>) -> Result<()> {
        self.set("lxc.log.file", text(places.log)?)?;
        self.set("lxc.log.level", "warn")?;
        self.set("lxc.console.buffer.size", "auto")?;
        self.set("lxc.console.logfile", text(places.console)?)?;
        self.set("lxc.console.size", &CONSOLE_BYTES.to_string())?;
        self.set("lxc.console.rotate", "1")
    }

    fn kernel(&mut self, spec: &Spec, host: &Host) -> Result<()> {
        let cgroup = if host.layout.is_unified() {
            "cgroup:rw:force"
        } else {
            "cgroup:mixed"
        };
        let of_kernel = if spec.ids.is_none() && !spec.has_nesting {
            "proc:mixed sys:mixed"
        } else {
            "proc:rw sys:rw"
        };
        self.set("lxc.mount.auto", &format!("{of_kernel} {cgroup}"))?;
        self.set("lxc.autodev", "1")?;
        self.set("lxc.pty.max", "1024")?;
        self.set("lxc.tty.max", "0")?;
        let nesting = NESTING_MOUNTS.iter().filter(|_| spec.has_nesting);
        for entry in HOST_MOUNTS.iter().chain(nesting) {
            self.set("lxc.mount.entry", entry)?;
        }
        if host.has_includes {
            self.set("lxc.include", INCLUDES)?;
        }
        self.set("lxc.arch", personality(&spec.architecture))?;
        self.set("lxc.uts.name", &spec.hostname)
    }

    fn security(&mut self, spec: &Spec, host: &Host) -> Result<()> {
        match spec.ids {
            Some(Ids { base, size }) => {
                for kind in ["u", "g"] {
                    self.set("lxc.idmap", &format!("{kind} 0 {base} {size}"))?;
                }
            }
            None => self.privileged()?,
        }
        self.devices(spec, host)?;
        match host.app_armor {
            AppArmor::Absent => Ok(()),
            AppArmor::Unusable => self.set("lxc.apparmor.profile", "unconfined"),
            AppArmor::Usable => {
                self.set("lxc.apparmor.profile", "generated")?;
                let nesting = u8::from(spec.has_nesting).to_string();
                self.set("lxc.apparmor.allow_nesting", &nesting)
            }
        }
    }

    /// What keeps root inside from what only the host's root may do.
    fn privileged(&mut self) -> Result<()> {
        let capabilities = "mac_admin mac_override sys_time sys_module sys_rawio";
        self.set("lxc.cap.drop", capabilities)
    }

    /// LXD: only for privileged containers. A node that an image or an owner brings would work in
    /// the others too, if nothing else kept it from that.
    fn devices(&mut self, spec: &Spec, host: &Host) -> Result<()> {
        let Some(prefix) = host.layout.devices().filter(|_| host.has_devices) else {
            return Ok(());
        };
        self.set(&format!("{prefix}.devices.deny"), "a")?;
        let allow = format!("{prefix}.devices.allow");
        for device in DEVICES {
            self.set(&allow, device)?;
        }
        let binds = spec.binds.iter().filter(|_| spec.ids.is_some());
        for device in binds.filter_map(device) {
            self.set(&allow, &device)?;
        }
        Ok(())
    }

    fn environment(&mut self, name: &str, value: &str) -> Result<()> {
        if name.is_empty() || name.contains('=') || name.contains(char::is_whitespace) {
            return Err(Error::bad_request(format!(
                "Invalid name of an environment variable: {name:?}"
            )));
        }
        self.set("lxc.environment", &format!("{name}={value}"))
            .context(format_args!("environment.{name}"))
    }

    fn nic(&mut self, index: usize, nic: &Nic) -> Result<()> {
        let key = |name: &str| format!("lxc.net.{index}.{name}");
        self.set(&key("type"), "veth")?;
        self.set(&key("flags"), "up")?;
        if let NicKind::Bridged(bridge) = &nic.kind {
            self.set(&key("link"), bridge)?;
        }
        let mtu = nic.mtu.map(|mtu| mtu.to_string());
        let options = [
            ("name", &nic.name),
            ("veth.pair", &nic.host_name),
            ("hwaddr", &nic.hwaddr),
            ("mtu", &mtu),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                self.set(&key(name), value)?;
            }
        }
        Ok(())
    }

    /// The owner's own lines come last, so that they count.
    fn raw(&mut self, raw: &str) -> Result<()> {
        if raw.chars().any(|c| c != '\n' && c != '\t' && is_control(c)) {
            return Err(Error::bad_request(
                "Invalid value for \"raw.lxc\": Control characters are not allowed",
            ));
        }
        for line in raw.lines() {
            self.0.push_str(line);
            self.0.push('\n');
        }
        Ok(())
    }
}

/// What could end a line, for whoever reads it.
fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

fn text(path: &Path) -> Result<&str> {
    let text = path.to_str();
    text.ok_or_else(|| Error::failed(format!("Not a valid path: {}", path.display())))
}

/// A path for the shell that liblxc runs hooks with. liblxc takes the outer quotes away.
fn quoted(path: &Path) -> Result<String> {
    let path = text(path)?;
    if path.contains(['\'', '"']) {
        return Err(Error::failed(format!("Not a path for a hook: {path}")));
    }
    Ok(format!("\"'{path}'\""))
}

/// A device of the host's that is brought in by itself.
fn device(bind: &Bind) -> Option<String> {
    let found = fs::metadata(&bind.source).ok()?;
    let kind = match found.file_type() {
        kind if kind.is_char_device() => 'c',
        kind if kind.is_block_device() => 'b',
        _ => return None,
    };
    let (major, minor) = (
        rustix::fs::major(found.rdev()),
        rustix::fs::minor(found.rdev()),
    );
    Some(format!("{kind} {major}:{minor} rwm"))
}

/// A line of fstab.
fn mount_entry(bind: &Bind) -> Result<String> {
    let kind = if bind.is_recursive { "rbind" } else { "bind" };
    let create = if bind.is_directory { "dir" } else { "file" };
    let mut options = vec![kind.to_owned(), format!("create={create}")];
    if bind.is_read_only {
        options.push("ro".to_owned());
    }
    if bind.is_optional {
        options.push("optional".to_owned());
    }
    options.extend(bind.propagation.clone());
    let source = escaped(text(&bind.source)?);
    let target = escaped(text(&bind.target)?.trim_start_matches('/'));
    Ok(format!("{source} {target} none {} 0 0", options.join(",")))
}

/// What separates the columns of fstab is written as a number there.
fn escaped(path: &str) -> String {
    path.replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
}

fn personality(architecture: &str) -> &'static str {
    let is_32 = matches!(
        architecture,
        "i686" | "armv6l" | "armv7l" | "armv8l" | "mips" | "ppc"
    );
    if is_32 { "linux32" } else { "linux64" }
}
