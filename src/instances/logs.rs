//! What is kept of an instance's runs, for its users to read.

use std::fs::File;

use super::{Instance, Instances, query};
use crate::{
    error::{Error, Result},
    runtime::LogKind,
};

impl Instances {
    /// The names of an instance's logs.
    pub(crate) async fn logs(&self, instance: &Instance) -> Result<Vec<String>> {
        let (runtime, container) = (self.runtime.clone(), Self::container(instance)?);
        self.tasks
            .run_blocking(move || runtime.logs(&container))
            .await
    }

    /// One of them, for reading.
    ///
    /// # Errors
    ///
    /// 400 for a name that no log has, 404 when there is no such log.
    pub(crate) async fn open_log(&self, instance: &Instance, log: &str) -> Result<File> {
        let (runtime, container) = (self.runtime.clone(), Self::container(instance)?);
        let log = log.to_owned();
        let open = move || runtime.open_log(&container, &log);
        let opened = self.tasks.run_blocking(open).await?;
        opened.ok_or_else(|| Error::not_found("Not Found"))
    }

    /// Removes the recorded output of a command.
    ///
    /// # Errors
    ///
    /// 400 for anything else, 404 when there is no such log.
    pub(crate) async fn delete_log(&self, instance: &Instance, log: &str) -> Result<()> {
        if LogKind::of(log) == Some(LogKind::Run) {
            let text = "lxc.log and lxc.conf may not be deleted";
            return Err(Error::bad_request(text));
        }
        let (runtime, container) = (self.runtime.clone(), Self::container(instance)?);
        let name = log.to_owned();
        let remove = move || runtime.remove_log(&container, &name);
        if !self.tasks.run_blocking(remove).await? {
            return Err(Error::not_found("Not Found"));
        }
        let details = [("file", log)];
        self.tell_instance("instance-log-deleted", instance, &details);
        Ok(())
    }

    /// An instance's logs, as clients find them.
    pub(crate) fn log_url(instance: &Instance, log: &str) -> String {
        let path = query::url_of("instances", "default", instance.name());
        format!("{path}/logs/{log}")
    }
}
