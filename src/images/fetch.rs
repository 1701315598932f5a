//! Images of other servers: found there, downloaded once for all who ask, and let in.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{
    Images,
    admit::{Candidate, Offered, Replaced},
    budget::Claim,
    flight::{Key, Ticket},
    origin::{Origin, Protocol},
    upload::{Intake, identify},
};
use crate::{
    access::Scope,
    api::Timestamp,
    db::{
        self, Db, blobs,
        images::{ImageRow, SourceRow},
    },
    error::{Context, Error, Kind, Result},
    image::{Fingerprint, Layout, Part},
    operations::Operation,
    remote::{
        Asked, Freshness, Held, LxdServer, Meter, RemoteImage, Sink, StreamServer, mismatch,
        simplestreams::{Bases, Listed, UsableDelta},
    },
};

/// How often somebody else may get in the way.
pub(super) const ROUNDS: usize = 5;

/// An image to be fetched from another server.
#[derive(Debug)]
pub(super) struct Pull {
    pub(super) origin: Origin,
    pub(super) asked: Asked,
    pub(super) freshness: Freshness,
    pub(super) details: Details,
}

/// What the image is to be here.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) public: bool,
    pub(super) auto_update: bool,
    pub(super) filename: String,
    /// Laid over those it has.
    pub(super) properties: BTreeMap<String, String>,
    /// Whether an instance needs it, and nobody asked for the image itself. Then `auto_update`
    /// holds for an alias only, and an image that is here already stays as it is.
    pub(super) for_instance: bool,
    /// What it takes the place of.
    pub(super) replaces: Option<Replaced>,
}

impl Pull {
    /// Whether there is a newer image cannot be told from an old list.
    fn check_current(&self, server: &StreamServer) -> Result<()> {
        match server
            .outdated()
            .filter(|_| self.details.replaces.is_some())
        {
            Some(why) => Err(Error::new(Kind::Unavailable, why)),
            None => Ok(()),
        }
    }
}

impl Details {
    /// Whether they say anything about an image that is here already.
    // LXD: then all of them count, also those that are not set.
    fn say_something(&self) -> bool {
        !self.for_instance
            && (self.public
                || self.auto_update
                || !self.filename.is_empty()
                || !self.properties.is_empty())
    }
}

/// An image that was found at its server.
#[derive(Clone)]
enum Found {
    Lxd(LxdServer, Box<RemoteImage>),
    Stream(StreamServer, Box<Listed>),
}

/// One download.
struct Transfer {
    found: Found,
    secret: String,
    /// Whose room it takes while it comes.
    payer: Option<Scope>,
}

impl Found {
    fn address(&self) -> String {
        match self {
            Self::Lxd(server, _) => server.address(),
            Self::Stream(server, _) => server.address(),
        }
    }

    fn image(&self) -> &RemoteImage {
        match self {
            Self::Lxd(_, image) => image,
            Self::Stream(_, listed) => &listed.image,
        }
    }
}

impl Images {
    /// Fetches an image into a project, unless the project has it. Returns its fingerprint.
    ///
    /// # Errors
    ///
    /// LXD's texts; nothing is changed then.
    pub(super) async fn pull(
        &self,
        scope: &Scope,
        pull: &Pull,
        operation: &Operation,
    ) -> Result<Fingerprint> {
        let mut freshness = pull.freshness;
        let mut rounds = 0;
        loop {
            rounds += 1;
            let found = operation.cancellable(self.locate(pull, freshness)).await?;
            let brought = self.bring(scope, pull, &found, operation).await;
            match brought {
                // The server lists what it does not have (any more): its list was out of date.
                Err(Unbrought::Unlisted(_)) if found.may_be_stale(freshness) => {
                    freshness = Freshness::Anew;
                }
                // Somebody else let it in, or removed it, meanwhile.
                Err(Unbrought::Failed(error)) if is_race(&error) && rounds < ROUNDS => {}
                brought => return brought.map_err(Unbrought::into_error),
            }
        }
    }

