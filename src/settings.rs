//! Server settings: loaded once, checked against the table in [`config::keys`], stored, and
//! announced to whoever acts on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
};

use tokio::sync::{Mutex, watch};

use crate::{
    access::{Edit, password},
    config::{
        self,
        keys::{Change, Scalar},
    },
    db::{self, Db},
    error::Result,
    tasks::Tasks,
};

/// The settings that differ from their defaults.
pub(crate) type Values = BTreeMap<String, String>;

/// Opens, moves or closes the HTTPS listener; `None` closes it.
pub(crate) type MoveListener =
    Arc<dyn Fn(Option<String>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// The settings of the server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Settings {
    db: Db,
    current: watch::Sender<Arc<Values>>,
    /// One change at a time, from reading the old values to storing the new.
    changing: Arc<Mutex<()>>,
    move_listener: MoveListener,
    tasks: Tasks,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings")
    }
}

impl Settings {
    /// Loads the settings kept in `db`.
    pub(crate) async fn load(db: Db, move_listener: MoveListener, tasks: Tasks) -> Result<Self> {
        let values = db::settings::list(&mut *db.read().await?).await?;
        let current = watch::Sender::new(Arc::new(values));
        Ok(Self {
            db,
            current,
            changing: Arc::default(),
            move_listener,
            tasks,
        })
    }

    /// The settings as they are now.
    pub(crate) fn current(&self) -> Arc<Values> {
        Arc::clone(&self.current.borrow())
    }

    /// The settings, and word of their changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Values>> {
        self.current.subscribe()
    }

    /// What clients see: hidden settings show as `true`.
    pub(crate) fn rendered(&self) -> BTreeMap<String, serde_json::Value> {
        config::keys::rendered(&self.current())
    }

    /// Changes settings. Everything is checked before anything is stored, and a listener that
    /// cannot be moved leaves all as it was.
    ///
    /// # Errors
    ///
    /// 400 for what the table refuses, 500 when the new address cannot be listened on.
    pub(crate) async fn change(
        &self,
        how: Change,
        body: BTreeMap<String, Scalar>,
        edit: &Edit,
    ) -> Result<BTreeSet<String>> {
        let _changing = self.changing.lock().await;
        edit.check(&self.rendered())?;
        let old = self.current();
        let (mut new, changed) = config::keys::apply(&old, how, body)?;
        if changed.contains("core.trust_password") {
            self.hash_password(&mut new).await?;
        }
        let moved = changed.contains("core.https_address");
        if moved {
            (self.move_listener)(new.get("core.https_address").cloned()).await?;
        }
        if let Err(error) = self.store(&new, &changed).await {
            if moved {
                (self.move_listener)(old.get("core.https_address").cloned()).await?;
            }
            return Err(error);
        }
        self.current.send_replace(Arc::new(new));
        Ok(changed)
    }

    /// Replaces the trust password by its hash.
    async fn hash_password(&self, values: &mut Values) -> Result<()> {
        let Some(password) = values.get_mut("core.trust_password") else {
            return Ok(());
        };
        let plain = std::mem::take(password);
        *password = self
            .tasks
            .run_blocking(move || password::hash(&plain))
            .await?;
        Ok(())
    }

    async fn store(&self, values: &Values, changed: &BTreeSet<String>) -> Result<()> {
        let mut transaction = self.db.write().await?;
        for key in changed {
            let value = values.get(key).map(String::as_str);
            db::settings::set(&mut transaction, key, value).await?;
        }
        Db::commit(transaction).await
    }
}
