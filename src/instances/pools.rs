//! Storage pools of driver `dir`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::query;
use crate::{
    access::Edit,
    api::{
        objects::{Inodes, Pool, PoolResources, Requestor, Space},
        requests::{StoragePoolPut, StoragePoolsPost},
        url::escape,
    },
    config,
    db::{
        Db, Session, instances,
        pools::{self, PoolRow},
        profiles, snapshots,
    },
    error::{Context, Error, Kind, Result},
    operations::{Operations, happened},
};

/// The storage pools of the server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    db: Db,
    operations: Operations,
    /// Where pools are that name no place of their own.
    directory: PathBuf,
}

impl Pools {
    /// The pools kept in `db`, by default below `directory`.
    pub(crate) fn new(db: Db, operations: Operations, directory: PathBuf) -> Self {
        Self {
            db,
            operations,
            directory,
        }
    }

    /// Makes the pool `default` on a fresh start, so that nobody needs an init command.
    pub(crate) async fn ensure_default(session: &mut Session, directory: &Path) -> Result<()> {
        if !pools::list(session).await?.is_empty() {
            return Ok(());
        }
        let source = directory.join("default");
        make_directory(&source)?;
        let row = PoolRow {
            name: "default".to_owned(),
            driver: "dir".to_owned(),
            description: String::new(),
            config: BTreeMap::from([("source".to_owned(), source.display().to_string())]),
        };
        pools::insert(session, &row).await
    }

    /// Every pool, by name.
    pub(crate) async fn list(&self) -> Result<Vec<Pool>> {
        let mut session = self.db.read().await?;
        let mut users = users(&mut session).await?;
        let rows = pools::list(&mut session).await?;
        Ok(rows
            .into_iter()
            .map(|row| render(&mut users, row))
            .collect())
    }

    /// One pool.
    pub(crate) async fn get(&self, name: &str) -> Result<Pool> {
        let mut session = self.db.read().await?;
        let row = find(&mut session, name).await?;
        let mut users = users(&mut session).await?;
        Ok(render(&mut users, row))
    }

    /// How full the file system of a pool is.
    pub(crate) async fn resources(&self, name: &str) -> Result<PoolResources> {
        let mut session = self.db.read().await?;
        // LXD: an unknown pool is a 500 here.
        let row = find(&mut session, name)
            .await
            .map_err(|e| e.with_kind(Kind::Failed))?;
        let source = row
            .config
            .get("source")
            .map(PathBuf::from)
            .unwrap_or_default();
        let stat = rustix::fs::statvfs(&source)
            .map_err(|error| Error::internal("Failed to look at the storage pool", error))?;
        let total = stat.f_blocks.saturating_mul(stat.f_frsize);
        let free = stat.f_bfree.saturating_mul(stat.f_frsize);
        Ok(PoolResources {
            space: Space {
                used: total.saturating_sub(free),
                total,
            },
            inodes: Inodes {
                used: stat.f_files.saturating_sub(stat.f_ffree),
                total: stat.f_files,
            },
        })
    }

    /// Makes a pool.
    pub(crate) async fn create(&self, new: StoragePoolsPost, requestor: Requestor) -> Result<()> {
        let StoragePoolsPost {
            name,
            driver,
            put:
                StoragePoolPut {
                    mut config,
                    description,
                },
        } = new;
        config::names::pool(&name, &driver)?;
        let mut transaction = self.db.write().await?;
        if pools::find(&mut transaction, &name).await?.is_some() {
            let text = "The storage pool already exists: The record already exists";
            return Err(Error::conflict(text));
        }
        config::pool::validate(&name, &driver, &config)?;
        let others = pools::list(&mut transaction).await?;
        let source = self.source(&name, &mut config, &others)?;
        config.insert("source".to_owned(), source);
        config.retain(|_, value| !value.is_empty());
        let row = PoolRow {
            name,
            driver,
            description,
            config,
        };
        pools::insert(&mut transaction, &row).await?;
        Db::commit(transaction).await?;
        self.tell("storage-pool-created", &row.name, requestor);
        Ok(())
    }

    /// Where a new pool is: in a directory that exists already, or in one made for it.
    fn source(
        &self,
        name: &str,
        config: &mut BTreeMap<String, String>,
        others: &[PoolRow],
    ) -> Result<String> {
        if let Some(source) = config.remove("source").filter(|source| !source.is_empty()) {
            self.check_source(name, &source, others)?;
            return Ok(source);
        }
        let path = self.directory.join(name);
        if path.exists() {
            let text = format!(
                "Storage pool directory {:?} already exists",
                path.display().to_string()
            );
            return Err(Error::failed(text));
        }
        make_directory(&path)?;
        Ok(path.display().to_string())
    }

