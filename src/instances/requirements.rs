//! What an image says that its instances need, asked for before anything else at a start.

use std::path::Path;

use super::{Config, Instance};
use crate::{
    config::truth,
    error::{Error, Result},
    image::ImageType,
};

/// What a hierarchy of the first version of control groups always has.
const CGROUP_V1: &str = "/sys/fs/cgroup/systemd";

/// What this machine offers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host {
    has_cgroup_v1: bool,
}

impl Host {
    /// The machine that the daemon runs on.
    pub(super) fn this() -> Self {
        Self {
            has_cgroup_v1: Path::new(CGROUP_V1).exists(),
        }
    }
}

/// Checks what the image of an instance requires.
///
/// # Errors
///
/// LXD's texts for what is not there.
pub(super) fn check(instance: &Instance, host: Host) -> Result<()> {
    let wish = Wish {
        kind: instance.row.kind,
        image: &instance.row.config,
        config: &instance.config,
    };
    for key in wish.neglected() {
        // LXD 5.0 starts it all the same; later ones do not.
        tracing::warn!(
            instance.name = instance.name(),
            "the image asks for {key}=true"
        );
    }
    wish.refusal(host)
        .map_or(Ok(()), |text| Err(Error::failed(text)))
}

/// What an image wants, and what its instance is set to.
struct Wish<'a> {
    kind: ImageType,
    /// The instance's own keys, which the image's properties are among.
    image: &'a Config,
    /// What counts.
    config: &'a Config,
}

impl Wish<'_> {
    fn required(&self, name: &str) -> Option<&str> {
        let value = self.image.get(&format!("image.requirements.{name}"));
        value.map(String::as_str)
    }

    fn is_set(&self, key: &str, to: bool) -> bool {
        self.config
            .get(key)
            .is_some_and(|value| truth(value) == Some(to))
    }

    fn refusal(&self, host: Host) -> Option<&'static str> {
        match self.kind {
            ImageType::VirtualMachine => {
                let refuses = self.required("secureboot").and_then(truth) == Some(false);
                (refuses && !self.is_set("security.secureboot", false)).then_some(
                    "The image used by this instance is incompatible with secureboot. Please set \
                     security.secureboot=false on the instance",
                )
            }
            ImageType::Container => {
                let wants = self.required("cgroup") == Some("v1");
                (wants && !host.has_cgroup_v1)
                    .then_some("The image used by this instance requires a CGroupV1 host system")
            }
        }
    }

    fn neglected(&self) -> Vec<&'static str> {
        let wishes = [
            ("nesting", "security.nesting"),
            ("privileged", "security.privileged"),
        ];
        let neglected = wishes.into_iter().filter(|(name, key)| {
            let wanted = self.required(name).and_then(truth) == Some(true);
            wanted && self.kind == ImageType::Container && !self.is_set(key, true)
        });
        neglected.map(|(_, key)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: Host = Host {
        has_cgroup_v1: true,
    };
    const V2: Host = Host {
        has_cgroup_v1: false,
    };

    fn refusal(kind: ImageType, config: &[(&str, &str)], host: Host) -> Option<&'static str> {
        let config = config.iter();
        let config: Config = config
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let wish = Wish {
            kind,
            image: &config,
            config: &config,
        };
        wish.refusal(host)
    }

    #[test]
    fn secure_boot_is_a_matter_of_virtual_machines_that_want_it() {
        let image = ("image.requirements.secureboot", "false");
        let other = ("image.requirements.secureboot", "true");
        let off = ("security.secureboot", "false");
        let machine = ImageType::VirtualMachine;
        let refused = refusal(machine, &[image], V2).unwrap();
        assert!(
            refused.contains("incompatible with secureboot"),
            "{refused}"
        );
        assert_eq!(refusal(machine, &[image, off], V2), None);
        assert_eq!(refusal(machine, &[other], V2), None);
        assert_eq!(refusal(ImageType::Container, &[image], V2), None);
    }

    #[test]
    fn control_groups_are_a_matter_of_the_host() {
        let image = ("image.requirements.cgroup", "v1");
        let other = ("image.requirements.cgroup", "v2");
        let refused = refusal(ImageType::Container, &[image], V2).unwrap();
        assert!(
            refused.contains("requires a CGroupV1 host system"),
            "{refused}"
        );
        assert_eq!(refusal(ImageType::Container, &[image], V1), None);
        assert_eq!(refusal(ImageType::Container, &[other], V2), None);
        assert_eq!(refusal(ImageType::VirtualMachine, &[image], V2), None);
    }

    #[test]
    fn what_later_versions_ask_for_keeps_nobody_from_starting() {
        let config = [
            ("image.requirements.nesting", "true"),
            ("image.requirements.privileged", "true"),
        ];
        assert_eq!(refusal(ImageType::Container, &config, V2), None);
    }
}
