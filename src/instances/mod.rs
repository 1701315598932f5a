//! What instances are made with: profiles and storage pools.

mod pools;
mod profiles;

pub(crate) use pools::Pools;
pub(crate) use profiles::Profiles;
