//! The server itself.

use std::collections::BTreeMap;

use crate::api::json::{Json, go_struct};

go_struct! {
    /// `PUT` and `PATCH /1.0`.
    pub(crate) struct api.ServerPut {
        /// The settings. LXD takes any JSON here and refuses what is no string later, by key.
        config: BTreeMap<String, Json>,
    }
}

go_struct! {
    /// `PUT /1.0/cluster`, as far as a server that never clusters needs it.
    pub(crate) struct api.ClusterPut {
        /// What to call this server.
        server_name: String,
        /// Whether to cluster.
        enabled: bool,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/warnings/UUID`.
    pub(crate) struct api.WarningPut {
        /// `new` or `acknowledged`.
        status: String,
    }
}
