//! What images there are, as each caller may see them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Images;
use crate::{
    access::{Caller, Scope},
    api::objects::{Image, ImageAlias, UpdateSource},
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
    /// What this caller sees.
    pub(crate) fn of(caller: &Caller) -> Self {
        if caller.is_trusted() {
            Self::All
        } else {
            Self::Public
        }
    }

    fn shows(self, image: &ImageRow) -> bool {
        self == Self::All || image.public
    }
}

/// How many matches of an ambiguous prefix are looked up to be named.
const MATCHES: i64 = 5;

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

    /// The image that a whole fingerprint or the beginning of one names.
    ///
    /// # Errors
    ///
    /// 404 when there is none that this caller may know of; 500 with LXD's text when there are
    /// several.
    pub(crate) async fn find_row(
        &self,
        scope: &Scope,
        sees: Visibility,
        reference: &str,
    ) -> Result<ImageRow> {
        let mut session = self.db.read().await?;
        let row = find(&mut session, scope, reference).await;
        match (row, sees) {
            (Ok(row), _) if sees.shows(&row) => Ok(row),
            (Err(error), Visibility::All) => Err(error),
            // What is not theirs and what is not there look alike to strangers, ambiguity too.
            _ => Err(not_found()),
        }
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

/// The row that a reference names, whoever asks.
pub(super) async fn find(
    session: &mut Session,
    scope: &Scope,
    reference: &str,
) -> Result<ImageRow> {
    let prefix: FingerprintPrefix = match reference.parse() {
        Ok(prefix) => prefix,
        Err(_) => return Err(not_found()),
    };
    let range = (prefix.as_str(), prefix.end());
    let mut rows =
        db::images::in_range(session, scope.images, (range.0, &range.1), MATCHES).await?;
    match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => Ok(row),
        (None, _) => Err(not_found()),
        (Some(_), false) => Err(Error::failed("More than one image matches")),
    }
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
