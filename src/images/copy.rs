//! `POST /1.0/images` with JSON: images that are fetched from somewhere else.

use super::{
    Images,
    fetch::{Details, Pull},
    origin::{Behalf, Origin, Protocol},
    upload::identify,
};
use crate::{
    access::{Caller, Scope},
    api::{
        Timestamp,
        objects::OperationObject,
        requests::{ImagesPost, ImagesPostSource},
    },
    error::{Error, Result},
    image::{Fingerprint, ImageType, NotAFingerprint},
    operations::{Operation, Spec},
    remote::{Asked, Freshness, Meter, parse_url},
};

use super::admit::Candidate;

/// What is fetched, and what it is to be here.
struct Wish {
    source: ImagesPostSource,
    details: Details,
    aliases: Vec<(String, String)>,
    behalf: Behalf,
}

impl Images {
    /// Begins the operation that fetches an image.
    ///
    /// # Errors
    ///
    /// 403, before anything is connected to, when this caller may not reach that address.
    pub(crate) async fn fetch(
        &self,
        scope: Scope,
        request: ImagesPost,
        source: ImagesPostSource,
        caller: &Caller,
    ) -> Result<OperationObject> {
        let behalf = Behalf::of(caller, &scope);
        for named in [&source.server, &source.url] {
            if let Ok(url) = parse_url("Get", named) {
                behalf.reach.check(&url).await?;
            }
        }
        let aliases = request.aliases.unwrap_or_default().into_iter();
        let wish = Wish {
            source,
            details: Details {
                public: request.put.public,
                auto_update: request.put.auto_update,
                filename: request.filename,
                properties: request.put.properties.unwrap_or_default(),
                ..Details::default()
            },
            aliases: aliases
                .map(|alias| (alias.name, alias.description))
                .collect(),
            behalf,
        };
        let spec = Spec {
            description: "Downloading image",
            project: Some(scope.project.name.clone()),
            requestor: Some(caller.requestor.clone()),
            ..Spec::default()
        };
        let this = self.clone();
        Ok(self.operations.task(spec, move |operation| async move {
            this.fetch_now(&scope, wish, &operation).await
        }))
    }

    async fn fetch_now(&self, scope: &Scope, wish: Wish, operation: &Operation) -> Result<()> {
        let Wish {
            source,
            details,
            aliases,
            behalf,
        } = wish;
        let fingerprint = if source.kind == "url" {
            self.import_url(scope, &source.url, behalf, details, operation)
                .await?
        } else {
            self.copy(scope, &source, behalf, details, operation)
                .await?
        };
        self.add_aliases(scope, &fingerprint, &aliases, operation.requestor())
            .await
    }

    /// `source.type` = `image`.
    async fn copy(
        &self,
        scope: &Scope,
        source: &ImagesPostSource,
        behalf: Behalf,
        details: Details,
        operation: &Operation,
    ) -> Result<Fingerprint> {
        let named = [&source.fingerprint, &source.alias];
        let Some(reference) = named.into_iter().find(|text| !text.is_empty()) else {
            let text = "must specify one of alias or fingerprint for init from image";
            return Err(Error::failed(text));
        };
        let origin = Origin::of_request(source, behalf)?;
        if origin.protocol == Protocol::Direct {
            let from = Direct {
                url: source.server.clone(),
                hash: reference.clone(),
                behalf: origin.behalf,
            };
            return self.import_direct(scope, from, details, operation).await;
        }
        let asked = Asked {
            reference: reference.clone(),
            only_aliases: false,
            kind: ImageType::from_name(&source.image_type),
            secret: source.secret.clone(),
        };
        let pull = Pull {
            origin,
            asked,
            freshness: Freshness::Revalidated,
            details,
        };
        self.pull(scope, &pull, operation).await
    }

    /// `source.type` = `url`.
    async fn import_url(
        &self,
        scope: &Scope,
        url: &str,
        behalf: Behalf,
        details: Details,
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
        self.import_direct(scope, from, details, operation).await
    }

    /// Fetches the unified image with this hash from this URL.
    pub(super) async fn import_direct(
        &self,
        scope: &Scope,
        from: Direct,
        details: Details,
        operation: &Operation,
    ) -> Result<Fingerprint> {
        let expected: Fingerprint = from
            .hash
            .parse()
            .map_err(|NotAFingerprint| Error::failed(NotAFingerprint::TEXT))?;
        if let Some(size_bytes) = self.touch_up(scope, &details, &expected).await? {
            identify(operation, expected.as_str(), size_bytes);
            return Ok(expected);
        }
        let downloading = self.download_direct(scope, &from, &expected, operation);
        let mut candidate = operation.cancellable(downloading).await?;
        let size_bytes = candidate.files.layout().total_bytes();
        candidate.public = details.public;
        candidate.auto_update = details.auto_update;
        self.mark_cached(&mut candidate, &details);
        candidate.filename = details.filename;
        candidate.properties.extend(details.properties);
        self.admit(scope, candidate, operation.requestor()).await?;
        identify(operation, expected.as_str(), size_bytes);
        Ok(expected)
    }

    async fn download_direct(
        &self,
        scope: &Scope,
        from: &Direct,
        expected: &Fingerprint,
        operation: &Operation,
    ) -> Result<Candidate> {
        let mut contact = from.behalf.contact("")?;
        contact.plain = from.behalf.is_admin;
        let mut intake = self.intake(self.claim(scope).await?)?;
        let (told, mut seen) = tokio::sync::watch::channel(None::<String>);
        let meter = Meter::new(std::sync::Arc::new(told));
        let telling = async {
            while seen.changed().await.is_ok() {
                let text = seen.borrow_and_update().clone().unwrap_or_default();
                operation.tell_progress("download_progress", &text);
            }
        };
        let fetching = self
            .outbound
            .fetch_url(&contact, &from.url, expected, &mut intake, meter);
        let (fetched, ()) = tokio::join!(fetching, telling);
        fetched?;
        let (received, claim) = intake.finish().await?;
        let (staged, kind, metadata) = self.inspect(received, None).await?;
        let date = |seconds| {
            Timestamp::from_unix(seconds)
                .ok_or_else(|| Error::failed("Image dates must be between the years 1 and 9999"))
        };
        Ok(Candidate {
            files: staged.into(),
            kind,
            architecture: metadata.architecture.name(),
            filename: String::new(),
            public: false,
            auto_update: false,
            cached: false,
            properties: metadata.properties,
            created_at: date(metadata.creation_date)?,
            expires_at: date(metadata.expiry_date)?,
            last_used_at: Timestamp::ZERO,
            source: None,
            claim,
            replaces: None,
        })
    }
}

/// One file that is an image.
pub(super) struct Direct {
    pub(super) url: String,
    /// Its hash, as it was written.
    pub(super) hash: String,
    pub(super) behalf: Behalf,
}
