//! One image, behind any of the three protocols.

use serde_json::{Value, json};

use super::{
    Page, Upstream,
    streams::{self, Tree},
};
use crate::support::{
    fingerprint, images,
    multipart::{CONTENT_TYPE, Multipart},
};

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// simplestreams.
    Streams,
    /// LXD's own.
    Lxd,
    /// A signpost and a file.
    Url,
}

/// All of them, in the order of the tables.
pub(crate) const PROTOCOLS: [Protocol; 3] = [Protocol::Streams, Protocol::Lxd, Protocol::Url];

/// An image at a server.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// The image's.
    pub(crate) fingerprint: String,
    /// Asks for it.
    pub(crate) source: Value,
    /// Where its bytes are, or those of its root.
    pub(crate) file: String,
    /// What is there.
    pub(crate) bytes: Vec<u8>,
    /// Where it is described.
    pub(crate) described: String,
}

const SERIAL: &str = "20240101_0000";

impl Protocol {
    /// Puts a unified image up at a server, called `a`.
    pub(crate) fn offer(self, upstream: &Upstream, marker: &str) -> Offer {
        self.put(upstream, &images::container_of_size(marker, 16 << 10))
    }

    /// Puts this unified image up at a server, called `a`.
    pub(crate) fn put(self, upstream: &Upstream, bytes: &[u8]) -> Offer {
        match self {
            Self::Streams => {
                let mut tree = Tree::new(upstream);
                let ftype = "lxd_combined.tar.gz";
                tree.product("a", &json!({}))
                    .version("a", SERIAL, &[(ftype, bytes)])
                    .publish();
                of_streams(upstream, ftype, fingerprint(&[bytes]), bytes.to_vec())
            }
            Self::Lxd => of_lxd(upstream, "container", bytes, None),
            Self::Url => of_url(upstream, bytes),
        }
    }

    /// Puts a split container image up. URLs know none.
    pub(crate) fn offer_split(self, upstream: &Upstream, marker: &str) -> Option<Offer> {
        let (metadata, root) = (
            images::metadata_tar(marker),
            images::noise(marker, 16 << 10),
        );
        match self {
            Self::Streams => {
                let mut tree = Tree::new(upstream);
                let files = [("lxd.tar.xz", &metadata[..]), ("squashfs", &root)];
                tree.product("a", &json!({}))
                    .version("a", SERIAL, &files)
                    .publish();
                let found = fingerprint(&[&metadata, &root]);
                Some(of_streams(upstream, "squashfs", found, root))
            }
            Self::Lxd => Some(of_lxd(upstream, "container", &metadata, Some(&root))),
            Self::Url => None,
        }
    }
}

fn of_streams(upstream: &Upstream, ftype: &str, found: String, bytes: Vec<u8>) -> Offer {
    Offer {
        fingerprint: found,
        source: json!({"type": "image", "mode": "pull", "protocol": "simplestreams",
            "server": upstream.url(), "alias": "a"}),
        file: streams::file("a", SERIAL, ftype),
        bytes,
        described: streams::PRODUCTS.to_owned(),
    }
}

/// Puts an image up at an LXD server, called `a`.
pub(crate) fn of_lxd(upstream: &Upstream, kind: &str, image: &[u8], root: Option<&[u8]>) -> Offer {
    let root_bytes = root.unwrap_or_default();
    let found = fingerprint(&[image, root_bytes]);
    let say = |path: &str, metadata: &Value| {
        let envelope = json!({"type": "sync", "status": "Success", "status_code": 200,
            "operation": "", "error_code": 0, "error": "", "metadata": metadata});
        upstream.page(path, Page::json(&envelope));
    };
    say("/1.0", &json!({"api_version": "1.0", "auth": "untrusted"}));
    let alias = json!({"name": "a", "target": found, "type": kind, "description": ""});
    say("/1.0/images/aliases/a", &alias);
    let described = format!("/1.0/images/{found}");
    let about = json!({"fingerprint": found, "type": kind, "architecture": "x86_64",
        "size": image.len() + root_bytes.len(), "filename": "a.tar", "public": true,
        "properties": {"os": "Testix"}, "created_at": images::CREATED, "aliases": []});
    say(&described, &about);
    let file = format!("{described}/export");
    let page = match root {
        None => Page::file(image)
            .header("Content-Type", "application/octet-stream")
            .header("Content-Disposition", "inline;filename=\"a.tar\""),
        Some(root) => {
            let name = match kind {
                "container" => "rootfs",
                _ => "rootfs.img",
            };
            let parts = Multipart::split(image, name, root);
            Page::bare(parts.body()).header("Content-Type", CONTENT_TYPE)
        }
    };
    let bytes = page.body.to_vec();
    upstream.page(&file, page);
    Offer {
        fingerprint: found,
        source: json!({"type": "image", "mode": "pull", "protocol": "lxd",
            "server": upstream.url(), "certificate": upstream.pem(), "alias": "a"}),
        file,
        bytes,
        described,
    }
}

/// Puts an image up behind a signpost.
fn of_url(upstream: &Upstream, bytes: &[u8]) -> Offer {
    let found = fingerprint(&[bytes]);
    let (described, file) = ("/image".to_owned(), "/image/a.tar".to_owned());
    let signpost = Page::bare("")
        .header("LXD-Image-Hash", &found)
        .header("LXD-Image-URL", &format!("{}{file}", upstream.url()));
    upstream.page(&described, signpost);
    upstream.page(&file, Page::file(bytes));
    Offer {
        fingerprint: found,
        source: json!({"type": "url", "mode": "pull",
            "url": format!("{}{described}", upstream.url())}),
        file,
        bytes: bytes.to_vec(),
        described,
    }
}
