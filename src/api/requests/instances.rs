//! Instances and their snapshots.

use std::collections::BTreeMap;

use super::{Config, Devices};
use crate::{
    api::{json::go_struct, time::Timestamp},
    image::{MetadataFile, Template},
};

go_struct! {
    /// `POST /1.0/instances`.
    pub(crate) struct api.InstancesPost embeds put: InstancePut {
        /// Its name; empty to have one made up.
        name: String,
        /// What it is made from.
        source: InstanceSource,
        /// A cloud's name for a size, such as `t2.micro`, or `c1-m2`.
        instance_type: String,
        /// `container` or `virtual-machine`.
        kind as "type": String,
    }
}

go_struct! {
    /// `PUT /1.0/instances/NAME`.
    #[derive(Clone)]
    pub(crate) struct api.InstancePut {
        /// Its architecture.
        architecture: String,
        /// Its own configuration.
        config: Option<Config>,
        /// Its own devices.
        devices: Option<Devices>,
        /// Whether it goes when it stops.
        ephemeral: bool,
        /// Its profiles: `None` leaves the choice to the image, an empty list means none.
        profiles: Option<Vec<String>>,
        /// The snapshot to go back to.
        restore: String,
        /// Whether the memory is meant too.
        stateful: bool,
        /// Free text.
        description: String,
    }
}

go_struct! {
    /// What a new instance is made from.
    #[derive(Clone)]
    pub(crate) struct api.InstanceSource {
        /// `image`, `none`, `copy` or `migration`.
        kind as "type": String,
        /// The other server's certificate, PEM.
        certificate: String,
        /// The image's alias.
        alias: String,
        /// The image's fingerprint, or the beginning of one.
        fingerprint: String,
        /// Properties the image has to have.
        properties: Option<Config>,
        /// The other server's URL.
        server: String,
        /// The secret that opens a private image there.
        secret: String,
        /// `lxd` or `simplestreams`.
        protocol: String,
        /// The image an instance that is copied was made from.
        base_image as "base-image": String,
        /// `pull` or `push`.
        mode: String,
        /// The operation of a migration.
        operation: String,
        /// The secrets of a migration's connections.
        secrets as "secrets": Option<Config>,
        /// The instance to copy, or a snapshot of it.
        source: String,
        /// Whether the memory comes too.
        live: bool,
        /// Leave the snapshots out.
        instance_only: bool,
        /// The same, by its old name.
        container_only: bool,
        /// Bring a copy up to date.
        refresh: bool,
        /// The project of the instance to copy.
        project: String,
        /// Go on when files change meanwhile.
        allow_inconsistent: bool,
    }
}

go_struct! {
    /// `POST /1.0/instances/NAME`: rename, move or migrate it.
    pub(crate) struct api.InstancePost {
        /// The new name.
        name: String,
        /// Whether it goes to another server.
        migration: bool,
        /// Whether it goes running.
        live: bool,
        /// Leave the snapshots out.
        instance_only: bool,
        /// The same, by its old name.
        container_only: bool,
        /// Where a push goes to.
        target: Option<InstancePostTarget>,
        /// The pool to move to.
        pool: String,
        /// The project to move to.
        project: String,
        /// Go on when files change meanwhile.
        allow_inconsistent: bool,
    }
}

go_struct! {
    /// Where a push goes to.
    pub(crate) struct api.InstancePostTarget {
        /// The other server's certificate, PEM.
        certificate: String,
        /// The operation there.
        operation: String,
        /// The secrets of its connections.
        secrets as "secrets": Option<Config>,
    }
}

go_struct! {
    /// `PUT /1.0/instances/NAME/state`.
    pub(crate) struct api.InstanceStatePut {
        /// `start`, `stop`, `restart`, `freeze` or `unfreeze`.
        action: String,
        /// Seconds; 0 for none, negative for as long as it takes, as if absent.
        timeout: Option<isize>,
        /// Whether it is killed.
        force: bool,
        /// Whether the memory is meant too.
        stateful: bool,
    }
}

go_struct! {
    /// `PUT /1.0/instances`: the same for all of them.
    pub(crate) struct api.InstancesPut {
        /// What all of them are to do.
        state: Option<InstanceStatePut>,
    }
}

