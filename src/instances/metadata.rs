//! `metadata.yaml` and the templates of an instance, for its users to read and write.

use std::fs::File;

use super::{Instance, Instances, query};
use crate::{
    access::Edit,
    api::objects::Requestor,
    error::Result,
    image::MetadataFile,
    pool::{Pool, Templates, TreeName},
};

impl Instances {
    /// What an instance's `metadata.yaml` says; none when it has none.
    ///
    /// # Errors
    ///
    /// When it is no regular file, or says nothing that can be understood.
    pub(crate) async fn metadata(
        &self,
        instance: &Instance,
        requestor: Requestor,
    ) -> Result<Option<MetadataFile>> {
        let file = self.metadata_file(instance).await?;
        self.tell_metadata("instance-metadata-retrieved", instance, &requestor);
        Ok(file)
    }

    /// Replaces it.
    // LXD: nothing is checked, not even what the client last saw.
    pub(crate) async fn replace_metadata(
        &self,
        instance: &Instance,
        file: MetadataFile,
        requestor: Requestor,
    ) -> Result<()> {
        let _held = self.hold(instance, "update").await;
        self.write_metadata(instance, file, requestor).await
    }

    /// Changes it.
    ///
    /// # Errors
    ///
    /// What `change` refuses, and 412 when it is not as the client last saw it.
    pub(crate) async fn patch_metadata(
        &self,
        instance: &Instance,
        edit: Edit,
        change: impl FnOnce(MetadataFile) -> Result<MetadataFile> + Send,
    ) -> Result<()> {
        let _held = self.hold(instance, "update").await;
        let file = self.metadata_file(instance).await?.unwrap_or_default();
        edit.check(&file)?;
        self.write_metadata(instance, change(file)?, edit.requestor)
            .await
    }

    async fn metadata_file(&self, instance: &Instance) -> Result<Option<MetadataFile>> {
        let read = |pool: &Pool, tree: &TreeName| pool.metadata(tree);
        let text = self.with_tree(instance, read).await?;
        text.map(|text| MetadataFile::parse(text.as_bytes()))
            .transpose()
    }

    async fn write_metadata(
        &self,
        instance: &Instance,
        file: MetadataFile,
        requestor: Requestor,
    ) -> Result<()> {
        let text = file.to_yaml()?;
        let write = move |pool: &Pool, tree: &TreeName| pool.replace_metadata(tree, &text);
        self.with_tree(instance, write).await?;
        self.tell_metadata("instance-metadata-updated", instance, &requestor);
        Ok(())
    }

    /// The names of an instance's templates.
    pub(crate) async fn templates(&self, instance: &Instance) -> Result<Vec<String>> {
        self.with_templates(instance, Templates::list).await
    }

    /// A template, for reading.
    ///
    /// # Errors
    ///
    /// 404 when there is none of this name; 500 for a name that no template has.
    pub(crate) async fn open_template(
        &self,
        instance: &Instance,
        name: &str,
        requestor: Requestor,
    ) -> Result<File> {
        let wanted = name.to_owned();
        let open = move |templates: &Templates| templates.open(&wanted);
        let file = self.with_templates(instance, open).await?;
        self.tell_template(
            "instance-metadata-template-retrieved",
            (instance, name),
            &requestor,
        );
        Ok(file)
    }

    /// Makes or replaces a template.
    ///
    /// # Errors
    ///
    /// 500 for a name that no template has; 400 when there are too many.
    pub(crate) async fn write_template(
        &self,
        instance: &Instance,
        (name, text): (&str, Vec<u8>),
        requestor: Requestor,
    ) -> Result<()> {
        let _held = self.hold(instance, "update").await;
        let wanted = name.to_owned();
        let write = move |templates: &Templates| templates.write(&wanted, &text);
        self.with_templates(instance, write).await?;
        self.tell_template(
            "instance-metadata-template-created",
            (instance, name),
            &requestor,
        );
        Ok(())
    }

    /// Removes a template.
    ///
    /// # Errors
    ///
    /// 404 when there is none of this name; 500 for a name that no template has.
    pub(crate) async fn delete_template(
        &self,
        instance: &Instance,
        name: &str,
        requestor: Requestor,
    ) -> Result<()> {
        let _held = self.hold(instance, "update").await;
        let wanted = name.to_owned();
        let delete = move |templates: &Templates| templates.delete(&wanted);
        self.with_templates(instance, delete).await?;
        self.tell_template(
            "instance-metadata-template-deleted",
            (instance, name),
            &requestor,
        );
        Ok(())
    }

    async fn with_templates<T: Send + 'static>(
        &self,
        instance: &Instance,
        work: impl FnOnce(&Templates) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let work = move |pool: &Pool, tree: &TreeName| work(&pool.templates(tree)?);
        self.with_tree(instance, work).await
    }

    /// Works with an instance's tree where that may take a while.
    async fn with_tree<T: Send + 'static>(
        &self,
        instance: &Instance,
        work: impl FnOnce(&Pool, &TreeName) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (pool, tree) = self.tree(instance).await?;
        self.tasks.run_blocking(move || work(&pool, &tree)).await
    }

    fn tell_metadata(&self, action: &'static str, instance: &Instance, requestor: &Requestor) {
        let path = metadata_path(instance);
        self.tell(action, (instance.project(), &path), Some(requestor), &[]);
    }

    fn tell_template(
        &self,
        action: &'static str,
        (instance, name): (&Instance, &str),
        requestor: &Requestor,
    ) {
        let path = metadata_path(instance) + "/templates";
        let details = [("path", name)];
        self.tell(
            action,
            (instance.project(), &path),
            Some(requestor),
            &details,
        );
    }
}

fn metadata_path(instance: &Instance) -> String {
    query::url_of("instances", "default", instance.name()) + "/metadata"
}
