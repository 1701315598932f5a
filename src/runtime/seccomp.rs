//! Which of the kernel's calls are refused inside: LXD's policy.

use std::path::Path;

/// Where the kernel tells what it can do with a call.
const ACTIONS: &str = "/proc/sys/kernel/seccomp/actions_avail";

/// What no container may ask the kernel for: it would reach beyond the container, through file
/// handles to all of a file system, or into the kernel itself.
// LXD: its words.
const DEFAULT: &str = "reject_force_umount\n\
    [all]\n\
    kexec_load errno 38\n\
    open_by_handle_at errno 38\n\
    init_module errno 38\n\
    finit_module errno 38\n\
    delete_module errno 38\n";

/// What an instance's keys say of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Syscalls {
    /// The whole policy, in liblxc's words, instead of all else.
    pub(crate) raw: String,
    /// The only calls that are allowed.
    pub(crate) allowed: String,
    /// Calls that are refused.
    pub(crate) denied: String,
    /// Whether those that no container should have are not refused.
    pub(crate) has_no_default: bool,
}

impl Syscalls {
    /// The policy as liblxc reads it.
    pub(super) fn policy(&self) -> String {
        if !self.raw.is_empty() {
            return self.raw.clone();
        }
        if !self.allowed.is_empty() {
            return format!("2\nallowlist\n[all]\n{}\n", self.allowed);
        }
        let default = if self.has_no_default { "" } else { DEFAULT };
        format!("2\ndenylist\n{default}[all]\n{}\n", self.denied)
    }
}

/// Whether the kernel has it.
pub(super) fn is_available() -> bool {
    Path::new(ACTIONS).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_exact_key_counts() {
        let mut syscalls = Syscalls::default();
        assert!(syscalls.policy().starts_with("2\ndenylist\nreject_force"));
        assert!(syscalls.policy().contains("\nopen_by_handle_at errno 38\n"));
        syscalls.denied = "reboot errno 1".to_owned();
        assert!(syscalls.policy().ends_with("[all]\nreboot errno 1\n"));
        syscalls.has_no_default = true;
        assert_eq!(syscalls.policy(), "2\ndenylist\n[all]\nreboot errno 1\n");
        syscalls.allowed = "read\nwrite".to_owned();
        assert_eq!(syscalls.policy(), "2\nallowlist\n[all]\nread\nwrite\n");
        syscalls.raw = "2\ndenylist\n".to_owned();
        assert_eq!(syscalls.policy(), "2\ndenylist\n");
    }
}
