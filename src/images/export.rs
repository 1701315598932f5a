//! Handing out an image's files.

use std::{fs::File, os::unix::fs::FileExt};

use super::{Event, Images};
use crate::{
    access::Scope,
    api::objects::Requestor,
    db::{blobs, images::ImageRow},
    error::{Error, Result},
    image::{Fingerprint, Format, SNIFF_BYTES},
};

/// The open files of an image. They stay whole when the image is deleted meanwhile.
#[derive(Debug)]
pub(crate) enum Exported {
    /// A unified image.
    Unified {
        /// Its file.
        file: File,
        /// What the client is to call it: the fingerprint and the suffix of the format.
        filename: String,
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// A split image.
    Split {
        /// The metadata tarball and its name.
        metadata: (File, String),
        /// The root file and its name.
        rootfs: (File, String),
        /// What the root's part is called: `rootfs` or `rootfs.img`.
        part: &'static str,
    },
}

impl Images {
    /// Opens the files of an image.
    pub(crate) async fn export(&self, row: &ImageRow) -> Result<Exported> {
        let fingerprint: Fingerprint = row
            .fingerprint
            .parse()
            .map_err(|_| Error::failed("Invalid fingerprint"))?;
        let mut session = self.db.read().await?;
        let layout = blobs::find(&mut session, &fingerprint).await?;
        drop(session);
        // Deleted since the row was read.
        let layout = layout.ok_or_else(super::query::not_found)?;
        let store = self.store.clone();
        let part = if row.kind == "container" {
            "rootfs"
        } else {
            "rootfs.img"
        };
        self.tasks
            .run_blocking(move || exported(store.files(&fingerprint, layout)?, fingerprint, part))
            .await
    }

    /// Tells that somebody fetched an image.
    // LXD: only for unified images.
    pub(crate) fn tell_retrieved(&self, scope: &Scope, row: &ImageRow, requestor: &Requestor) {
        let path = format!("/1.0/images/{}", row.fingerprint);
        let requestor = Some(requestor);
        self.tell(Event {
            action: "image-retrieved",
            path: &path,
            scope,
            requestor,
            details: &[],
        });
    }
}

fn exported(
    files: crate::store::Files,
    fingerprint: Fingerprint,
    part: &'static str,
) -> Result<Exported> {
    let name = format!(
        "{fingerprint}{}",
        suffix(files.rootfs.as_ref().unwrap_or(&files.image))?
    );
    let Some(rootfs) = files.rootfs else {
        return Ok(Exported::Unified {
            file: files.image,
            filename: name,
            fingerprint,
        });
    };
    let metadata_name = format!("meta-{fingerprint}{}", suffix(&files.image)?);
    let metadata = (files.image, metadata_name);
    Ok(Exported::Split {
        metadata,
        rootfs: (rootfs, name),
        part,
    })
}

/// The suffix comes from the bytes, never from the name that was uploaded.
fn suffix(file: &File) -> Result<&'static str> {
    let mut head = [0; SNIFF_BYTES];
    let read = file.read_at(&mut head, 0)?;
    let head = head.get(..read).unwrap_or_default();
    Ok(Format::of(head).map_or("", Format::suffix))
}
