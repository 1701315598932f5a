//! The one door: staged bytes become an image here and nowhere else.
//!
//! Taken in order: the fingerprint is locked, and that of the image whose place it takes; an image the project has already is refused; files
//! the store has already are compared by layout and kept, new ones are placed; one transaction
//! records blob, image, profiles and source; only then is the image announced, and what it took the
//! place of unlinked while that is still locked: whoever waits for it must not find its files. What
//! a crash leaves between these steps is told in [`crate::store`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Event, Images,
    budget::{self, Claim},
    query, refresh,
};
use crate::{
    access::Scope,
    api::{Timestamp, objects::Requestor},
    db::{
        self, Db, ImageId, Session, Transaction, blobs,
        images::{ImageRow, SourceRow},
    },
    error::{Error, Kind, Result},
    image::{Fingerprint, ImageType, Layout, Metadata},
    store::{Held, Placed, Staged},
};

/// Everything that is to become an image, inspected and checked.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Its files.
    pub(crate) files: Offered,
    /// Container or virtual machine.
    pub(crate) kind: ImageType,
    /// LXD's canonical name of the architecture.
    pub(crate) architecture: &'static str,
    /// The name its file had where it came from.
    pub(crate) filename: String,
    /// Whether everybody sees it.
    pub(crate) public: bool,
    /// Whether it is to be kept up to date from `source`.
    pub(crate) auto_update: bool,
    /// Whether it is here only because an instance needed it.
    pub(crate) cached: bool,
    /// Its properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it is out of date.
    pub(crate) expires_at: Timestamp,
    /// When an instance was last made from it.
    pub(crate) last_used_at: Timestamp,
    /// Where it was downloaded from.
    pub(crate) source: Option<SourceRow>,
    /// The room it took of its project's limit, if there is one.
    pub(crate) claim: Option<Claim>,
    /// The image whose place it takes.
    pub(super) replaces: Option<Replaced>,
}

/// The files of an image that is to come in. Cheap to clone: several projects may let the same
/// files in, and the first one puts them in their place.
#[derive(Debug, Clone)]
pub(crate) struct Offered {
    fingerprint: Fingerprint,
    layout: Layout,
    staged: Arc<Mutex<Option<Staged>>>,
    description: Option<Arc<(ImageType, Metadata)>>,
}

impl From<Staged> for Offered {
    fn from(staged: Staged) -> Self {
        Self {
            fingerprint: staged.fingerprint().clone(),
            layout: staged.layout(),
            staged: Arc::new(Mutex::new(Some(staged))),
            description: None,
        }
    }
}

impl Offered {
    /// Files that the store has already.
    pub(super) fn stored(fingerprint: Fingerprint, layout: Layout) -> Self {
        Self {
            fingerprint,
            layout,
            staged: Arc::default(),
            description: None,
        }
    }

    /// Files that have been looked into.
    pub(super) fn described(staged: Staged, kind: ImageType, metadata: Metadata) -> Self {
        Self {
            description: Some(Arc::new((kind, metadata))),
            ..Self::from(staged)
        }
    }

    /// What they say of themselves, if they have been looked into.
    pub(super) fn description(&self) -> Option<&(ImageType, Metadata)> {
        self.description.as_deref()
    }

