//! Bytes that a client sends: received into staging while they arrive, then inspected and
//! admitted in an operation.

use std::{collections::BTreeMap, fs::File, pin::Pin};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Images, admit::Candidate, budget::Claim};
use crate::{
    access::Scope,
    api::{
        Timestamp,
        objects::{Metadata as OperationMetadata, OperationObject, Requestor},
    },
    error::{Error, Result},
    image::{self, ImageType, Limits, Metadata, Part},
    operations::{Operation, Spec},
    store::{Incoming, Received, Staged},
};

/// How many pieces may wait for the disk before the sender has to.
const QUEUE: usize = 8;

/// What a client says about the image it sends.
#[derive(Debug, Default)]
pub(crate) struct UploadRequest {
    /// `X-LXD-filename`; a split image is called after its root part instead.
    pub(crate) filename: String,
    /// `X-LXD-public`.
    pub(crate) public: bool,
    /// `X-LXD-properties`, laid over those of the metadata.
    pub(crate) properties: BTreeMap<String, String>,
    /// `X-LXD-fingerprint`, if it was sent.
    pub(crate) expected_fingerprint: Option<String>,
    /// What the token that allows the upload says instead.
    pub(crate) grant: Option<Grant>,
}

/// What was promised when a push token was made; it replaces what the upload itself says.
#[derive(Debug)]
pub(crate) struct Grant {
    /// Aliases to make.
    pub(crate) aliases: Vec<(String, String)>,
    /// When the image is out of date.
    pub(crate) expires_at: Timestamp,
    /// All its properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// Whether everybody sees it.
    pub(crate) public: bool,
    /// By which the uploader, who is not trusted, may wait for the operation.
    pub(crate) wait_secret: String,
}

/// The root part of a split upload.
#[derive(Debug, Clone)]
pub(crate) struct RootPart {
    /// What kind of image the part's name makes it.
    pub(crate) kind: ImageType,
    /// The name its file had.
    pub(crate) filename: String,
}

/// An upload being received. Dropped before [`Intake::finish`], it leaves nothing.
pub(crate) struct Intake {
    pieces: mpsc::Sender<Piece>,
    claim: Option<Claim>,
    worker: Pin<Box<dyn Future<Output = Result<Received>> + Send>>,
    root: Option<RootPart>,
    /// Why the body is no image, when it cannot even be taken apart.
    refused: Option<Error>,
}

enum Piece {
    Begin(Part),
    Bytes(Bytes),
    End,
}

impl Images {
    /// Begins to receive an upload into a project.
    pub(crate) async fn receive(&self, scope: &Scope) -> Result<Intake> {
        self.intake(self.claim(scope).await?)
    }

    /// Begins to receive an image that takes its room from `claim`.
    pub(super) fn intake(&self, claim: Option<Claim>) -> Result<Intake> {
        let incoming = self.store.receive()?;
        let (pieces, receiver) = mpsc::channel(QUEUE);
        let worker = self
            .tasks
            .start_blocking(move || write_all(incoming, receiver));
        Ok(Intake {
            pieces,
            claim,
            worker: Box::pin(worker),
            root: None,
            refused: None,
        })
    }

    /// Begins the operation that makes an image of what was received.
    pub(crate) fn upload(
        &self,
        scope: Scope,
        intake: Intake,
        request: UploadRequest,
        requestor: Requestor,
    ) -> OperationObject {
        let metadata = request.grant.as_ref().map(|grant| {
            OperationMetadata::from_iter([("secret".to_owned(), grant.wait_secret.clone().into())])
        });
        let spec = Spec {
            description: "Downloading image",
            project: Some(scope.project.name.clone()),
            metadata,
            requestor: Some(requestor),
            ..Spec::default()
        };
        let this = self.clone();
        self.operations.task(spec, move |operation| async move {
            this.make_image(&scope, intake, request, &operation).await
        })
    }

    async fn make_image(
        &self,
        scope: &Scope,
        intake: Intake,
        request: UploadRequest,
        operation: &Operation,
    ) -> Result<()> {
        let root = intake.root.clone();
        let (received, claim) = intake.finish().await?;
        let checked = check_fingerprint(&received, request.expected_fingerprint.as_deref());
        if checked.is_err() {
            // Giving files up takes its time.
            let given_up = move || {
                drop(received);
                Ok(())
            };
            self.tasks.run_blocking(given_up).await?;
            return checked;
        }
        let (staged, kind, metadata) = self.inspect(received, root.clone()).await?;

        let (fingerprint, size_bytes) =
            (staged.fingerprint().clone(), staged.layout().total_bytes());
        let aliases = request
            .grant
            .as_ref()
            .map(|grant| grant.aliases.clone())
            .unwrap_or_default();
        let mut candidate = candidate(staged, kind, metadata, request, root)?;
        candidate.claim = claim;
        identify(operation, fingerprint.as_str(), size_bytes);
        self.admit(scope, candidate, operation.requestor()).await?;
        self.add_aliases(scope, &fingerprint, &aliases, operation.requestor())
            .await
    }

