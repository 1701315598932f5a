//! Images for instances: fetched when they are not here, cached, and marked as used.
//!
//! An instance does not wait for an image that is newer than the one that is here, as long as the
//! older one is kept up to date; nor does it fail when its image server cannot be reached and an
//! older image of the same name is here.

use std::collections::BTreeMap;

use super::{
    Images,
    admit::{Candidate, Offered},
    direct::Direct,
    edit,
    fetch::{Details, Pull, is_race},
    origin::{Behalf, Origin, Protocol},
    policy::Policy,
    query::{self, Visibility},
};
use crate::{
    access::Scope,
    api::{Timestamp, requests::InstanceSource},
    db::{
        self, Db, blobs,
        images::{ImageRow, Sourced},
    },
    error::{Error, Kind, Result},
    image::{Architecture, Fingerprint, ImageType, host_architectures},
    operations::Operation,
    remote::{Asked, Freshness, parse_url},
    store::Files,
};

/// How often an image may go again before the instance has opened it.
const ROUNDS: usize = 5;

/// An image of another server that an instance is to be made from.
#[derive(Debug, Clone, Default)]
pub(crate) struct RemoteSource {
    /// Base URL.
    pub(crate) server: String,
    /// `lxd`, `simplestreams`, or empty for `lxd`.
    pub(crate) protocol: String,
    /// Pinned certificate (PEM), or empty.
    pub(crate) certificate: String,
    /// An alias, a fingerprint, or the beginning of one.
    pub(crate) reference: String,
    /// What opens a private image; empty for a public one.
    pub(crate) secret: String,
    /// The project there; empty for none in particular.
    pub(crate) project: String,
}

/// An image with its open files. They stay whole when the image goes meanwhile.
#[derive(Debug)]
pub(crate) struct Lent {
    /// The image.
    pub(crate) row: ImageRow,
    /// Its files.
    pub(crate) files: Files,
}

impl RemoteSource {
    /// What a request names. A fingerprint comes before an alias, and either may be the other.
    pub(crate) fn of_request(source: &InstanceSource) -> Self {
        let is_named = !source.fingerprint.is_empty();
        let reference = if is_named {
            &source.fingerprint
        } else {
            &source.alias
        };
        Self {
            server: source.server.clone(),
            protocol: source.protocol.clone(),
            certificate: source.certificate.clone(),
            reference: reference.clone(),
            secret: source.secret.clone(),
            project: String::new(),
        }
    }

    fn origin(&self, behalf: Behalf) -> Result<Origin> {
        Ok(Origin {
            protocol: Protocol::parse(&self.protocol)?,
            server: self.server.clone(),
            certificate: self.certificate.clone(),
            project: self.project.clone(),
            behalf,
        })
    }
}

impl Images {
    /// Refuses, before anything is connected to, a server that may not be reached on this behalf.
    ///
    /// # Errors
    ///
    /// 403.
    pub(crate) async fn check_reach(&self, source: &RemoteSource, behalf: &Behalf) -> Result<()> {
        match parse_url("Get", &source.server) {
            Ok(url) => behalf.reach.check(&url).await,
            // It cannot be reached at all, as the operation will tell.
            Err(_) => Ok(()),
        }
    }

