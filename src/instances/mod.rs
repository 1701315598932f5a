//! Profiles and storage pools.
