//! Trees of simplestreams.

use serde_json::{Value, json};

use super::{Page, Upstream};
use crate::support::{fingerprint, pulls::merged};

/// Where the index is.
pub(crate) const INDEX: &str = "/streams/v1/index.json";

/// Where the list of products is.
pub(crate) const PRODUCTS: &str = "/streams/v1/images.json";

/// Types of root files, and under which name the metadata tells what image it makes with them.
const COMBINED: &[(&str, &str)] = &[
    ("squashfs", "combined_squashfs_sha256"),
    ("root.squashfs", "combined_squashfs_sha256"),
    ("root.tar.xz", "combined_rootxz_sha256"),
    ("disk-kvm.img", "combined_disk-kvm-img_sha256"),
    ("disk.qcow2", "combined_disk-kvm-img_sha256"),
    ("disk1.img", "combined_disk1-img_sha256"),
    ("uefi1.img", "combined_uefi1-img_sha256"),
];

/// What a server offers. [`Self::publish`] puts it there.
pub(crate) struct Tree<'a> {
    upstream: &'a Upstream,
    /// The list of products, for tests that spoil it.
    pub(crate) products: Value,
    /// What the index says of that list.
    pub(crate) entry: Value,
}

impl<'a> Tree<'a> {
    /// An empty one.
    pub(crate) fn new(upstream: &'a Upstream) -> Self {
        Self {
            upstream,
            products: json!({"content_id": "images", "datatype": "image-downloads",
                "format": "products:1.0", "products": {}}),
            entry: json!({"datatype": "image-downloads", "format": "products:1.0",
                "path": &PRODUCTS[1..], "products": []}),
        }
    }

    /// Adds a product that its key also names, with more said of it.
    pub(crate) fn product(&mut self, key: &str, more: &Value) -> &mut Self {
        let about = json!({"aliases": key, "arch": "amd64", "os": "Testix", "release": "one",
            "release_title": "One", "variant": "default", "versions": {}});
        self.products["products"][key] = merged(about, more);
        self
    }

    /// Adds a version of a product, made of files of these types, which are there at once.
    pub(crate) fn version(
        &mut self,
        key: &str,
        serial: &str,
        files: &[(&str, &[u8])],
    ) -> &mut Self {
        let mut items = json!({});
        for (ftype, bytes) in files {
            let path = file(key, serial, ftype);
            self.upstream.page(&path, Page::file(bytes));
            items[*ftype] = json!({"ftype": ftype, "path": &path[1..],
                "sha256": fingerprint(&[bytes]), "size": bytes.len()});
        }
        for metadata in ["lxd.tar.xz", "incus.tar.xz"] {
            let bytes = files.iter().find(|(ftype, _)| *ftype == metadata);
            let Some((_, bytes)) = bytes else { continue };
            for (ftype, root) in files {
                let combined = COMBINED.iter().find(|(known, _)| known == ftype);
                let Some((_, name)) = combined else { continue };
                items[metadata][*name] = json!(fingerprint(&[bytes, root]));
            }
        }
        self.products["products"][key]["versions"][serial] = json!({"label": "release",
            "items": items});
        self
    }

    /// An item of a version, for tests that spoil it.
    pub(crate) fn item(&mut self, key: &str, serial: &str, ftype: &str) -> &mut Value {
        &mut self.products["products"][key]["versions"][serial]["items"][ftype]
    }

    /// Puts index and list up.
    pub(crate) fn publish(&mut self) {
        let products = self.products["products"].as_object().unwrap();
        self.entry["products"] = products.keys().cloned().collect();
        let index = json!({"format": "index:1.0", "index": {"images": self.entry}});
        self.upstream.page(INDEX, Page::json(&index));
        self.upstream.page(PRODUCTS, Page::json(&self.products));
    }
}

/// Where a file of a version is.
pub(crate) fn file(key: &str, serial: &str, ftype: &str) -> String {
    format!("/images/{key}/{serial}/{ftype}")
}
