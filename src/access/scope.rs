//! Which project's images and profiles a request is about.

use crate::{
    config,
    db::{
        ProjectId, Session,
        projects::{self, ProjectRow},
    },
    error::{Error, Result},
};

/// The project whose images and profiles every other may share.
pub(crate) const DEFAULT: &str = "default";

/// A request's project, and where its images and profiles really are: with
/// `features.images=false` they are those of the project `default`, and likewise for profiles.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The project the client named.
    pub(crate) project: ProjectRow,
    /// Whose images it uses.
    pub(crate) images: ProjectId,
    /// The name of that project.
    pub(crate) images_name: String,
    /// Whose profiles it uses.
    pub(crate) profiles: ProjectId,
}

impl Scope {
    /// Looks the project up.
    ///
    /// # Errors
    ///
    /// 404 `Project not found`, to which callers add LXD's prefix for their endpoint.
    pub(crate) async fn find(session: &mut Session, name: &str) -> Result<Self> {
        let project = find(session, name).await?;
        let own_images = config::project::feature(&project.config, "features.images");
        let own_profiles = config::project::feature(&project.config, "features.profiles");
        if own_images && own_profiles {
            let (images, images_name) = (project.id, project.name.clone());
            return Ok(Self {
                images,
                images_name,
                profiles: project.id,
                project,
            });
        }
        let shared = find(session, DEFAULT).await?;
        let images = if own_images { &project } else { &shared };
        let profiles = if own_profiles { project.id } else { shared.id };
        let (images, images_name) = (images.id, images.name.clone());
        Ok(Self {
            project,
            images,
            images_name,
            profiles,
        })
    }
}

impl Scope {
    /// The project as it is now, if it is still the one that was looked up: numbers of rows are
    /// used again.
    ///
    /// # Errors
    ///
    /// 404 when it is gone.
    pub(crate) async fn check(&self, session: &mut Session) -> Result<ProjectRow> {
        let project = find(session, &self.project.name).await?;
        if project.id != self.project.id {
            return Err(Error::not_found("Project not found"));
        }
        Ok(project)
    }
}

async fn find(session: &mut Session, name: &str) -> Result<ProjectRow> {
    let found = projects::find(session, name).await?;
    found.ok_or_else(|| Error::not_found("Project not found"))
}
