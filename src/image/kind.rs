//! What instances are made from an image.

/// What instances are made from an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageType {
    /// System containers.
    Container,
    /// Virtual machines.
    VirtualMachine,
}

impl ImageType {
    /// From LXD's name for it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Container, Self::VirtualMachine]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// LXD's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::VirtualMachine => "virtual-machine",
        }
    }
}
