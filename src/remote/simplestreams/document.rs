//! The documents of a simplestreams server, as far as they are read.
//!
//! `null` is as good as nothing, as for Go; whatever else is in them is ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// `streams/v1/index.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Index {
    #[serde(default, deserialize_with = "map_or_default")]
    pub(super) index: BTreeMap<String, IndexEntry>,
}

/// One list of products.
#[derive(Debug, Default, Deserialize)]
pub(super) struct IndexEntry {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) datatype: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) path: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) products: Vec<String>,
}

/// A list of products.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Products {
    #[serde(default, deserialize_with = "map_or_default")]
    pub(super) products: BTreeMap<String, Product>,
    /// When it was made, RFC 2822.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) updated: String,
}

/// An operating system's release, for one architecture, in one variant.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Product {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) aliases: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) arch: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) os: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) release: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) release_codename: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) release_title: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) version: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) variant: String,
    /// `YYYY-MM-DD`.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) support_eol: String,
    #[serde(default, deserialize_with = "map_or_default")]
    pub(super) lxd_requirements: BTreeMap<String, String>,
    /// The same under the name that newer servers use.
    #[serde(default, deserialize_with = "map_or_default")]
    pub(super) requirements: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "map_or_default")]
    pub(super) versions: BTreeMap<String, Version>,
}

/// What was built on one day.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Version {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) label: String,
    #[serde(default, deserialize_with = "map_or_default")]
    pub(super) items: BTreeMap<String, Item>,
}

/// A file.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Item {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) ftype: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) path: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) sha256: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) size: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) delta_base: String,
    #[serde(default, deserialize_with = "or_default")]
    combined_sha256: String,
    #[serde(default, deserialize_with = "or_default")]
    combined_rootxz_sha256: String,
    #[serde(default, deserialize_with = "or_default")]
    combined_squashfs_sha256: String,
    #[serde(
        default,
        deserialize_with = "or_default",
        rename = "combined_disk-kvm-img_sha256"
    )]
    combined_disk_kvm_sha256: String,
    #[serde(
        default,
        deserialize_with = "or_default",
        rename = "combined_disk1-img_sha256"
    )]
    combined_disk1_sha256: String,
    #[serde(
        default,
        deserialize_with = "or_default",
        rename = "combined_uefi1-img_sha256"
    )]
    combined_uefi1_sha256: String,
}

impl Item {
    /// The fingerprint of the image that this metadata makes with a root of type `ftype`.
    pub(super) fn combined(&self, ftype: &str) -> &str {
        match ftype {
            "squashfs" | "root.squashfs" => &self.combined_squashfs_sha256,
            "root.tar.xz" if self.combined_rootxz_sha256.is_empty() => &self.combined_sha256,
            "root.tar.xz" => &self.combined_rootxz_sha256,
            "disk-kvm.img" | "disk.qcow2" => &self.combined_disk_kvm_sha256,
            "disk1.img" => &self.combined_disk1_sha256,
            "uefi1.img" => &self.combined_uefi1_sha256,
            _ => "",
        }
    }
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn map_or_default<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    let map: Option<BTreeMap<String, Option<T>>> = Option::deserialize(deserializer)?;
    let entries = map.unwrap_or_default().into_iter();
    Ok(entries
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}
