//! Storage pools and networks.

use super::Config;
use crate::api::json::go_struct;

go_struct! {
    /// `POST /1.0/storage-pools`.
    pub(crate) struct api.StoragePoolsPost embeds put: StoragePoolPut {
        /// Its name.
        name: String,
        /// Its driver.
        driver: String,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/storage-pools/NAME`.
    pub(crate) struct api.StoragePoolPut {
        /// Its configuration.
        config: Config,
        /// What it is for.
        description: String,
    }
}
