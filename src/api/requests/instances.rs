//! Instances, as far as images need them.

use std::borrow::Cow;

use super::{Config, Devices};
use crate::{
    api::{
        json::{Decode, Decoder, Kind, go_struct},
        time::Timestamp,
    },
    error::Result,
};

go_struct! {
    /// `POST /1.0/instances`.
    pub(crate) struct api.InstancesPost embeds put: InstancePut {
        /// Its name; made up when empty.
        name: String,
        /// What to make it of.
        source: InstanceSource,
        /// The name of a cloud's instance size.
        instance_type: String,
        /// Container or virtual machine.
        kind as "type": InstanceType,
    }
}

/// `container`, `virtual-machine`, nothing, or whatever else the client wrote.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct InstanceType(pub(crate) String);

impl Decode for InstanceType {
    fn go_type() -> Cow<'static, str> {
        "api.InstanceType".into()
    }

    fn decode(&mut self, from: &mut Decoder<'_>) -> Result<()> {
        match from.kind() {
            Kind::Null | Kind::String => self.0.decode(from),
            _ => {
                from.mismatch::<Self>();
                Ok(())
            }
        }
    }
}

go_struct! {
    /// What a new instance is made of.
    pub(crate) struct api.InstanceSource {
        /// `image`, `none`, `copy` or `migration`.
        kind as "type": String,
        /// The certificate of the image server or of the other LXD, PEM.
        certificate: String,
        /// The image's alias.
        alias: String,
        /// The image's fingerprint, or its beginning.
        fingerprint: String,
        /// Properties that the image must have.
        properties: Option<Config>,
        /// The image server's URL.
        server: String,
        /// The secret that opens a private image.
        secret: String,
        /// The image server's protocol.
        protocol: String,
        /// The image a migrated instance was made of.
        base_image as "base-image": String,
        /// `pull` or `push`.
        mode: String,
        /// The URL of the other LXD's operation.
        operation: String,
        /// The secrets of the migration's channels.
        secrets: Config,
        /// The instance or snapshot to copy.
        source: String,
        /// Whether to move it with its state.
        live: bool,
        /// Whether to leave its snapshots behind.
        instance_only: bool,
        /// The old name of `instance_only`.
        container_only: bool,
        /// Whether to update an instance that is there.
        refresh: bool,
        /// The project of the instance to copy.
        project: String,
        /// Whether files may change while they are copied.
        allow_inconsistent: bool,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/instances/NAME`.
    pub(crate) struct api.InstancePut {
        /// Its architecture.
        architecture: String,
        /// Its configuration.
        config: Config,
        /// Its devices.
        devices: Devices,
        /// Whether it goes away when it stops.
        ephemeral: bool,
        /// Its profiles; `None` lets the server choose for a new instance.
        profiles: Option<Vec<String>>,
        /// The snapshot to restore.
        restore: String,
        /// Whether to restore its state too.
        stateful: bool,
        /// What it is for.
        description: String,
    }
}

go_struct! {
    /// `POST /1.0/instances/NAME`: rename or migrate it.
    pub(crate) struct api.InstancePost {
        /// The new name.
        name: String,
        /// Whether this is a migration.
        migration: bool,
        /// Whether to move it with its state.
        live: bool,
        /// Whether to leave its snapshots behind.
        instance_only: bool,
        /// The old name of `instance_only`.
        container_only: bool,
        /// The server to move it to.
        target: Option<InstancePostTarget>,
        /// The pool to move it to.
        pool: String,
        /// The project to move it to.
        project: String,
        /// Whether files may change while they are copied.
        allow_inconsistent: bool,
    }
}

go_struct! {
    /// The server to which an instance moves.
    pub(crate) struct api.InstancePostTarget {
        /// Its certificate, PEM.
        certificate: String,
        /// The URL of its operation.
        operation: String,
        /// The secrets of the migration's channels.
        secrets: Config,
    }
}

go_struct! {
    /// `PUT /1.0/instances/NAME/state`.
    pub(crate) struct api.InstanceStatePut {
        /// `start`, `stop`, `restart`, `freeze` or `unfreeze`.
        action: String,
        /// How long it may take, in seconds; -1 is without limit.
        timeout: isize,
        /// Whether to kill it.
        force: bool,
        /// Whether to keep its state.
        stateful: bool,
    }
}

go_struct! {
    /// `PUT /1.0/instances`: the state of all of them.
    pub(crate) struct api.InstancesPut {
        /// What to do with each.
        state: Option<InstanceStatePut>,
    }
}

go_struct! {
    /// `POST /1.0/instances/NAME/snapshots`.
    pub(crate) struct api.InstanceSnapshotsPost {
        /// Its name; numbered when empty.
        name: String,
        /// Whether to keep the state too.
        stateful: bool,
        /// When it expires; `None` leaves that to the instance's configuration.
        expires_at: Option<Timestamp>,
    }
}