go_struct! {
    /// `POST /1.0/instances/NAME/snapshots`.
    pub(crate) struct api.InstanceSnapshotsPost {
        /// Its name; empty to have one made up.
        name: String,
        /// Whether the memory is kept too.
        stateful: bool,
        /// When it goes.
        expires_at: Option<Timestamp>,
    }
}

go_struct! {
    /// `PUT /1.0/instances/NAME/snapshots/SNAPSHOT`.
    pub(crate) struct api.InstanceSnapshotPut {
        /// When it goes; the zero time for never.
        expires_at: Timestamp,
    }
}

go_struct! {
    /// `POST /1.0/instances/NAME/snapshots/SNAPSHOT`: rename or migrate it.
    pub(crate) struct api.InstanceSnapshotPost {
        /// The new name.
        name: String,
        /// Whether it goes to another server.
        migration: bool,
        /// Where a push goes to.
        target: Option<InstancePostTarget>,
        /// Whether it goes running.
        live: bool,
    }
}

go_struct! {
    /// `POST /1.0/instances/NAME/exec`.
    pub(crate) struct api.InstanceExecPost {
        /// The program and its arguments.
        command: Vec<String>,
        /// Whether clients connect before it begins.
        wait_for_websocket as "wait-for-websocket": bool,
        /// Whether it gets a terminal.
        interactive: bool,
        /// Variables.
        environment: Option<Config>,
        /// The terminal's width.
        width: isize,
        /// The terminal's height.
        height: isize,
        /// Whether what it writes is kept.
        record_output as "record-output": bool,
        /// The container's id of the user.
        user: u32,
        /// The container's id of the group.
        group: u32,
        /// Where it begins.
        cwd: String,
    }
}

go_struct! {
    /// `POST /1.0/instances/NAME/console`.
    pub(crate) struct api.InstanceConsolePost {
        /// The terminal's width.
        width: isize,
        /// The terminal's height.
        height: isize,
        /// `console` or `vga`.
        kind as "type": String,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/instances/NAME/metadata`.
    pub(crate) struct api.ImageMetadata {
        /// What it runs on.
        architecture: String,
        /// When it was made, in seconds since the epoch.
        creation_date: i64,
        /// When it is out of date.
        expiry_date: i64,
        /// Free properties.
        properties: Option<Config>,
        /// Templates by the path they are written to.
        templates: Option<BTreeMap<String, Option<ImageMetadataTemplate>>>,
    }
}

go_struct! {
    /// A template in an [`ImageMetadata`].
    pub(crate) struct api.ImageMetadataTemplate {
        /// What it is rendered at.
        when: Option<Vec<String>>,
        /// Whether a file that is there already stays as it is.
        create_only: bool,
        /// The file in `templates/`.
        template: String,
        /// What it can read.
        properties: Option<Config>,
    }
}

impl From<MetadataFile> for ImageMetadata {
    fn from(file: MetadataFile) -> Self {
        Self {
            architecture: file.architecture,
            creation_date: file.creation_date,
            expiry_date: file.expiry_date,
            properties: file.properties,
            templates: file.templates.map(|templates| {
                let templates = templates.into_iter();
                let templates = templates.map(|(path, template)| (path, template.map(Into::into)));
                templates.collect()
            }),
        }
    }
}

impl From<ImageMetadata> for MetadataFile {
    fn from(sent: ImageMetadata) -> Self {
        Self {
            architecture: sent.architecture,
            creation_date: sent.creation_date,
            expiry_date: sent.expiry_date,
            properties: sent.properties,
            templates: sent.templates.map(|templates| {
                let templates = templates.into_iter();
                let templates = templates.map(|(path, template)| (path, template.map(Into::into)));
                templates.collect()
            }),
        }
    }
}

impl From<Template> for ImageMetadataTemplate {
    fn from(template: Template) -> Self {
        Self {
            when: template.when,
            create_only: template.create_only,
            template: template.template,
            properties: template.properties,
        }
    }
}

impl From<ImageMetadataTemplate> for Template {
    fn from(sent: ImageMetadataTemplate) -> Self {
        Self {
            when: sent.when,
            create_only: sent.create_only,
            template: sent.template,
            properties: sent.properties,
        }
    }
}