    /// Finds the image at its server.
    async fn locate(&self, pull: &Pull, freshness: Freshness) -> Result<Found> {
        let (origin, asked) = (&pull.origin, &pull.asked);
        let mut contact = origin
            .behalf
            .contact(&origin.certificate)
            .map_err(|error| {
                error.context(format_args!(
                    "Failed to connect to LXD server \"{}\"",
                    origin.server
                ))
            })?;
        if origin.protocol == Protocol::SimpleStreams {
            let server = self.streams.open(&origin.server, contact, freshness).await;
            let listed = server.and_then(|server| {
                pull.check_current(&server)?;
                Ok((server.find(asked)?, server))
            });
            let (listed, server) = listed.context("Failed getting remote image info")?;
            return Ok(Found::Stream(server, Box::new(listed)));
        }
        contact.identified = origin.behalf.is_admin;
        let server = self
            .outbound
            .lxd(&origin.server, contact, &origin.project)
            .await;
        let server = server.map_err(|error| {
            error.context(format_args!(
                "Failed to connect to LXD server \"{}\"",
                origin.server
            ))
        })?;
        let image = server.find(asked).await;
        let image = image.context("Failed getting remote image info")?;
        Ok(Found::Lxd(server, Box::new(image)))
    }

    async fn bring(
        &self,
        scope: &Scope,
        pull: &Pull,
        found: &Found,
        operation: &Operation,
    ) -> Result<Fingerprint, Unbrought> {
        let image = found.image();
        let fingerprint = image.fingerprint.clone();
        if self.is_superseded(scope, pull, &fingerprint).await? {
            return Ok(fingerprint);
        }
        if let Some(size_bytes) = self.touch_up(scope, &pull.details, &fingerprint).await? {
            identify(operation, fingerprint.as_str(), size_bytes);
            return Ok(fingerprint);
        }
        let mut claim = None;
        if image.size_is_known {
            claim = self.claim_for(scope, image.size_bytes).await?;
        }
        // Held until the image is in: whoever joins late finds the files here.
        let (offered, _ticket) = if let Some(layout) = self.shared(pull, &fingerprint).await? {
            (Offered::stored(fingerprint.clone(), layout), None)
        } else {
            let held = operation.is_part().then(|| Held::by(&self.throttle));
            let ticket = self.board(scope, pull, found, held).await?;
            let offered = operation.cancellable(ticket.wait(operation)).await;
            (offered.map_err(Unbrought::by_server)?, Some(ticket))
        };
        let size_bytes = offered.layout().total_bytes();
        if !image.size_is_known {
            claim = self.claim_for(scope, size_bytes.unsigned_abs()).await?;
        }
        let mut candidate = candidate(image, pull, offered, claim)?;
        self.mark_cached(&mut candidate, &pull.details);
        self.admit(scope, candidate, operation.requestor()).await?;
        identify(operation, fingerprint.as_str(), size_bytes);
        Ok(fingerprint)
    }

    /// Whether the project has the image already that is to take another one's place; it has taken
    /// it then.
    async fn is_superseded(
        &self,
        scope: &Scope,
        pull: &Pull,
        fingerprint: &Fingerprint,
    ) -> Result<bool> {
        match &pull.details.replaces {
            Some(replaced) => self.supersede(scope, replaced, fingerprint).await,
            None => Ok(false),
        }
    }

    /// Changes an image that the project has already as the request says. Returns its size, or
    /// `None` when the project does not have it.
    // LXD: asking for an image that is here is no error.
    pub(super) async fn touch_up(
        &self,
        scope: &Scope,
        details: &Details,
        fingerprint: &Fingerprint,
    ) -> Result<Option<i64>> {
        let found =
            db::images::find(&mut *self.db.read().await?, scope.images, fingerprint).await?;
        let Some(row) = found.filter(|_| details.replaces.is_none()) else {
            return Ok(None);
        };
        if details.for_instance || (!details.say_something() && !row.cached) {
            return Ok(Some(row.size_bytes));
        }
        let mut transaction = self.db.write().await?;
        let found = db::images::find(&mut transaction, scope.images, fingerprint).await?;
        let Some(mut row) = found else {
            return Ok(None);
        };
        rewrite(&mut row, details)?;
        db::images::update(&mut transaction, &row).await?;
        Db::commit(transaction).await?;
        Ok(Some(row.size_bytes))
    }

