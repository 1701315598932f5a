//! Projects: each has images, aliases and profiles of its own, unless its features say that it
//! shares those of the project `default`.

use std::collections::BTreeMap;

use super::{Edit, Population, scope::DEFAULT};
use crate::{
    api::{
        objects::{Project, ProjectState, Requestor, ResourceUse},
        requests::ProjectPut,
        url::escape,
    },
    config,
    db::{
        self, Db, ProjectId, Session,
        profiles::{self, ProfileRow},
        projects::{self, Contents, ProjectRow},
    },
    error::{Context, Error, Kind, Result},
    operations::{Operations, Spec, happened},
};

/// The projects of the server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Projects {
    db: Db,
    operations: Operations,
}

/// How the body of a change is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProjectChange {
    /// PUT: the body is the whole new project.
    Replace,
    /// PATCH: the body's keys are laid over the project.
    Merge {
        /// Whether the body has a `description`.
        description: bool,
    },
}

impl Projects {
    /// The projects kept in `db`.
    pub(crate) fn new(db: Db, operations: Operations) -> Self {
        Self { db, operations }
    }

    /// Makes the project `default` when the database is new.
    pub(crate) async fn ensure_default(session: &mut Session) -> Result<ProjectId> {
        if let Some(project) = projects::find(session, DEFAULT).await? {
            return Ok(project.id);
        }
        let config = config::project::default_project_config();
        projects::insert(session, DEFAULT, "Default LXD project", &config).await
    }

    /// Every project, by name.
    pub(crate) async fn list(&self) -> Result<Vec<Project>> {
        let mut session = self.db.read().await?;
        let mut contents = projects::contents(&mut session).await?;
        let rows = projects::list(&mut session).await?;
        Ok(rows
            .into_iter()
            .map(|row| render(&mut contents, row))
            .collect())
    }

    /// One project.
    ///
    /// # Errors
    ///
    /// 404 when there is none of this name.
    pub(crate) async fn get(&self, name: &str) -> Result<Project> {
        let mut session = self.db.read().await?;
        let row = find(&mut session, name).await?;
        let mut contents = projects::contents(&mut session).await?;
        Ok(render(&mut contents, row))
    }

    /// How much a project uses of what it may be limited in.
    pub(crate) async fn state(&self, name: &str) -> Result<ProjectState> {
        let mut session = self.db.read().await?;
        let row = find(&mut session, name)
            .await
            .context("Fetch project database object")?;
        let population = Population::of(&mut session, row.clone()).await?;
        let names = [
            "containers",
            "cpu",
            "disk",
            "instances",
            "memory",
            "networks",
            "processes",
            "virtual-machines",
        ];
        let resources = names.into_iter().map(|name| {
            let limit = config::project::limit(&row.config, name).unwrap_or(-1);
            (
                name,
                ResourceUse {
                    limit,
                    usage: i64::try_from(population.usage(name)).unwrap_or(i64::MAX),
                },
            )
        });
        Ok(ProjectState {
            resources: resources.collect(),
        })
    }

    /// Makes a project, with a profile `default` of its own if it has profiles.
    pub(crate) async fn create(
        &self,
        name: &str,
        project: ProjectPut,
        requestor: Requestor,
    ) -> Result<()> {
        config::names::project(name)?;
        let config = config::project::with_new_project_defaults(project.config);
        config::project::validate(&config)?;
        let mut transaction = self.db.write().await?;
        let made = projects::insert(&mut transaction, name, &project.description, &config).await;
        let id = made.map_err(|error| already_exists(error, name))?;
        if config::project::feature(&config, "features.profiles") {
            add_default_profile(&mut transaction, id, name).await?;
        }
        Db::commit(transaction).await?;
        self.tell("project-created", name, requestor);
        Ok(())
    }

    /// Changes a project's description and configuration.
    pub(crate) async fn change(
        &self,
        name: &str,
        project: ProjectPut,
        how: ProjectChange,
        edit: Edit,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let row = find(&mut transaction, name).await?;
        edit.check(&(&row.description, &row.config))?;
        let (description, config) = laid_over(&row, project, how);
        config::project::validate(&config)?;
        let holds = contents_of(&mut transaction, row.id).await?;
        config::project::check_features(name, &row.config, &config, holds.is_empty())?;
        let population = Population::of(&mut transaction, row.clone()).await?;
        population.allow_limits(&config)?;
        projects::update(&mut transaction, row.id, &description, &config).await?;
        self.adjust_default_profile(&mut transaction, &row, &config)
            .await?;
        Db::commit(transaction).await?;
        self.tell("project-updated", name, edit.requestor);
        Ok(())
    }

    /// A project that got profiles of its own needs a `default` one; one that gave them up is
    /// empty but for that.
    async fn adjust_default_profile(
        &self,
        session: &mut Session,
        row: &ProjectRow,
        config: &BTreeMap<String, String>,
    ) -> Result<()> {
        let has = profiles::find(session, row.id, DEFAULT).await?;
        match (config::project::feature(config, "features.profiles"), has) {
            (true, None) => add_default_profile(session, row.id, &row.name).await,
            (false, Some(profile)) => profiles::delete(session, profile.id).await,
            _ => Ok(()),
        }
    }

    /// Whether a project has nothing in it but its default profile and images that are only
    /// cached. One that is not there may not.
    pub(crate) async fn may_be_removed(&self, name: &str) -> Result<bool> {
        let mut session = self.db.read().await?;
        let Some(row) = projects::find(&mut session, name).await? else {
            return Ok(false);
        };
        let mut contents = contents_of(&mut session, row.id).await?;
        contents.images.retain(|(_, cached)| !cached);
        Ok(name != DEFAULT && contents.is_empty())
    }

