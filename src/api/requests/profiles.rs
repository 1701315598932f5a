//! Profiles.

use super::{Config, Devices};
use crate::api::json::go_struct;

go_struct! {
    /// `POST /1.0/profiles`.
    pub(crate) struct api.ProfilesPost embeds put: ProfilePut {
        /// Its name.
        name: String,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/profiles/NAME`.
    pub(crate) struct api.ProfilePut {
        /// The configuration it gives.
        config: Config,
        /// What it is for.
        description: String,
        /// The devices it gives.
        devices: Devices,
    }
}

go_struct! {
    /// `POST /1.0/profiles/NAME`: rename it.
    pub(crate) struct api.ProfilePost {
        /// The new name.
        name: String,
    }
}