    /// An image that an instance needs is cached, and used from the moment it is here.
    pub(super) fn mark_cached(&self, candidate: &mut Candidate, details: &Details) {
        if details.for_instance {
            candidate.cached = true;
            candidate.last_used_at = self.clock.now().into();
        }
    }

    /// Room for an image whose size is known.
    pub(super) async fn claim_for(&self, scope: &Scope, size_bytes: u64) -> Result<Option<Claim>> {
        let Some(mut claim) = self.claim(scope).await? else {
            return Ok(None);
        };
        match claim.take(size_bytes) {
            Ok(()) => Ok(Some(claim)),
            Err(_) => Err(Error::failed(format!(
                "Remote image with size {size_bytes} exceeds allowed budget of {}",
                claim.room()
            ))),
        }
    }

    /// The layout of files that the store has, if this request may have them without fetching
    /// them: somebody who names a fingerprint and a server that only claims to have such an image
    /// must not get another project's.
    async fn shared(&self, pull: &Pull, fingerprint: &Fingerprint) -> Result<Option<Layout>> {
        let mut session = self.db.read().await?;
        let Some(layout) = blobs::find(&mut session, fingerprint).await? else {
            return Ok(None);
        };
        let is_known = pull.origin.behalf.is_admin
            || (pull.asked.secret.is_empty()
                && db::images::comes_from(&mut session, fingerprint, pull.origin.address())
                    .await?);
        Ok(is_known.then_some(layout))
    }

    /// Joins the download of an image, or starts it.
    async fn board(
        &self,
        scope: &Scope,
        pull: &Pull,
        found: &Found,
        held: Option<Held>,
    ) -> Result<Ticket> {
        let transfer = Transfer {
            found: found.clone(),
            secret: pull.asked.secret.clone(),
            payer: self.payer(scope, found.image()).await?,
        };
        let key = key(pull, &transfer);
        let this = self.clone();
        let download = |meter| this.download(transfer, meter);
        Ok(self.flights.join(&self.tasks, (key, held), download))
    }

    /// Whose room a download takes while it comes, when nobody knows beforehand whether there is
    /// enough. A project with a limit has such downloads of its own.
    async fn payer(&self, scope: &Scope, image: &RemoteImage) -> Result<Option<Scope>> {
        if image.size_is_known {
            return Ok(None);
        }
        let claim = self.claim(scope).await?;
        Ok(claim.map(|_| scope.clone()))
    }

    /// Downloads an image into staging, and makes sure that it is the one.
    async fn download(self, transfer: Transfer, meter: Meter) -> Result<Offered> {
        if let Some(delta) = transfer.found.delta(&self.bases()).await {
            let tried = self.try_download(&transfer, Some(&delta), meter.clone());
            match tried.await {
                Err(error) => {
                    tracing::warn!(%error, "fetching the whole file instead of a delta");
                }
                downloaded => return downloaded,
            }
        }
        self.try_download(&transfer, None, meter).await
    }

    async fn try_download(
        &self,
        transfer: &Transfer,
        delta: Option<&UsableDelta>,
        meter: Meter,
    ) -> Result<Offered> {
        let Transfer { found, secret, .. } = transfer;
        let image = found.image();
        let claim = match &transfer.payer {
            Some(scope) => self.claim(scope).await?,
            None => None,
        };
        let mut intake = self.intake(claim)?;
        match found {
            Found::Lxd(server, _) => server.fetch(image, secret, &mut intake, meter).await,
            Found::Stream(server, listed) => server.fetch(listed, delta, &mut intake, meter).await,
        }?;
        let (received, _) = intake.finish().await?;
        if *received.fingerprint() != image.fingerprint {
            let (got, expected) = (received.fingerprint().as_str(), image.fingerprint.as_str());
            return Err(mismatch(got, expected, &found.address()));
        }
        let staged = self.tasks.run_blocking(move || received.sync()).await?;
        Ok(staged.into())
    }

    /// The root files of the store, as a base of deltas.
    fn bases(&self) -> Bases {
        let this = self.clone();
        Arc::new(move |fingerprint| {
            let this = this.clone();
            Box::pin(async move {
                let mut session = this.db.read().await.ok()?;
                let layout = blobs::find(&mut session, &fingerprint).await.ok()??;
                let is_split = matches!(layout, Layout::Split { .. });
                is_split.then(|| this.store.rootfs(&fingerprint))
            })
        })
    }
}

