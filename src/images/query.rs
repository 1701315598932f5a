//! What images there are, as each caller may see them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Images;
use crate::{
    access::{Caller, Scope},
    api::objects::{Image, ImageAlias, UpdateSource},
    config,
    db::{
        self, Session,
        aliases::{self, Named},
        images::{ImageRow, SourceRow},
    },
    error::{Error, Result},
    image::FingerprintPrefix,
};

/// Which images a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// All of the project's.
    All,
    /// The public ones.
    Public,
}

impl Visibility {
    /// What this caller sees of a project.
    pub(crate) fn of(caller: &Caller, project: &str) -> Self {
        if caller.may_use(project) {
            Self::All
        } else {
            Self::Public
        }
    }

    fn shows(self, image: &ImageRow) -> bool {
        self == Self::All || image.public
    }
}

/// How many matches of an ambiguous prefix are named.
const MATCHES: u32 = 5;

impl Images {
    /// The fingerprints of a project's images, in order.
    pub(crate) async fn fingerprints(
        &self,
        scope: &Scope,
        sees: Visibility,
    ) -> Result<Vec<String>> {
        let mut session = self.db.read().await?;
        db::images::fingerprints(&mut session, scope.images, sees == Visibility::Public).await
    }

    /// A project's images, in order of their fingerprints: four queries, however many there are.
    pub(crate) async fn list(&self, scope: &Scope, sees: Visibility) -> Result<Vec<Image>> {
        let mut session = self.db.read().await?;
        let mut parts = Parts {
            aliases: aliases::by_image(&mut session, scope.images).await?,
            profiles: db::images::profiles(&mut session, scope.images, scope.profiles).await?,
            sources: db::images::sources(&mut session, scope.images).await?,
        };
        let rows = db::images::list(&mut session, scope.images).await?;
        rows.into_iter()
            .filter(|row| sees.shows(row))
            .map(|row| parts.render(row))
            .collect()
    }

    /// The images of every project, each with its project, in the order of the projects.
    pub(crate) async fn list_everywhere(&self) -> Result<Vec<Image>> {
        let projects = db::projects::list(&mut *self.db.read().await?).await?;
        let mut images = Vec::new();
        for project in projects {
            // One that shares the images of `default` has none of its own.
            if !config::project::feature(&project.config, "features.images") {
                continue;
            }
            let scope = self.scope(&project.name).await?;
            let of_project = self.list(&scope, Visibility::All).await?;
            images.extend(of_project.into_iter().map(|image| Image {
                project: Some(project.name.clone()),
                ..image
            }));
        }
        Ok(images)
    }

    /// The image that a whole fingerprint or the beginning of one names.
    ///
    /// # Errors
    ///
    /// 404 when there is none; 500 with LXD's text, and what matches, when there are several. What
    /// this caller may not see counts as not there.
    pub(crate) async fn find_row(
        &self,
        scope: &Scope,
        sees: Visibility,
        reference: &str,
    ) -> Result<ImageRow> {
        let mut session = self.db.read().await?;
        find(&mut session, scope, sees, reference).await
    }

    /// A row with everything that belongs to it, as clients see it.
    pub(crate) async fn render(&self, scope: &Scope, row: ImageRow) -> Result<Image> {
        let mut session = self.db.read().await?;
        let id = row.id;
        let profiles = db::images::profiles_of(&mut session, id, scope.profiles).await?;
        let mut parts = Parts {
            aliases: BTreeMap::from([(id, aliases::of_image(&mut session, id).await?)]),
            profiles: BTreeMap::from([(id, profiles)]),
            sources: db::images::source(&mut session, id)
                .await?
                .map(|source| (id, source))
                .into_iter()
                .collect(),
        };
        parts.render(row)
    }
}

/// LXD's answer for an image that is not there.
pub(super) fn not_found() -> Error {
    Error::not_found("Image not found")
}

/// The row that a reference names among those that can be seen.
pub(super) async fn find(
    session: &mut Session,
    scope: &Scope,
    sees: Visibility,
    reference: &str,
) -> Result<ImageRow> {
    let prefix: FingerprintPrefix = match reference.parse() {
        Ok(prefix) => prefix,
        Err(_) => return Err(not_found()),
    };
    let (range, only_public) = ((prefix.as_str(), prefix.end()), sees == Visibility::Public);
    let range = (range.0, range.1.as_str());
    let mut rows = db::images::in_range(
        session,
        scope.images,
        range,
        i64::from(MATCHES) + 1,
        only_public,
    )
    .await?;
    match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => Ok(row),
        (None, _) => Err(not_found()),
        (Some(last), false) => Err(ambiguous(&rows, &last)),
    }
}

/// LXD's refusal, and what the client could have meant.
fn ambiguous(rows: &[ImageRow], last: &ImageRow) -> Error {
    let matches = rows.iter().chain([last]).take(MATCHES as usize);
    let matches: Vec<_> = matches.map(|row| row.fingerprint.as_str()).collect();
    let more = if rows.len() < MATCHES as usize {
        ""
    } else {
        ", …"
    };
    Error::failed(format!(
        "More than one image matches: {}{more}",
        matches.join(", ")
    ))
}

/// What belongs to images, by image.
struct Parts {
    aliases: BTreeMap<db::ImageId, Vec<Named>>,
    profiles: BTreeMap<db::ImageId, Vec<String>>,
    sources: BTreeMap<db::ImageId, SourceRow>,
}

impl Parts {
    fn render(&mut self, row: ImageRow) -> Result<Image> {
        let properties = RawValue::from_string(row.properties)
            .map_err(|error| Error::internal("Failed to read the database", error))?;
        let aliases = self.aliases.remove(&row.id).unwrap_or_default();
        let aliases = aliases
            .into_iter()
            .map(|(name, description)| ImageAlias { name, description });
        Ok(Image {
            auto_update: row.auto_update,
            properties,
            public: row.public,
            expires_at: row.expires_at,
            profiles: self.profiles.remove(&row.id).unwrap_or_default(),
            aliases: aliases.collect(),
            architecture: row.architecture,
            cached: row.cached,
            filename: row.filename,
            fingerprint: row.fingerprint.to_string(),
            size: row.size_bytes,
            update_source: self.sources.remove(&row.id).map(render_source),
            kind: row.kind,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            uploaded_at: row.uploaded_at,
            project: None,
        })
    }
}

fn render_source(source: SourceRow) -> UpdateSource {
    UpdateSource {
        alias: source.alias,
        certificate: source.certificate,
        protocol: source.protocol,
        server: source.server,
        image_type: "",
    }
}
