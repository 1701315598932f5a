//! Bodies of requests for what this server does not have: read as far as refusals depend on them.

use crate::api::json::go_struct;

go_struct! {
    /// `PUT /1.0/cluster`.
    pub(crate) struct api.ClusterPut {
        /// What this member is to be called.
        server_name: String,
        /// Whether it is to be one.
        enabled: bool,
    }
}

go_struct! {
    /// `POST /1.0/networks`.
    pub(crate) struct api.NetworksPost {
        /// Its name.
        name: String,
        /// What it is made of.
        kind as "type": String,
    }
}

go_struct! {
    /// `POST /1.0/storage-pools/POOL/volumes`.
    pub(crate) struct api.StorageVolumesPost {
        /// Its name.
        name: String,
        /// What it is for.
        kind as "type": String,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/warnings/UUID`.
    pub(crate) struct api.WarningPut {
        /// `new` or `acknowledged`.
        status: String,
    }
}

go_struct! {
    /// `PUT /1.0/cluster/certificate`.
    pub(crate) struct api.ClusterCertificatePut {
        /// The certificate, PEM.
        certificate as "cluster_certificate": String,
        /// Its key, PEM.
        key as "cluster_certificate_key": String,
    }
}