    /// Makes sure that a directory is nobody's yet: not ours, nor another pool's, and empty.
    fn check_source(&self, name: &str, source: &str, others: &[PoolRow]) -> Result<()> {
        let refused = |why: &str| Err(Error::failed(format!("Source path '{source}' {why}")));
        let real = match std::fs::canonicalize(source) {
            Ok(real) if Path::new(source).is_absolute() && real.is_dir() => real,
            _ => return refused("doesn't exist"),
        };
        let own = real_path(&self.directory);
        let state = own.parent().unwrap_or(&own);
        if real.starts_with(state) && real != own.join(name) {
            return refused("is within the LXD directory");
        }
        for other in others {
            let theirs = other.config.get("source").map(Path::new).map(real_path);
            let is_shared =
                |theirs: PathBuf| real.starts_with(&theirs) || theirs.starts_with(&real);
            if theirs.is_some_and(is_shared) {
                return refused(&format!("is in use by the storage pool {:?}", other.name));
            }
        }
        let mut entries = std::fs::read_dir(&real).context("Failed to look at the source path")?;
        if entries.next().is_some() {
            return refused("isn't empty");
        }
        Ok(())
    }

    /// Replaces a pool's description and configuration; PATCH lays the configuration over it.
    pub(crate) async fn change(
        &self,
        name: &str,
        new: StoragePoolPut,
        is_patch: bool,
        edit: Edit,
    ) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let mut row = find(&mut transaction, name).await?;
        edit.check(&(&row.name, &row.driver, &row.config))?;
        let mut config = if is_patch {
            row.config.clone()
        } else {
            BTreeMap::new()
        };
        config.extend(new.config);
        config.retain(|_, value| !value.is_empty());
        config::pool::validate_change(&row.config, &config)?;
        row.config = config;
        row.description = new.description;
        pools::update(&mut transaction, &row).await?;
        Db::commit(transaction).await?;
        self.tell("storage-pool-updated", name, edit.requestor);
        Ok(())
    }

    /// Removes a pool that nothing uses.
    pub(crate) async fn delete(&self, name: &str, requestor: Requestor) -> Result<()> {
        let mut transaction = self.db.write().await?;
        let row = find(&mut transaction, name).await?;
        if users(&mut transaction).await?.contains_key(name) {
            return Err(Error::bad_request("The storage pool is currently in use"));
        }
        pools::delete(&mut transaction, name).await?;
        Db::commit(transaction).await?;
        self.forget_directory(&row);
        self.tell("storage-pool-deleted", name, requestor);
        Ok(())
    }

    /// Removes a pool's own directory if nothing is in it; what is in it is somebody's.
    fn forget_directory(&self, row: &PoolRow) {
        let own = self.directory.join(&row.name);
        let source = row.config.get("source").map(PathBuf::from);
        let source = source.unwrap_or_default();
        // Images may be unpacked there still.
        let dismantled = tokio::task::block_in_place(|| {
            crate::pool::Pool::open(&self.directory, &source)?.dismantle()?;
            if source == own {
                std::fs::remove_dir(&own)?;
            }
            Ok::<_, Error>(())
        });
        if let Err(error) = dismantled {
            tracing::info!(%error, pool.name = %row.name, "the pool's directory stays");
        }
    }

    fn tell(&self, action: &'static str, name: &str, requestor: Requestor) {
        let path = format!("/1.0/storage-pools/{}", escape(name));
        let event = happened(action, &path, "default", Some(requestor));
        self.operations.events().lifecycle(Some("default"), &event);
    }
}

/// A path without links in it, as far as there is anything.
fn real_path(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_absent| path.to_owned())
}

fn make_directory(path: &Path) -> Result<()> {
    crate::store::private_directory(path).context("Failed to make the storage pool")
}

async fn find(session: &mut Session, name: &str) -> Result<PoolRow> {
    let found = pools::find(session, name).await?;
    found.ok_or_else(|| Error::not_found("Storage pool not found"))
}

/// The URLs of the instances, snapshots and profiles that use each pool.
async fn users(session: &mut Session) -> Result<BTreeMap<String, Vec<String>>> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut snapshots = snapshots::list_everywhere(session).await?;
    for row in instances::list_everywhere(session).await? {
        let path = format!("/1.0/instances/{}", escape(&row.name));
        let urls = users.entry(row.pool).or_default();
        let own = snapshots.remove(&row.id).unwrap_or_default().into_iter();
        let own = own.map(|snapshot| format!("{path}/snapshots/{}", escape(&snapshot.name)));
        let all = std::iter::once(path.clone()).chain(own);
        urls.extend(all.map(|path| query::with_project(path, &row.project_name)));
    }
    for (project, profile, devices) in profiles::all_devices(session).await? {
        let suffix = match project.as_str() {
            "default" => String::new(),
            project => format!("?project={}", escape(project)),
        };
        let url = format!("/1.0/profiles/{}{suffix}", escape(&profile));
        for pool in devices.values().filter_map(|options| options.get("pool")) {
            users.entry(pool.clone()).or_default().push(url.clone());
        }
    }
    Ok(users)
}

fn render(users: &mut BTreeMap<String, Vec<String>>, row: PoolRow) -> Pool {
    let PoolRow {
        name,
        driver,
        description,
        config,
    } = row;
    let used_by = users.remove(&name);
    let config = Some(config);
    Pool {
        config,
        description,
        name,
        driver,
        used_by,
        status: "Created",
        locations: ["none"],
    }
}
