//! What is done before anybody may use instances.

use std::collections::BTreeSet;

use super::{Instances, trees};
use crate::{
    db::{instances, pools, snapshots},
    error::Result,
    pool::{Recovered, TreeName},
};

impl Instances {
    /// Makes trees and rows agree after whatever ended the daemon last time, and says what was
    /// found.
    ///
    /// # Errors
    ///
    /// When the database cannot be read. A pool that is not there keeps nobody from starting.
    pub(crate) async fn recover(&self) -> Result<()> {
        let known = self.known_trees().await?;
        let pools = pools::list(&mut *self.db.read().await?).await?;
        for row in pools {
            let of_pool = known.iter().filter(|(pool, _)| *pool == row.name);
            let of_pool = of_pool.map(|(_, tree)| tree.clone()).collect();
            match self.recover_pool(&row.name, of_pool).await {
                Ok(found) => tell(&row.name, &found),
                Err(error) => {
                    tracing::error!(%error, pool.name = row.name, "the pool was not looked at");
                }
            }
        }
        Ok(())
    }

    async fn recover_pool(&self, name: &str, known: BTreeSet<TreeName>) -> Result<Recovered> {
        let pool = self.trees.pool(name).await?;
        let recovering = move || pool.recover(&|tree| known.contains(tree));
        let found = self.tasks.run_blocking(recovering).await?;
        self.sweep_shared(name).await;
        Ok(found)
    }

    /// The trees that have rows, each with its pool.
    async fn known_trees(&self) -> Result<Vec<(String, TreeName)>> {
        let mut session = self.db.read().await?;
        let mut snapshots = snapshots::list_everywhere(&mut session).await?;
        let mut known = Vec::new();
        for row in instances::list_everywhere(&mut session).await? {
            let tree = trees::of_row(&row)?;
            for snapshot in snapshots.remove(&row.id).unwrap_or_default() {
                known.push((row.pool.clone(), tree.snapshot(&snapshot.name)?));
            }
            known.push((row.pool, tree));
        }
        Ok(known)
    }
}

fn tell(pool: &str, found: &Recovered) {
    if found.unfinished > 0 {
        tracing::info!(
            pool.name = pool,
            count = found.unfinished,
            "unfinished trees settled"
        );
    }
    for path in &found.unknown {
        let path = path.display();
        tracing::warn!(pool.name = pool, %path, "a tree without an instance is left alone");
    }
}