    /// Removes a project that has nothing in it but its default profile.
    pub(crate) async fn delete(&self, name: &str, requestor: Requestor) -> Result<()> {
        if name == DEFAULT {
            return Err(Error::forbidden("The 'default' project cannot be deleted"));
        }
        let mut transaction = self.db.write().await?;
        let found = find(&mut transaction, name).await;
        let row = found.context(format_args!("Fetch project {name:?}"))?;
        if !contents_of(&mut transaction, row.id).await?.is_empty() {
            return Err(Error::failed("Only empty projects can be removed"));
        }
        projects::delete(&mut transaction, row.id).await?;
        Db::commit(transaction).await?;
        self.tell("project-deleted", name, requestor);
        Ok(())
    }

    /// Gives an empty project another name. Everything but the refusal for `default` is told by
    /// the operation, as in LXD.
    pub(crate) fn rename(
        &self,
        name: &str,
        new_name: String,
        requestor: Requestor,
    ) -> Result<crate::api::objects::OperationObject> {
        if name == DEFAULT {
            return Err(Error::forbidden("The 'default' project cannot be renamed"));
        }
        let spec = Spec {
            description: "Renaming project",
            project: Some(name.to_owned()),
            requestor: Some(requestor.clone()),
            ..Spec::default()
        };
        let (this, name) = (self.clone(), name.to_owned());
        Ok(self.operations.task(spec, move |_| async move {
            this.rename_now(&name, &new_name, requestor).await
        }))
    }

    async fn rename_now(&self, name: &str, new_name: &str, requestor: Requestor) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let found = find(&mut transaction, name).await;
        let row = found.context(format_args!("Failed loading project {name:?}"))?;
        if projects::find(&mut transaction, new_name).await?.is_some() {
            return Err(Error::failed(format!(
                "A project named {new_name:?} already exists"
            )));
        }
        if !contents_of(&mut transaction, row.id).await?.is_empty() {
            return Err(Error::failed("Only empty projects can be renamed"));
        }
        config::names::project(new_name)?;
        projects::rename(&mut transaction, row.id, new_name).await?;
        Db::commit(transaction).await?;
        let event = happened("project-renamed", &url(new_name), new_name, Some(requestor));
        self.operations
            .events()
            .lifecycle(Some(new_name), &event.with("old_name", name));
        Ok(())
    }

    fn tell(&self, action: &'static str, name: &str, requestor: Requestor) {
        // LXD: the URL of a project never carries `?project=`.
        let event = happened(action, &url(name), DEFAULT, Some(requestor));
        self.operations.events().lifecycle(Some(name), &event);
    }
}

fn url(name: &str) -> String {
    format!("/1.0/projects/{}", escape(name))
}

async fn find(session: &mut Session, name: &str) -> Result<ProjectRow> {
    let found = projects::find(session, name).await?;
    found.ok_or_else(|| Error::not_found("Project not found"))
}

async fn contents_of(session: &mut Session, id: ProjectId) -> Result<Contents> {
    Ok(projects::contents(session)
        .await?
        .remove(&id)
        .unwrap_or_default())
}

impl Contents {
    /// The default profile alone does not make a project non-empty.
    fn is_empty(&self) -> bool {
        let has_profiles = self.profiles.iter().any(|name| name != DEFAULT);
        self.images.is_empty() && self.instances.is_empty() && !has_profiles
    }
}

async fn add_default_profile(session: &mut Session, id: ProjectId, name: &str) -> Result<()> {
    let profile = ProfileRow {
        id: 0,
        name: DEFAULT.to_owned(),
        description: format!("Default LXD profile for project {name}"),
        config: BTreeMap::new(),
        devices: BTreeMap::new(),
    };
    profiles::insert(session, id, &profile).await?;
    Ok(())
}

fn already_exists(error: Error, name: &str) -> Error {
    if db::constraint(&error) != Some("projects.name") {
        return error;
    }
    Error::new(Kind::Conflict, "This \"projects\" entry already exists")
        .context("Failed adding database record")
        .context(format_args!("Failed creating project {name:?}"))
}

/// The description and configuration after a change.
// LXD: PATCH replaces the whole configuration in 5.0.2; merging is what it documents.
fn laid_over(
    row: &ProjectRow,
    project: ProjectPut,
    how: ProjectChange,
) -> (String, BTreeMap<String, String>) {
    let mut config = match how {
        ProjectChange::Replace => BTreeMap::new(),
        ProjectChange::Merge { .. } => row.config.clone(),
    };
    config.extend(project.config);
    config.retain(|_, value| !value.is_empty());
    let description = match how {
        ProjectChange::Merge { description: false } => row.description.clone(),
        _ => project.description,
    };
    (description, config)
}

fn render(contents: &mut BTreeMap<ProjectId, Contents>, row: ProjectRow) -> Project {
    let holds = contents.remove(&row.id).unwrap_or_default();
    let suffix = match row.name.as_str() {
        DEFAULT => String::new(),
        name => format!("?project={}", escape(name)),
    };
    let images = holds
        .images
        .iter()
        .map(|(fp, _)| format!("/1.0/images/{fp}{suffix}"));
    let profiles = holds
        .profiles
        .iter()
        .map(|profile| format!("/1.0/profiles/{}{suffix}", escape(profile)));
    let instances = holds
        .instances
        .iter()
        .map(|instance| format!("/1.0/instances/{}{suffix}", escape(instance)));
    let used_by = instances.chain(images).chain(profiles).collect();
    Project {
        config: row.config,
        description: row.description,
        name: row.name,
        used_by,
    }
}
