//! `POST /1.0/images` with JSON: images that are fetched from somewhere else.

use super::{
    Images,
    direct::Direct,
    fetch::{Details, Pull},
    origin::{Behalf, Origin, Protocol},
};
use crate::{
    access::{Caller, Scope},
    api::{
        objects::OperationObject,
        requests::{ImagesPost, ImagesPostSource},
    },
    error::{Error, Result},
    image::{Fingerprint, ImageType},
    operations::{Operation, Spec},
    remote::{Asked, Freshness, parse_url},
};

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
            self.import_url(scope, &source.url, behalf, &details, operation)
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
            return self.import_direct(scope, &from, &details, operation).await;
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
}