    /// Reads the metadata out of received files, bounded in every way, while they are synced.
    pub(super) async fn inspect(
        &self,
        received: Received,
        root: Option<RootPart>,
    ) -> Result<(Staged, ImageType, Metadata)> {
        let size_bytes = received.layout().image_size_bytes().unsigned_abs();
        let image = received.open(Part::Image)?;
        let root = root.map(|root| received.open(Part::Rootfs).map(|file| (root.kind, file)));
        let root = root.transpose()?;
        let inspecting = async {
            // Decoders take memory, and no more of them get anything done at a time.
            let _turn = self.decoding.acquire().await;
            self.tasks
                .run_blocking(move || inspect(image, size_bytes, root))
                .await
        };
        let syncing = self.tasks.run_blocking(move || received.sync());
        let (inspected, synced) = tokio::join!(inspecting, syncing);
        let (kind, metadata) = inspected?;
        Ok((synced?, kind, metadata))
    }
}

/// What an image is, from its first file and, of a split one, what its root is said to be.
fn inspect(
    image: File,
    size_bytes: u64,
    root: Option<(ImageType, File)>,
) -> Result<(ImageType, Metadata)> {
    let limits = Limits::default();
    let Some((kind, mut root)) = root else {
        let inspected = image::inspect_unified(image, size_bytes, &limits)?;
        return Ok((inspected.kind, inspected.metadata));
    };
    let metadata = image::inspect_metadata(image, size_bytes, &limits)?;
    image::check_root(&mut root, kind)?;
    Ok((kind, metadata))
}

impl Intake {
    /// Begins the next file.
    pub(crate) async fn begin(&mut self, part: Part) -> Result<()> {
        self.send(Piece::Begin(part)).await
    }

    /// Appends to the file begun last. Waits when the disk is slower than the sender.
    ///
    /// # Errors
    ///
    /// LXD's text when the project has no room for so much; what the disk says.
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<()> {
        if let Some(claim) = &mut self.claim {
            claim.take(bytes.len() as u64)?;
        }
        self.send(Piece::Bytes(bytes)).await
    }

    /// It is a split image with this root part.
    pub(crate) fn set_root(&mut self, root: RootPart) {
        self.root = Some(root);
    }

    /// Whether the disk or the project's limit, not the sender, is the trouble.
    pub(crate) fn has_failed(&self) -> bool {
        self.pieces.is_closed() || self.claim.as_ref().is_some_and(Claim::was_exceeded)
    }

    /// The body is no image; the operation is to say so.
    pub(crate) fn refuse(&mut self, error: Error) {
        self.refused = Some(error);
    }

    async fn send(&mut self, piece: Piece) -> Result<()> {
        if self.pieces.send(piece).await.is_ok() {
            return Ok(());
        }
        // The worker has ended before its time: it knows why.
        Err((&mut self.worker)
            .await
            .err()
            .unwrap_or_else(|| Error::failed("Upload interrupted")))
    }

    /// Everything has arrived: the files, durable in staging.
    pub(super) async fn finish(mut self) -> Result<(Received, Option<Claim>)> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        self.send(Piece::End).await?;
        Ok((self.worker.await?, self.claim))
    }
}

fn write_all(mut incoming: Incoming, mut pieces: mpsc::Receiver<Piece>) -> Result<Received> {
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Begin(part)) => incoming.begin(part)?,
            Some(Piece::Bytes(bytes)) => incoming.write(bytes)?,
            Some(Piece::End) => return incoming.finish(),
            None => return Err(Error::failed("Upload interrupted")),
        }
    }
}

fn check_fingerprint(received: &Received, expected: Option<&str>) -> Result<()> {
    let got = received.fingerprint();
    match expected.filter(|expected| !expected.is_empty()) {
        Some(expected) if expected != got.as_str() => Err(Error::failed(format!(
            "fingerprints don't match, got {got} expected {expected}"
        ))),
        _ => Ok(()),
    }
}

/// Tells in the operation which image it is, as clients need to know.
// LXD: the size is a decimal string.
pub(super) fn identify(operation: &Operation, fingerprint: &str, size_bytes: i64) {
    let mut metadata = OperationMetadata::new();
    metadata.insert("fingerprint".to_owned(), fingerprint.into());
    metadata.insert("size".to_owned(), size_bytes.to_string().into());
    if let Some(secret) = operation.metadata_text("secret") {
        metadata.insert("secret".to_owned(), secret.into());
    }
    operation.set_metadata(metadata);
}

fn candidate(
    staged: Staged,
    kind: ImageType,
    metadata: Metadata,
    request: UploadRequest,
    root: Option<RootPart>,
) -> Result<Candidate> {
    let out_of_range = || Error::failed("Image dates must be between the years 1 and 9999");
    let mut properties = metadata.properties;
    properties.extend(request.properties);
    let mut candidate = Candidate {
        files: staged.into(),
        kind,
        architecture: metadata.architecture.name(),
        filename: root.map_or(request.filename, |root| root.filename),
        public: request.public,
        auto_update: false,
        cached: false,
        properties,
        created_at: Timestamp::from_unix(metadata.creation_date).ok_or_else(out_of_range)?,
        expires_at: Timestamp::from_unix(metadata.expiry_date).ok_or_else(out_of_range)?,
        last_used_at: Timestamp::ZERO,
        source: None,
        claim: None,
        replaces: None,
    };
    if let Some(grant) = request.grant {
        candidate.properties = grant.properties;
        candidate.public = grant.public;
        candidate.expires_at = grant.expires_at;
    }
    Ok(candidate)
}