    /// SHA-256 of them.
    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// One file or two, and their sizes.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// The files themselves, for whoever comes first.
    fn take(&self) -> Option<Staged> {
        self.staged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What an image takes the place of.
#[derive(Debug, Clone)]
pub(super) struct Replaced {
    /// The image of the same project that goes.
    pub(super) fingerprint: Fingerprint,
    /// Whether it goes only while it is to be kept up to date: nobody asked for a newer one.
    pub(super) only_if_kept: bool,
}

impl Replaced {
    /// The image that goes, if it still is to.
    ///
    /// # Errors
    ///
    /// 404 when it is gone, or is to stay.
    pub(super) async fn get(&self, session: &mut Session, scope: &Scope) -> Result<ImageRow> {
        let row = db::images::find(session, scope.images, &self.fingerprint).await?;
        row.filter(|row| row.auto_update || !self.only_if_kept)
            .ok_or_else(query::not_found)
    }
}

impl Images {
    /// Lets an image into a project. When this returns, it is durable.
    ///
    /// # Errors
    ///
    /// LXD's text when the project has the image already; our own when the same bytes are here
    /// in another layout; what disk or database say. Nothing is left behind then.
    pub(crate) async fn admit(
        &self,
        scope: &Scope,
        candidate: Candidate,
        requestor: Option<&Requestor>,
    ) -> Result<Fingerprint> {
        let row = self.row(&candidate)?;
        let Candidate {
            files,
            kind,
            source,
            claim,
            replaces,
            ..
        } = candidate;
        let (fingerprint, layout) = (files.fingerprint().clone(), files.layout());

        let old = replaces.as_ref().map(|replaced| &replaced.fingerprint);
        let (held, held_old) = self.store.lock_both(&fingerprint, old).await;
        let (placed, held) = match self.stored(scope, &fingerprint, layout).await? {
            Stored::Here => (None, held),
            nowhere => {
                let staged = files.take().ok_or_else(gone)?;
                self.place(staged, held, nowhere).await?
            }
        };
        let record = Record {
            row,
            layout,
            source,
            replaces,
            is_new_blob: placed.is_some(),
        };
        self.settle(&fingerprint, self.record(scope, record).await, placed)
            .await?;
        drop(held);
        if let Some(claim) = claim {
            claim.settle();
        }

        let (path, details) = (
            format!("/1.0/images/{fingerprint}"),
            [("type", kind.name())],
        );
        self.tell(&Event {
            action: "image-created",
            path: &path,
            scope,
            requestor,
            details: &details,
        });
        if let Some(held_old) = held_old {
            self.clear_away(held_old).await;
        }
        Ok(fingerprint)
    }

    /// What the store has of a fingerprint. Refuses what must not come in again.
    async fn stored(
        &self,
        scope: &Scope,
        fingerprint: &Fingerprint,
        layout: Layout,
    ) -> Result<Stored> {
        let mut session = self.db.read().await?;
        if db::images::find(&mut session, scope.images, fingerprint)
            .await?
            .is_some()
        {
            return Err(Error::conflict(
                "Image with same fingerprint already exists",
            ));
        }
        match blobs::find(&mut session, fingerprint).await? {
            None if blobs::removed(&mut session).await?.contains(fingerprint) => {
                Ok(Stored::Removed)
            }
            None => Ok(Stored::Nowhere),
            Some(stored) if stored == layout => Ok(Stored::Here),
            Some(_) => Err(Error::failed(
                "Image with same fingerprint already exists with a different layout",
            )),
        }
    }

    /// Puts the files in their place. The lock goes along to the blocking thread, so that it
    /// outlives a caller that is cut off.
    async fn place(
        &self,
        staged: Staged,
        held: Held,
        stored: Stored,
    ) -> Result<(Option<Placed>, Held)> {
        let store = self.store.clone();
        let place = move || {
            if let Stored::Removed = stored {
                store.remove(&held)?;
            }
            store
                .place(staged, &held)
                .map(|placed| (Some(placed), held))
        };
        self.tasks.run_blocking(place).await
    }

    async fn record(&self, scope: &Scope, record: Record) -> Result<Transaction> {
        let Record {
            mut row,
            layout,
            source,
            replaces,
            is_new_blob,
        } = record;
        let mut transaction = self.db.write().await?;
        budget::check(&mut transaction, scope, row.size_bytes).await?;
        if is_new_blob {
            blobs::insert(&mut transaction, &row.fingerprint, &layout).await?;
        }
        if let Some(replaced) = &replaces {
            refresh::inherit(&mut transaction, scope, replaced, &mut row).await?;
        }
        let image = db::images::insert(&mut transaction, scope.images, &row).await?;
        attach_default_profiles(&mut transaction, scope, image).await?;
        if let Some(source) = source {
            db::images::insert_source(&mut transaction, image, &source).await?;
        }
        if let Some(replaced) = replaces {
            let old = &replaced.fingerprint;
            refresh::take_over(&mut transaction, scope, old, image).await?;
        }
        Ok(transaction)
    }

    /// Commits what was recorded, and decides what becomes of the files: they stay when the row
    /// is durable, go when it certainly is not, and are left to the next start's sweep otherwise.
    async fn settle(
        &self,
        fingerprint: &Fingerprint,
        recorded: Result<Transaction>,
        placed: Option<Placed>,
    ) -> Result<()> {
        let transaction = recorded?;
        // From here on a cut-off must not take the files back: the row may be durable.
        let undecided = placed.map(Placed::undecided);
        let committed = Db::commit(transaction).await;
        let Some(undecided) = undecided else {
            return committed;
        };
        match committed {
            Ok(()) => undecided.keep(),
            Err(_) => match self.is_recorded(fingerprint).await {
                Ok(true) => undecided.keep(),
                Ok(false) => undecided.take_back(),
                Err(error) => tracing::error!(%error, %fingerprint, "left to the next start"),
            },
        }
        committed
    }

    async fn is_recorded(&self, fingerprint: &Fingerprint) -> Result<bool> {
        let mut session = self.db.read().await?;
        Ok(blobs::find(&mut session, fingerprint).await?.is_some())
    }

    fn row(&self, candidate: &Candidate) -> Result<ImageRow> {
        let properties = serde_json::to_string(&candidate.properties)
            .map_err(|error| Error::internal("Failed to store the properties", error))?;
        Ok(ImageRow {
            id: ImageId(0),
            fingerprint: candidate.files.fingerprint().clone(),
            kind: candidate.kind.name().to_owned(),
            filename: candidate.filename.clone(),
            architecture: candidate.architecture.to_owned(),
            size_bytes: candidate.files.layout().total_bytes(),
            public: candidate.public,
            auto_update: candidate.auto_update,
            cached: candidate.cached,
            properties,
            created_at: candidate.created_at.to_string(),
            expires_at: candidate.expires_at.to_string(),
            uploaded_at: Timestamp::from(self.clock.now()).to_string(),
            last_used_at: candidate.last_used_at.to_string(),
        })
    }
}

/// Files that were to be here are not: somebody else has removed them meanwhile.
pub(super) const GONE: &str = "The image's files are gone";

fn gone() -> Error {
    Error::new(Kind::Unavailable, GONE)
}

/// What one transaction records.
struct Record {
    row: ImageRow,
    layout: Layout,
    source: Option<SourceRow>,
    replaces: Option<Replaced>,
    is_new_blob: bool,
}

/// What the store has of a fingerprint.
enum Stored {
    Nowhere,
    /// Files that were to be unlinked, and could not be.
    Removed,
    Here,
}

/// A new image gets the profile `default` of its project. An image of the project `default` gets
/// that of every project that shares its images as well.
async fn attach_default_profiles(
    session: &mut Session,
    scope: &Scope,
    image: ImageId,
) -> Result<()> {
    // LXD: an image added through a sharing project is tied to that project's profile only.
    if scope.project.id != scope.images {
        return attach_default_profile(session, scope.profiles, image).await;
    }
    attach_default_profile(session, scope.profiles, image).await?;
    for project in db::projects::list(session).await? {
        let shares = !crate::config::project::feature(&project.config, "features.images");
        if shares && scope.images_name == "default" {
            attach_default_profile(session, project.id, image).await?;
        }
    }
    Ok(())
}

async fn attach_default_profile(
    session: &mut Session,
    project: db::ProjectId,
    image: ImageId,
) -> Result<()> {
    if let Some(profile) = db::profiles::find(session, project, "default").await? {
        db::images::set_profiles(session, image, project, &[profile.id]).await?;
    }
    Ok(())
}
