//! Handing out an image's files.

use std::{fs::File, os::unix::fs::FileExt};

use super::{Event, Images};
use crate::{
    access::Scope,
    api::objects::Requestor,
    db::{blobs, images::ImageRow},
    error::{Error, Result},
    image::{Fingerprint, Format, SNIFF_BYTES},
    store::Files,
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
    /// A split image: metadata first, then its root.
    Split([ExportedPart; 2]),
}

/// One file of a split image.
#[derive(Debug)]
pub(crate) struct ExportedPart {
    /// What its part is called: `metadata`, `rootfs` or `rootfs.img`.
    pub(crate) name: &'static str,
    /// What the client is to call it.
    pub(crate) filename: String,
    /// The file.
    pub(crate) file: File,
}

impl Images {
    /// Opens the files of an image.
    pub(crate) async fn export(&self, row: &ImageRow) -> Result<Exported> {
        let fingerprint = row.fingerprint.clone();
        let files = self.open(&fingerprint).await?;
        let part = if row.kind == "container" {
            "rootfs"
        } else {
            "rootfs.img"
        };
        self.tasks
            .run_blocking(move || exported(files, fingerprint, part))
            .await
    }

    /// Opens the files of an image as they are stored. They stay whole when it is deleted.
    pub(crate) async fn open(&self, fingerprint: &Fingerprint) -> Result<Files> {
        let mut files = self.files(fingerprint).await?;
        if files.is_none() {
            // Somebody is removing the image, or brings it in again.
            let _held = self.store.lock(fingerprint).await;
            files = self.files(fingerprint).await?;
        }
        files.ok_or_else(|| Error::failed("Failed to open the image file"))
    }

    /// The files of an image; `None` when its row says that they are there and they are not.
    async fn files(&self, fingerprint: &Fingerprint) -> Result<Option<Files>> {
        let layout = blobs::find(&mut *self.db.read().await?, fingerprint).await?;
        // Deleted since the image's row was read.
        let layout = layout.ok_or_else(super::query::not_found)?;
        let (store, fingerprint) = (self.store.clone(), fingerprint.clone());
        self.tasks
            .run_blocking(move || store.files(&fingerprint, layout))
            .await
    }

    /// Tells that somebody fetched an image.
    // LXD: only for unified images.
    pub(crate) fn tell_retrieved(&self, scope: &Scope, row: &ImageRow, requestor: &Requestor) {
        let path = format!("/1.0/images/{}", row.fingerprint);
        let requestor = Some(requestor);
        self.tell(&Event {
            action: "image-retrieved",
            path: &path,
            scope,
            requestor,
            details: &[],
        });
    }
}

fn exported(files: Files, fingerprint: Fingerprint, root_name: &'static str) -> Result<Exported> {
    let suffix_of_root = suffix(files.rootfs.as_ref().unwrap_or(&files.image))?;
    let filename = format!("{fingerprint}{suffix_of_root}");
    let Some(rootfs) = files.rootfs else {
        return Ok(Exported::Unified {
            file: files.image,
            filename,
            fingerprint,
        });
    };
    let metadata_name = format!("meta-{fingerprint}{}", suffix(&files.image)?);
    Ok(Exported::Split([
        ExportedPart {
            name: "metadata",
            filename: metadata_name,
            file: files.image,
        },
        ExportedPart {
            name: root_name,
            filename,
            file: rootfs,
        },
    ]))
}

/// The suffix comes from the bytes, never from the name that was uploaded.
fn suffix(file: &File) -> Result<&'static str> {
    let mut head = [0; SNIFF_BYTES];
    let read = file.read_at(&mut head, 0)?;
    let head = head.get(..read).unwrap_or_default();
    Ok(Format::of(head).map_or("", Format::suffix))
}