    /// The image for an instance, its files open: [`Self::ensure_for_instance`] and [`Self::lend`],
    /// again when somebody takes the image away meanwhile.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub(crate) async fn lend_remote(
        &self,
        scope: &Scope,
        source: &RemoteSource,
        (kind, behalf): (ImageType, &Behalf),
        operation: &Operation,
    ) -> Result<Lent> {
        let mut rounds = 0;
        loop {
            rounds += 1;
            let ensuring = self.ensure_for_instance(scope, source, (kind, behalf), operation);
            let lent = match ensuring.await {
                Ok(fingerprint) => self.lend(scope, &fingerprint).await,
                Err(error) => Err(error),
            };
            match lent {
                Err(error) if is_gone(&error) && rounds < ROUNDS => {}
                lent => return lent,
            }
        }
    }

    /// Makes sure that a project has an image that an instance is to be made from, and marks it as
    /// used. Returns its fingerprint.
    ///
    /// One that has to be fetched comes in cached and private, and is kept up to date when an alias
    /// was asked for and `images.auto_update_cached` says so.
    ///
    /// # Errors
    ///
    /// LXD's texts; nothing is changed then.
    pub(crate) async fn ensure_for_instance(
        &self,
        scope: &Scope,
        source: &RemoteSource,
        (kind, behalf): (ImageType, &Behalf),
        operation: &Operation,
    ) -> Result<Fingerprint> {
        self.check_reach(source, behalf).await?;
        let origin = source.origin(behalf.clone())?;
        let policy = self.policy(scope);
        let wanted = Wanted {
            scope,
            source,
            origin,
            kind,
        };
        if let Some(here) = self.nearest(&wanted, policy).await? {
            return match here {
                Nearest::Sourced(here) => self.use_sourced(&wanted, here, policy).await,
                Nearest::Named(row) => self.mark_used(scope, row.fingerprint).await,
            };
        }
        match self.fetch_for_instance(&wanted, policy, operation).await {
            Err(error) if error.kind() == Kind::Unavailable && !operation.is_cancelled() => {
                let Some(here) = self.sourced(&wanted, |_| true).await? else {
                    return Err(error);
                };
                tracing::warn!(%error, image.fingerprint = %here.image.fingerprint,
                    "the image server cannot be reached: using the image that is here");
                self.use_sourced(&wanted, here, policy).await
            }
            fetched => self.mark_used(scope, fetched?).await,
        }
    }

    /// Marks an image as used by an instance that is made from it now.
    ///
    /// # Errors
    ///
    /// 404 when the image is gone.
    pub(crate) async fn used_now(&self, scope: &Scope, fingerprint: &Fingerprint) -> Result<()> {
        let now = Timestamp::from(self.clock.now()).to_string();
        let mut transaction = self.db.write().await?;
        let images = scope.images;
        if !db::images::set_last_used(&mut transaction, images, fingerprint, &now).await? {
            return Err(query::not_found());
        }
        Db::commit(transaction).await
    }

    /// The profiles of the project's image that an instance would be made from instead of fetching
    /// one, for an instance whose maker names none.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(crate) async fn find_cached(
        &self,
        scope: &Scope,
        source: &RemoteSource,
        (kind, behalf): (ImageType, &Behalf),
    ) -> Result<Option<Vec<String>>> {
        let Ok(origin) = source.origin(behalf.clone()) else {
            return Ok(None);
        };
        let wanted = Wanted {
            scope,
            source,
            origin,
            kind,
        };
        let row = match self.nearest(&wanted, self.policy(scope)).await? {
            Some(Nearest::Named(row)) => row,
            Some(Nearest::Sourced(here)) if here.project == scope.images => here.image,
            _ => return Ok(None),
        };
        let mut session = self.db.read().await?;
        let profiles = db::images::profiles_of(&mut session, row.id, scope.profiles);
        profiles.await.map(Some)
    }

    /// Opens an image for an instance that is made from it.
    ///
    /// # Errors
    ///
    /// 404 when the image is gone.
    pub(crate) async fn lend(&self, scope: &Scope, fingerprint: &Fingerprint) -> Result<Lent> {
        let reference = fingerprint.as_str();
        let row = self.find_row(scope, Visibility::All, reference).await?;
        let files = self.open(fingerprint).await?;
        Ok(Lent { row, files })
    }

    /// What the settings of the moment say about a project's images.
    pub(super) fn policy(&self, scope: &Scope) -> Policy {
        Policy::of(&scope.project.config, &self.settings.current())
    }

    /// The image that is used without asking its server, if there is one.
    async fn nearest(&self, wanted: &Wanted<'_>, policy: Policy) -> Result<Option<Nearest>> {
        // A whole fingerprint says all that a server could.
        if let Ok(fingerprint) = wanted.source.reference.parse::<Fingerprint>() {
            let mut session = self.db.read().await?;
            let row = db::images::find(&mut session, wanted.scope.images, &fingerprint).await?;
            return Ok(row.map(Nearest::Named));
        }
        if policy.update_hours.is_none() {
            return Ok(None);
        }
        let (current, projects) = (
            self.settings.current(),
            db::projects::list(&mut *self.db.read().await?).await?,
        );
        let looks_at_its_images = |id| {
            let project = projects.iter().find(|project| project.id == id);
            project.is_some_and(|it| Policy::of(&it.config, &current).update_hours.is_some())
        };
        let is_kept_current =
            |here: &Sourced| here.image.auto_update && looks_at_its_images(here.project);
        let here = self.sourced(wanted, is_kept_current).await?;
        Ok(here.map(Nearest::Sourced))
    }

    async fn mark_used(&self, scope: &Scope, fingerprint: Fingerprint) -> Result<Fingerprint> {
        self.used_now(scope, &fingerprint).await?;
        Ok(fingerprint)
    }

    /// The newest image that was asked for in the same words at the same server.
    async fn sourced(
        &self,
        wanted: &Wanted<'_>,
        fits: impl Fn(&Sourced) -> bool,
    ) -> Result<Option<Sourced>> {
        if !wanted.source.secret.is_empty() || !wanted.source.project.is_empty() {
            return Ok(None);
        }
        let (address, alias) = (wanted.origin.address(), &wanted.source.reference);
        let mut session = self.db.read().await?;
        let kind = wanted.kind.name();
        let found = db::images::from_source(&mut session, address, alias, kind).await?;
        let runs_here = host_architectures();
        let fitting = found.into_iter().filter(|here| {
            fits(here)
                && runs_here.contains(&here.image.architecture.as_str())
                && wanted.may_have(here)
        });
        let made = |here: &Sourced| here.image.created_at.parse().unwrap_or(Timestamp::ZERO);
        Ok(fitting.max_by_key(|here| (made(here), here.project == wanted.scope.images)))
    }

    /// Uses an image that came from where the wanted one would come from.
    async fn use_sourced(
        &self,
        wanted: &Wanted<'_>,
        here: Sourced,
        policy: Policy,
    ) -> Result<Fingerprint> {
        let fingerprint = here.image.fingerprint.clone();
        if here.project != wanted.scope.images {
            self.share(wanted, here, policy).await?;
        }
        self.mark_used(wanted.scope, fingerprint).await
    }

    /// Lets an image of another project into this one, as it was when it was downloaded.
    async fn share(&self, wanted: &Wanted<'_>, here: Sourced, policy: Policy) -> Result<()> {
        let fingerprint = &here.image.fingerprint;
        let mut session = self.db.read().await?;
        let known = db::images::find(&mut session, wanted.scope.images, fingerprint).await?;
        if known.is_some() {
            return Ok(());
        }
        let layout = blobs::find(&mut session, fingerprint).await?;
        let layout = layout.ok_or_else(query::not_found)?;
        drop(session);
        let size_bytes = here.image.size_bytes.unsigned_abs();
        let claim = self.claim_for(wanted.scope, size_bytes).await?;
        let offered = Offered::stored(fingerprint.clone(), layout);
        let is_updated = here.source.by_alias && policy.updates_cached;
        let mut candidate = wanted.candidate(here, offered)?;
        candidate.auto_update = is_updated;
        candidate.claim = claim;
        self.mark_cached(&mut candidate, &FOR_INSTANCE);
        match self.admit(wanted.scope, candidate, None).await {
            Err(error) if error.kind() == Kind::Conflict => Ok(()),
            admitted => admitted.map(drop),
        }
    }

    async fn fetch_for_instance(
        &self,
        wanted: &Wanted<'_>,
        policy: Policy,
        operation: &Operation,
    ) -> Result<Fingerprint> {
        let details = Details {
            auto_update: policy.updates_cached,
            ..FOR_INSTANCE
        };
        let source = wanted.source;
        if wanted.origin.protocol == Protocol::Direct {
            let from = Direct {
                url: source.server.clone(),
                hash: source.reference.clone(),
                behalf: wanted.origin.behalf.clone(),
            };
            let scope = wanted.scope;
            return self.import_direct(scope, &from, &details, operation).await;
        }
        let pull = Pull {
            origin: wanted.origin.clone(),
            asked: Asked {
                reference: source.reference.clone(),
                only_aliases: false,
                kind: Some(wanted.kind),
                secret: source.secret.clone(),
            },
            freshness: Freshness::Hour,
            details,
        };
        self.pull(wanted.scope, &pull, operation).await
    }
}

