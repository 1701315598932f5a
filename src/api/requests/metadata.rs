//! The metadata of an instance, which becomes that of the image it is published as.

use std::collections::BTreeMap;

use super::Config;
use crate::api::json::go_struct;

go_struct! {
    /// `PUT` and `PATCH /1.0/instances/NAME/metadata`.
    pub(crate) struct api.ImageMetadata {
        /// The architecture.
        architecture: String,
        /// When the image was made, in seconds since the epoch.
        creation_date: i64,
        /// When it expires, in seconds since the epoch; 0 is never.
        expiry_date: i64,
        /// The image's properties.
        properties: Config,
        /// The templates, by the path of the file each one makes; one may be `null`.
        templates: BTreeMap<String, Option<ImageMetadataTemplate>>,
    }
}

go_struct! {
    /// A template of an image.
    pub(crate) struct api.ImageMetadataTemplate {
        /// On which events it is applied: `create`, `copy`, `start` ...
        when: Vec<String>,
        /// Whether a file that exists stays as it is.
        create_only: bool,
        /// The template's file name.
        template: String,
        /// Values for the template.
        properties: Config,
    }
}