impl Found {
    /// What spares most of the download.
    async fn delta(&self, bases: &Bases) -> Option<UsableDelta> {
        match self {
            Self::Lxd(..) => None,
            Self::Stream(_, listed) => listed.usable_delta(bases).await,
        }
    }

    /// Whether the server's lists may have been out of date.
    fn may_be_stale(&self, freshness: Freshness) -> bool {
        matches!(self, Self::Stream(..)) && freshness != Freshness::Anew
    }
}

/// Why an image was not brought.
enum Unbrought {
    /// Its server does not have what it lists.
    Unlisted(Error),
    /// Something else, here or there.
    Failed(Error),
}

impl From<Error> for Unbrought {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Unbrought {
    /// Why a download failed.
    fn by_server(error: Error) -> Self {
        match error.kind() {
            Kind::NotFound => Self::Unlisted(error),
            _ => Self::Failed(error),
        }
    }

    fn into_error(self) -> Error {
        match self {
            Self::Unlisted(error) | Self::Failed(error) => error,
        }
    }
}

/// Whether a failure is only that somebody else was faster.
pub(super) fn is_race(error: &Error) -> bool {
    matches!(error.kind(), Kind::Conflict) || error.message() == super::admit::GONE
}

/// What is one download: the same files from the same place, opened and paid for in the same way.
fn key(pull: &Pull, transfer: &Transfer) -> Key {
    let origin = &pull.origin;
    let (server, protocol, certificate) = origin.address();
    let reach = &origin.behalf.reach;
    let payer = transfer.payer.as_ref().map(|scope| scope.images);
    let from = format!(
        "{protocol}\n{server}\n{certificate}\n{}\n{}\n{reach:?}\n{payer:?}",
        origin.project, transfer.secret
    );
    (from, transfer.found.image().fingerprint.to_string())
}

fn candidate(
    image: &RemoteImage,
    pull: &Pull,
    files: Offered,
    claim: Option<Claim>,
) -> Result<Candidate> {
    let details = &pull.details;
    let mut properties = image.properties.clone();
    properties.extend(details.properties.clone());
    let filename = if details.say_something() {
        &details.filename
    } else {
        &image.filename
    };
    Ok(Candidate {
        files,
        kind: image.kind,
        architecture: image.architecture,
        filename: filename.clone(),
        public: details.public,
        auto_update: details.auto_update && (image.by_alias || !details.for_instance),
        cached: false,
        properties,
        created_at: image.created_at,
        expires_at: image.expires_at,
        last_used_at: Timestamp::ZERO,
        source: source(image, pull)?,
        claim,
        replaces: details.replaces.clone(),
    })
}

/// Where to look for a newer one: nowhere, when one certain image was asked for.
fn source(image: &RemoteImage, pull: &Pull) -> Result<Option<SourceRow>> {
    let (origin, reference) = (&pull.origin, &pull.asked.reference);
    if *reference == image.fingerprint.as_str() {
        return Ok(None);
    }
    let properties = serde_json::to_string(&image.properties)
        .map_err(|error| Error::internal("Failed to store the properties", error))?;
    Ok(Some(SourceRow {
        server: origin.server.clone(),
        protocol: origin.protocol.name().to_owned(),
        certificate: origin.certificate.clone(),
        alias: reference.clone(),
        by_alias: image.by_alias,
        restricted: !origin.behalf.is_admin,
        properties,
        expires_at: image.expires_at.to_string(),
    }))
}

/// What a request changes about an image that is here. One that is asked for by name is not only
/// cached any more.
fn rewrite(row: &mut ImageRow, details: &Details) -> Result<()> {
    row.cached = false;
    if !details.say_something() {
        return Ok(());
    }
    row.public = details.public;
    row.auto_update = details.auto_update;
    row.filename.clone_from(&details.filename);
    let mut properties: BTreeMap<String, String> = super::edit::from_text(&row.properties)?;
    properties.extend(details.properties.clone());
    row.properties = super::edit::to_text(properties)?;
    Ok(())
}

impl Sink for Intake {
    async fn begin(&mut self, part: Part) -> Result<()> {
        Self::begin(self, part).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.push(bytes).await
    }
}
