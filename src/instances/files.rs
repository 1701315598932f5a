//! Files in instances, for those who push and pull them.

use std::fs::File;

use super::{Instance, Instances};
use crate::{
    api::{objects::Requestor, url::escape},
    error::{Error, Result},
    pool::{Attributes, Content, Owner, Root, Write},
};

/// Something that was read, and what has to stay until its bytes were sent.
#[derive(Debug)]
pub(crate) struct Pulled {
    /// Whose it is.
    pub(crate) attributes: Attributes,
    /// What it is.
    pub(crate) content: Content,
    /// Keeps the root file system mounted.
    pub(crate) root: Root,
}

/// A file that is open for writing, and what has to stay until that is done.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The file.
    pub(crate) file: File,
    /// Keeps the root file system mounted.
    pub(crate) root: Root,
}

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Push {
    /// A directory.
    Directory,
    /// A link to this path.
    Symlink(String),
}

impl Instances {
    /// Reads what is at a path.
    ///
    /// # Errors
    ///
    /// 404 `Not Found`; LXD's texts for what cannot be read.
    pub(crate) async fn pull(
        &self,
        instance: &Instance,
        path: &str,
        requestor: &Requestor,
    ) -> Result<Pulled> {
        let name = path.to_owned();
        let pulled = self.in_root(instance, move |root| read(root, &name));
        let pulled = pulled.await?;
        self.tell_path("instance-file-retrieved", instance, path, requestor);
        Ok(pulled)
    }

    /// The same for the attributes only; nobody is told.
    pub(crate) async fn look(&self, instance: &Instance, path: &str) -> Result<Pulled> {
        let path = path.to_owned();
        self.in_root(instance, move |root| read(root, &path)).await
    }

    /// Opens a file for the content that is to be written to it.
    pub(crate) async fn open_for_push(
        &self,
        instance: &Instance,
        path: &str,
        owner: Owner,
        how: Write,
    ) -> Result<Opened> {
        let path = path.to_owned();
        let opening = self.in_root(instance, move |root| {
            let file = root.write(&path, owner, how)?;
            let root = root.clone();
            Ok(Opened { file, root })
        });
        opening.await
    }

    /// Makes a directory or a link.
    pub(crate) async fn push(
        &self,
        instance: &Instance,
        path: &str,
        owner: Owner,
        what: Push,
    ) -> Result<()> {
        let path = path.to_owned();
        let making = self.in_root(instance, move |root| match what {
            Push::Directory => root.make_directory(&path, owner),
            Push::Symlink(target) => root.make_symlink(&path, &target),
        });
        making.await
    }

    /// Tells that something was pushed.
    pub(crate) fn pushed(&self, instance: &Instance, path: &str, requestor: &Requestor) {
        self.tell_path("instance-file-pushed", instance, path, requestor);
    }

    /// Removes a file, a link or an empty directory.
    ///
    /// # Errors
    ///
    /// 404 `Not Found`; LXD's texts for what cannot be removed.
    pub(crate) async fn delete_file(
        &self,
        instance: &Instance,
        path: &str,
        requestor: &Requestor,
    ) -> Result<()> {
        let name = path.to_owned();
        self.in_root(instance, move |root| root.delete(&name))
            .await?;
        self.tell_path("instance-file-deleted", instance, path, requestor);
        Ok(())
    }

    /// Works with the files of an instance, whatever else is done with it: who waits for its end
    /// may look at it meanwhile.
    async fn in_root<T: Send + 'static>(
        &self,
        instance: &Instance,
        work: impl FnOnce(&Root) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if !instance.is_container() {
            // LXD: only an agent inside could.
            return Err(Error::failed("LXD VM agent isn't currently running"));
        }
        let (pool, name) = self.tree(instance).await?;
        let working = move || work(&pool.mount(&name)?.root());
        self.tasks.run_blocking(working).await
    }

    fn tell_path(
        &self,
        action: &'static str,
        instance: &Instance,
        path: &str,
        requestor: &Requestor,
    ) {
        let url = format!("/1.0/instances/{}", escape(instance.name()));
        let where_to = (instance.project(), url.as_str());
        self.tell(action, where_to, Some(requestor), &[("path", path)]);
    }
}

fn read(root: &Root, path: &str) -> Result<Pulled> {
    let (attributes, content) = root.read(path)?;
    Ok(Pulled {
        attributes,
        content,
        root: root.clone(),
    })
}
