//! `POST /1.0/images/FINGERPRINT/export`: this server hands an image to another one.

use super::{Images, origin::Behalf, query::Visibility};
use crate::{
    access::{Caller, Scope},
    api::{objects::OperationObject, requests::ImageExportPost},
    db::images::ImageRow,
    error::{Kind, Result},
    operations::{Operation, Spec},
    remote::{LxdServer, Meter, Upload, parse_url},
};

impl Images {
    /// Begins the operation that uploads an image to another server.
    ///
    /// # Errors
    ///
    /// 404 when there is no such image; 500 when the other server cannot be spoken to, 403 when
    /// this caller may not reach it, before an operation is made.
    pub(crate) async fn push(
        &self,
        scope: Scope,
        reference: &str,
        request: ImageExportPost,
        caller: &Caller,
    ) -> Result<OperationObject> {
        let row = self.find_row(&scope, Visibility::All, reference).await?;
        let behalf = Behalf::of(caller, &scope);
        if let Ok(url) = parse_url("Get", &request.target) {
            behalf.reach.check(&url).await?;
        }
        let contact = behalf.contact(&request.certificate)?;
        let target = self
            .outbound
            .lxd(&request.target, contact, &request.project)
            .await;
        let target = target.map_err(|error| match error.kind() {
            Kind::Forbidden => error,
            _ => error.with_kind(Kind::Failed),
        })?;
        let spec = Spec {
            description: "Downloading image",
            project: Some(scope.project.name.clone()),
            requestor: Some(caller.requestor.clone()),
            ..Spec::default()
        };
        let this = self.clone();
        Ok(self.operations.task(spec, move |operation| async move {
            let pushing = this.push_now(&row, target, request.secret, &operation);
            operation.cancellable(pushing).await
        }))
    }

    async fn push_now(
        &self,
        row: &ImageRow,
        target: LxdServer,
        secret: String,
        operation: &Operation,
    ) -> Result<()> {
        let upload = self.opened(row, secret).await?;
        let (told, mut seen) = tokio::sync::watch::channel(None::<String>);
        let meter = Meter::new(std::sync::Arc::new(told));
        let telling = async {
            while seen.changed().await.is_ok() {
                let text = seen.borrow_and_update().clone().unwrap_or_default();
                operation.tell_progress("upload_progress", &text);
            }
        };
        let (pushed, ()) = tokio::join!(target.upload(upload, meter), telling);
        pushed
    }

    /// The files of an image, open.
    async fn opened(&self, row: &ImageRow, secret: String) -> Result<Upload> {
        let files = self.open(&row.fingerprint).await?;
        // LXD: sends `rootfs` for virtual machines too, which makes containers of them.
        let name = if row.kind == "container" {
            "rootfs"
        } else {
            "rootfs.img"
        };
        Ok(Upload {
            fingerprint: row.fingerprint.clone(),
            image: files.image,
            rootfs: files.rootfs.map(|file| (file, name)),
            secret,
        })
    }
}
