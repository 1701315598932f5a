//! What instances are made with and run on: profiles, storage pools, the machine.

mod networks;
mod pools;
mod profiles;
mod resources;

pub(crate) use networks::{find_network, networks};
pub(crate) use pools::Pools;
pub(crate) use profiles::Profiles;
pub(crate) use resources::resources;
