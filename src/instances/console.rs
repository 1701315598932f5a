//! The console of an instance: a terminal on it, and what was written to it.

use super::{
    Instance, Instances, Status,
    exec::dimension,
    streams::{self, Sockets},
};
use crate::{
    api::{
        objects::{Metadata, OperationObject, Requestor},
        requests::InstanceConsolePost,
    },
    error::{Error, Result},
    operations::{Doors, Spec},
};

impl Instances {
    /// Begins the operation that connects a client to an instance's console.
    ///
    /// # Errors
    ///
    /// 400 when the instance does not run, or the console is of a kind that it does not have.
    pub(crate) fn console(
        &self,
        instance: &Instance,
        request: &InstanceConsolePost,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        match request.kind.as_str() {
            "" | "console" => {}
            "vga" => {
                let text = "VGA console is only supported by virtual machines";
                return Err(Error::bad_request(text));
            }
            kind => return Err(Error::bad_request(format!("Unknown console type {kind:?}"))),
        }
        let running = self.ready(instance)?;
        let (doors, arrivals) = Doors::new(&["0", "control"])?;
        let spec = Spec {
            description: "Showing console",
            requestor: Some(requestor),
            metadata: Some(Metadata::from_iter([(
                "fds".to_owned(),
                doors.secrets().into(),
            )])),
            doors: Some(doors),
            ..Self::spec_of(instance)
        };
        let (width, height) = (dimension(request.width), dimension(request.height));
        let (this, instance) = (self.clone(), instance.clone());
        Ok(self.operations.task(spec, move |_| async move {
            let sockets = Sockets::of(arrivals).await?;
            let attached = this.runtime.console(&running, width, height)?;
            this.tell_instance("instance-console", &instance, &[]);
            streams::serve(attached, sockets).await.map(drop)
        }))
    }

    /// What was written to an instance's console since its last start.
    ///
    /// # Errors
    ///
    /// LXD's text when it was never started.
    pub(crate) async fn console_log(&self, instance: &Instance) -> Result<Vec<u8>> {
        of_container(instance)?;
        let (runtime, container) = (self.runtime.clone(), Self::container(instance)?);
        let read = move || runtime.console_log(&container);
        let text = self.tasks.run_blocking(read).await?;
        match (text, self.status(instance)) {
            (Some(text), _) => Ok(text),
            (None, Status::Stopped) => Err(Error::failed("open : no such file or directory")),
            (None, _) => Ok(Vec::new()),
        }
    }

    /// Forgets what was written to it.
    pub(crate) async fn clear_console_log(&self, instance: &Instance) -> Result<()> {
        of_container(instance)?;
        let (runtime, container) = (self.runtime.clone(), Self::container(instance)?);
        self.tasks
            .run_blocking(move || runtime.clear_console_log(&container))
            .await
    }
}

fn of_container(instance: &Instance) -> Result<()> {
    if instance.is_container() {
        return Ok(());
    }
    let text = "Instance is not container type";
    Err(Error::bad_request(text))
}