/// Whether somebody has taken an image of ours away meanwhile. What another server does not have
/// is told in other words.
fn is_gone(error: &Error) -> bool {
    error.message() == query::not_found().message() || is_race(error)
}

/// What is fetched because an instance needs it.
const FOR_INSTANCE: Details = Details {
    public: false,
    auto_update: false,
    filename: String::new(),
    properties: BTreeMap::new(),
    replaces: None,
    for_instance: true,
};

/// The image that an instance is to be made from.
struct Wanted<'a> {
    scope: &'a Scope,
    source: &'a RemoteSource,
    origin: Origin,
    kind: ImageType,
}

/// An image that is here.
enum Nearest {
    /// The project's, by its whole fingerprint.
    Named(ImageRow),
    /// Some project's, by where it came from.
    Sourced(Sourced),
}

impl Wanted<'_> {
    /// Whether this instance may have an image that is here without asking the image's server:
    /// what another project got because this server is trusted there is not for everybody.
    fn may_have(&self, here: &Sourced) -> bool {
        here.project == self.scope.images || here.source.restricted || self.origin.behalf.is_admin
    }

    /// What an image of another project is in this one.
    fn candidate(&self, here: Sourced, files: Offered) -> Result<Candidate> {
        let Sourced {
            image, mut source, ..
        } = here;
        // What its owners have changed about it is theirs.
        if source.properties.is_empty() {
            source.properties = image.properties;
        }
        if source.expires_at.is_empty() {
            source.expires_at = image.expires_at;
        }
        source.restricted = !self.origin.behalf.is_admin;
        Ok(Candidate {
            files,
            kind: self.kind,
            architecture: Architecture::parse(&image.architecture)?.name(),
            filename: image.filename,
            public: false,
            auto_update: false,
            cached: true,
            properties: edit::from_text(&source.properties)?,
            created_at: image.created_at.parse()?,
            expires_at: source.expires_at.parse()?,
            last_used_at: Timestamp::ZERO,
            source: Some(source),
            claim: None,
            replaces: None,
        })
    }
}
