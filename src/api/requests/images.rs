//! Images and their aliases.

use super::Config;
use crate::api::{
    json::{decode_into, go_struct},
    time::Timestamp,
};

go_struct! {
    /// `POST /1.0/images` with JSON: fetch an image, publish an instance, or announce an upload.
    pub(crate) struct api.ImagesPost embeds put: ImagePut {
        /// The file name to show.
        filename: String,
        /// Where the image comes from; `None` when the body does not say.
        source: Option<ImagesPostSource>,
        /// How to compress a published image.
        compression_algorithm: String,
        /// The aliases to give it.
        aliases: Option<Vec<ImageAlias>>,
    }
}

go_struct! {
    /// Where a new image comes from.
    pub(crate) struct api.ImagesPostSource {
        /// The alias at the source (or a fingerprint, or its beginning).
        alias: String,
        /// The source server's certificate, PEM.
        certificate: String,
        /// `lxd`, `simplestreams` or `direct`.
        protocol: String,
        /// The source server's URL.
        server: String,
        /// Restricts the alias to images of this type.
        image_type: String,
        /// `pull`, `push` or nothing.
        mode: String,
        /// `image`, `url`, `instance`, `snapshot` ...
        kind as "type": String,
        /// Where to fetch the image from, for type `url`.
        url: String,
        /// The instance or snapshot to publish.
        name: String,
        /// The fingerprint at the source (or its beginning, or an alias).
        fingerprint: String,
        /// The secret that opens a private image.
        secret: String,
        /// The project at the source.
        project: String,
    }
}

go_struct! {
    /// An alias to give to a new image.
    #[derive(Clone, PartialEq, Eq)]
    pub(crate) struct api.ImageAlias {
        /// The alias.
        name: String,
        /// What it is for.
        description: String,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/images/FINGERPRINT`.
    pub(crate) struct api.ImagePut {
        /// Whether to keep the image up to date with its source.
        auto_update: bool,
        /// The image's properties.
        properties: Option<Config>,
        /// Whether everybody may fetch it.
        public: bool,
        /// When it expires; the zero time when not given.
        expires_at: Timestamp,
        /// The profiles for instances made of it: `None` means `default`, an empty list none.
        profiles: Option<Vec<String>>,
    }
}

go_struct! {
    /// `POST /1.0/images/FINGERPRINT/export`: hand the image to another server.
    pub(crate) struct api.ImageExportPost {
        /// The other server's URL.
        target: String,
        /// The secret it gave for this upload.
        secret: String,
        /// Its certificate, PEM.
        certificate: String,
        /// The project there.
        project: String,
    }
}

impl ImageExportPost {
    /// What can be read of `body`. LXD: errors in this one body are ignored.
    pub(crate) fn decode_leniently(body: &[u8]) -> Self {
        let mut request = Self::default();
        // What was readable is in `request`; an empty target fails later, with LXD's text.
        drop(decode_into(&mut request, body));
        request
    }
}

go_struct! {
    /// `POST /1.0/images/aliases`.
    pub(crate) struct api.ImageAliasesPost {
        /// The alias.
        name: String,
        /// What it is for.
        description: String,
        /// The fingerprint of the image, or its beginning.
        target: String,
        /// The type of instance it is for.
        kind as "type": String,
    }
}

go_struct! {
    /// `PUT /1.0/images/aliases/NAME`.
    pub(crate) struct api.ImageAliasesEntryPut {
        /// What it is for.
        description: String,
        /// The fingerprint of the image, or its beginning.
        target: String,
    }
}

go_struct! {
    /// `POST /1.0/images/aliases/NAME`: rename it.
    pub(crate) struct api.ImageAliasesEntryPost {
        /// The new name.
        name: String,
    }
}
