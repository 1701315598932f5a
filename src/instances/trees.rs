//! Where the trees of instances are.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Config, Instance, Instances};
use crate::{
    db::{Db, instances::InstanceRow, pools},
    error::{Error, Result},
    image::ImageType,
    pool::{Pool, TreeName, host_map, idmap::IdMap},
};

/// The storage pools' directories. Cheap to clone; all clones know of the same mounts.
#[derive(Debug, Clone)]
pub(crate) struct Trees {
    db: Db,
    /// The daemon's own directory.
    directory: PathBuf,
    /// By where they are: a pool that went and came again at another place is another one.
    open: Arc<Mutex<BTreeMap<PathBuf, Pool>>>,
}

impl Trees {
    /// The pools that `db` knows, of the daemon in `directory`.
    pub(crate) fn new(db: Db, directory: PathBuf) -> Self {
        Self {
            db,
            directory,
            open: Arc::default(),
        }
    }

    /// The directory of the pool of this name.
    ///
    /// # Errors
    ///
    /// 404 with LXD's text when there is none.
    pub(crate) async fn pool(&self, name: &str) -> Result<Pool> {
        let row = pools::find(&mut *self.db.read().await?, name).await?;
        let row = row.ok_or_else(|| Error::not_found("Storage pool not found"))?;
        let source = row.config.get("source").map(PathBuf::from);
        self.at(source.unwrap_or_default())
    }

    fn at(&self, source: PathBuf) -> Result<Pool> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = open.get(&source) {
            return Ok(pool.clone());
        }
        let pool = Pool::open(&self.directory, &source)?;
        open.insert(source, pool.clone());
        Ok(pool)
    }
}

impl Instances {
    /// The pool an instance's tree is in, and the tree's name.
    pub(crate) async fn tree(&self, instance: &Instance) -> Result<(Pool, TreeName)> {
        Ok((self.trees.pool(&instance.row.pool).await?, name(instance)?))
    }

    /// The same for a snapshot of it.
    pub(crate) async fn tree_at(
        &self,
        instance: &Instance,
        snapshot: &str,
    ) -> Result<(Pool, TreeName)> {
        let (pool, name) = self.tree(instance).await?;
        Ok((pool, name.snapshot(snapshot)?))
    }
}

/// The name of an instance's tree.
pub(crate) fn name(instance: &Instance) -> Result<TreeName> {
    of_row(&instance.row)
}

/// The name of the tree that a row is about.
pub(super) fn of_row(row: &InstanceRow) -> Result<TreeName> {
    TreeName::instance(row.kind, &row.project_name, &row.name)
}

/// Whom the files of an instance with this configuration are to belong to on the host.
pub(crate) fn wanted_map(kind: ImageType, config: &Config) -> IdMap {
    let is_privileged = crate::config::project::feature(config, "security.privileged");
    if is_privileged || kind == ImageType::VirtualMachine {
        return IdMap::IDENTITY;
    }
    host_map()
}

/// A map as LXD notes it: one run of ids for users and one for groups; none for no map.
// LXD: Go's names of the fields.
pub(crate) fn map_as_noted(map: IdMap) -> String {
    if map.is_identity() {
        return "[]".to_owned();
    }
    let run = |is_users: bool| {
        format!(
            r#"{{"Isuid":{is_users},"Isgid":{},"Hostid":{},"Nsid":0,"Maprange":{}}}"#,
            !is_users,
            map.root(),
            map.size()
        )
    };
    format!("[{},{}]", run(true), run(false))
}
