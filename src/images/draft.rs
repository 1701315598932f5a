//! An image that is made here, of an instance: written, counted and hashed while it comes into
//! being, then let in like any other.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::Path,
};

use bytes::BytesMut;

use super::{Images, admit::Candidate, budget::Claim};
use crate::{
    access::Scope,
    api::{Timestamp, objects::Requestor},
    error::{Error, Kind, Result},
    image::{Architecture, Fingerprint, ImageType, Part},
    store::{Incoming, Received},
};

/// How much is gathered before it is written.
const PIECE_BYTES: usize = 256 * 1024;

/// The file of an image to be. What is written to it takes room of the project's limit. Dropped,
/// it leaves nothing. It blocks: to be used where that is allowed.
#[derive(Debug)]
pub(crate) struct Draft {
    incoming: Incoming,
    claim: Option<Claim>,
    gathered: BytesMut,
}

/// A draft that is complete.
#[derive(Debug)]
pub(crate) struct Finished {
    received: Received,
    claim: Option<Claim>,
}

/// What an image that was made here is to be.
#[derive(Debug)]
pub(crate) struct Description {
    /// Container or virtual machine.
    pub(crate) kind: ImageType,
    /// What it runs on.
    pub(crate) architecture: Architecture,
    /// The file name to show.
    pub(crate) filename: String,
    /// Whether everybody sees it.
    pub(crate) public: bool,
    /// Its properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// When it is out of date.
    pub(crate) expires_at: Timestamp,
    /// The aliases to give it, with their descriptions.
    pub(crate) aliases: Vec<(String, String)>,
}

impl Images {
    /// Begins an image of a project.
    pub(crate) async fn draft(&self, scope: &Scope) -> Result<Draft> {
        let claim = self.claim(scope).await?;
        let mut incoming = self.store.receive()?;
        incoming.begin(Part::Image)?;
        Ok(Draft {
            incoming,
            claim,
            gathered: BytesMut::new(),
        })
    }

    /// Lets an image in that was made here.
    ///
    /// # Errors
    ///
    /// LXD's text when the project has such an image; or when it has one of the aliases, in which
    /// case the image stays.
    pub(crate) async fn admit_draft(
        &self,
        scope: &Scope,
        finished: Finished,
        description: Description,
        requestor: Option<&Requestor>,
    ) -> Result<()> {
        let Finished { received, claim } = finished;
        let fingerprint = received.fingerprint().clone();
        let staged = self.tasks.run_blocking(move || received.sync()).await?;
        let candidate = Candidate {
            files: staged.into(),
            kind: description.kind,
            architecture: description.architecture.name(),
            filename: description.filename,
            public: description.public,
            auto_update: false,
            cached: false,
            properties: description.properties,
            created_at: self.clock.now().into(),
            expires_at: description.expires_at,
            last_used_at: Timestamp::ZERO,
            source: None,
            claim,
            replaces: None,
        };
        let admitted = self.admit(scope, candidate, requestor).await;
        admitted.map_err(|error| match error.kind() {
            // LXD: other words than for an upload.
            Kind::Conflict => Error::conflict(format!("The image already exists: {fingerprint}")),
            _ => error,
        })?;
        self.add_aliases(scope, &fingerprint, &description.aliases, requestor)
            .await
    }
}

impl Draft {
    /// How many more bytes the project has room for; `None` when there is no limit.
    pub(crate) fn room(&self) -> Option<u64> {
        self.claim.as_ref().map(Claim::room)
    }

    /// Where it is staged: what else is put there goes with it.
    pub(crate) fn directory(&self) -> &Path {
        self.incoming.directory()
    }

    /// The same, opened.
    pub(crate) fn scratch(&self) -> Result<File> {
        Ok(File::open(self.directory())?)
    }

    /// All of it was written.
    pub(crate) fn finish(mut self) -> Result<Finished> {
        self.write_out()?;
        Ok(Finished {
            received: self.incoming.finish()?,
            claim: self.claim,
        })
    }

    fn write_out(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        if let Some(claim) = &mut self.claim {
            claim.take(self.gathered.len() as u64)?;
        }
        self.incoming.write(self.gathered.split().freeze())
    }
}

impl Write for Draft {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let room = PIECE_BYTES.saturating_sub(self.gathered.len());
        let taken = buffer.get(..room).unwrap_or(buffer);
        self.gathered.extend_from_slice(taken);
        if self.gathered.len() >= PIECE_BYTES {
            self.write_out().map_err(io::Error::other)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Finished {
    /// SHA-256 of it.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        self.received.fingerprint()
    }

    /// Its length.
    pub(crate) fn size_bytes(&self) -> i64 {
        self.received.layout().total_bytes()
    }
}
