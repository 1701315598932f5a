//! Images that are one file behind a URL.
//!
//! Nobody says how long that file is and what is in it: its hash says whether it is the one, and
//! the image itself what it is.

use super::{
    Images,
    admit::{Candidate, Offered},
    budget::Claim,
    fetch::{Details, ROUNDS, is_race},
    flight::Ticket,
    origin::Behalf,
    upload::identify,
};
use crate::{
    access::Scope,
    api::Timestamp,
    error::{Error, Result},
    image::{Fingerprint, NotAFingerprint},
    operations::Operation,
    remote::Meter,
};

/// One file that is an image.
#[derive(Debug, Clone)]
pub(super) struct Direct {
    pub(super) url: String,
    /// Its hash, as it was written.
    pub(super) hash: String,
    pub(super) behalf: Behalf,
}

impl Images {
    /// `source.type` = `url`: asks a URL which image it stands for, and fetches that.
    ///
    /// # Errors
    ///
    /// LXD's texts; nothing is changed then.
    pub(super) async fn import_url(
        &self,
        scope: &Scope,
        url: &str,
        behalf: Behalf,
        details: &Details,
        operation: &Operation,
    ) -> Result<Fingerprint> {
        let mut contact = behalf.contact("")?;
        // What the signpost names is bound by its hash; only the signpost itself could be forged.
        contact.plain = behalf.is_admin;
        let signpost = operation
            .cancellable(self.outbound.signpost(&contact, url))
            .await?;
        let from = Direct {
            url: signpost.url,
            hash: signpost.hash,
            behalf,
        };
        self.import_direct(scope, &from, details, operation).await
    }

    /// Fetches the unified image with this hash from this URL, unless the project has it.
    ///
    /// # Errors
    ///
    /// LXD's texts; nothing is changed then.
    pub(super) async fn import_direct(
        &self,
        scope: &Scope,
        from: &Direct,
        details: &Details,
        operation: &Operation,
    ) -> Result<Fingerprint> {
        let expected: Fingerprint = from
            .hash
            .parse()
            .map_err(|NotAFingerprint| Error::failed(NotAFingerprint::TEXT))?;
        let mut rounds = 0;
        loop {
            rounds += 1;
            if let Some(size_bytes) = self.touch_up(scope, details, &expected).await? {
                identify(operation, expected.as_str(), size_bytes);
                return Ok(expected);
            }
            let brought = self.bring_direct(scope, from, &expected, details, operation);
            match brought.await {
                // Somebody else let it in, or removed it, meanwhile.
                Err(error) if is_race(&error) && rounds < ROUNDS => {}
                brought => return brought,
            }
        }
    }

    async fn bring_direct(
        &self,
        scope: &Scope,
        from: &Direct,
        expected: &Fingerprint,
        details: &Details,
        operation: &Operation,
    ) -> Result<Fingerprint> {
        // Held until the image is in: whoever joins late finds the files here.
        let ticket = self.board_direct(scope, from, expected).await?;
        let offered = operation.cancellable(ticket.wait(operation)).await?;
        let size_bytes = offered.layout().total_bytes();
        let claim = self.claim_for(scope, size_bytes.unsigned_abs()).await?;
        let mut candidate = candidate(&offered, details, claim)?;
        self.mark_cached(&mut candidate, details);
        let fingerprint = self.admit(scope, candidate, operation.requestor()).await?;
        identify(operation, fingerprint.as_str(), size_bytes);
        Ok(fingerprint)
    }

    /// Joins the download of a file, or starts it. A project with a limit has downloads of its
    /// own: nobody knows beforehand whether there is room for them.
    async fn board_direct(
        &self,
        scope: &Scope,
        from: &Direct,
        expected: &Fingerprint,
    ) -> Result<Ticket> {
        let claim = self.claim(scope).await?;
        let limited = claim.as_ref().map(|_| scope.images);
        let Behalf { reach, is_admin } = &from.behalf;
        let place = format!("direct\n{}\n{is_admin}\n{reach:?}\n{limited:?}", from.url);
        let (this, from, hash) = (self.clone(), from.clone(), expected.clone());
        let download = |meter| this.download_direct(from, hash, claim, meter);
        let key = (place, expected.to_string());
        Ok(self.flights.join(&self.tasks, (key, None), download))
    }

    async fn download_direct(
        self,
        from: Direct,
        expected: Fingerprint,
        claim: Option<Claim>,
        meter: Meter,
    ) -> Result<Offered> {
        let mut contact = from.behalf.contact("")?;
        contact.plain = from.behalf.is_admin;
        let mut intake = self.intake(claim)?;
        self.outbound
            .fetch_url(&contact, &from.url, &expected, &mut intake, meter)
            .await?;
        let (received, _claim) = intake.finish().await?;
        let (staged, kind, metadata) = self.inspect(received, None).await?;
        Ok(Offered::described(staged, kind, metadata))
    }
}

/// What the image says of itself, and the request of it.
fn candidate(files: &Offered, details: &Details, claim: Option<Claim>) -> Result<Candidate> {
    let described = files.description();
    let (kind, metadata) = described.ok_or_else(|| Error::failed("Image metadata is missing"))?;
    let date = |seconds| {
        Timestamp::from_unix(seconds)
            .ok_or_else(|| Error::failed("Image dates must be between the years 1 and 9999"))
    };
    let mut properties = metadata.properties.clone();
    properties.extend(details.properties.clone());
    Ok(Candidate {
        kind: *kind,
        architecture: metadata.architecture.name(),
        filename: details.filename.clone(),
        public: details.public,
        auto_update: details.auto_update,
        cached: false,
        properties,
        created_at: date(metadata.creation_date)?,
        expires_at: date(metadata.expiry_date)?,
        last_used_at: Timestamp::ZERO,
        source: None,
        claim,
        replaces: None,
        files: files.clone(),
    })
}
