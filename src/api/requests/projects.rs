//! Projects.

use super::Config;
use crate::api::json::go_struct;

go_struct! {
    /// `POST /1.0/projects`.
    pub(crate) struct api.ProjectsPost embeds put: ProjectPut {
        /// Its name.
        name: String,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/projects/NAME`.
    pub(crate) struct api.ProjectPut {
        /// Its configuration.
        config: Config,
        /// What it is for.
        description: String,
    }
}

go_struct! {
    /// `POST /1.0/projects/NAME`: rename it.
    pub(crate) struct api.ProjectPost {
        /// The new name.
        name: String,
    }
}
