//! Starting, stopping, freezing: what clients ask for, one operation each.

use std::time::Duration;

use super::{Instance, Instances, Status};
use crate::{
    api::{
        objects::{OperationObject, Requestor},
        requests::InstanceStatePut,
    },
    error::{Error, Kind, Result},
    operations::{Operation, Spec},
    runtime::Running,
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is to run.
    Start,
    /// It is to end.
    Stop,
    /// It is to end and run again.
    Restart,
    /// It is to stop where it is.
    Freeze,
    /// It is to go on.
    Unfreeze,
}

impl Action {
    /// From LXD's word for it.
    ///
    /// # Errors
    ///
    /// 400 with LXD's text for a word that is none.
    pub(super) fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "restart" => Self::Restart,
            "freeze" => Self::Freeze,
            "unfreeze" => Self::Unfreeze,
            _ => return Err(Error::bad_request(format!("Unknown action: '{name}'"))),
        })
    }

    /// LXD's description of the operation.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Start => "Starting instance",
            Self::Stop => "Stopping instance",
            Self::Restart => "Restarting instance",
            Self::Freeze => "Freezing instance",
            Self::Unfreeze => "Unfreezing instance",
        }
    }

    /// What others are told who want to change the instance meanwhile.
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
        }
    }
}

/// How a container is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its first process is asked, and given so long.
    Clean(Option<Duration>),
    /// At once.
    Forced,
}

impl Stop {
    fn of(request: &InstanceStatePut) -> Self {
        if request.force {
            return Self::Forced;
        }
        // LXD: negative is for ever.
        Self::Clean(u64::try_from(request.timeout).ok().map(Duration::from_secs))
    }
}

impl Instances {
    /// Begins the operation that does what is asked for.
    ///
    /// # Errors
    ///
    /// 400 for something that is no action.
    pub(crate) fn change_state(
        &self,
        instance: &Instance,
        request: InstanceStatePut,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        let action = Action::named(&request.action)?;
        let spec = Self::state_spec(instance, action, requestor);
        let (this, instance) = (self.clone(), instance.clone());
        Ok(self.operations.task(spec, move |_: Operation| async move {
            this.act_alone(&instance, action, &request).await
        }))
    }

    /// Does what is asked for once nobody else works with the instance.
    pub(super) async fn act_alone(
        &self,
        instance: &Instance,
        action: Action,
        request: &InstanceStatePut,
    ) -> Result<()> {
        let _held = self.hold(instance, action.name()).await;
        // As it is now, and not as it was before others were done with it.
        let instance = self.find(instance.project(), instance.name()).await?;
        self.act(&instance, action, request).await
    }

    fn state_spec(instance: &Instance, action: Action, requestor: Requestor) -> Spec {
        let mut spec = Self::spec_of(instance);
        // LXD: only the new path.
        if let Some(resources) = &mut spec.resources {
            resources.retain(|kind, _| *kind == "instances");
        }
        Spec {
            description: action.description(),
            requestor: Some(requestor),
            ..spec
        }
    }

    async fn act(
        &self,
        instance: &Instance,
        action: Action,
        request: &InstanceStatePut,
    ) -> Result<()> {
        let stop = Stop::of(request);
        match action {
            Action::Start if request.stateful => {
                Err(Error::failed("Container has no existing state to restore"))
            }
            Action::Start => {
                self.start_held(instance).await?;
                self.tell_instance("instance-started", instance, &[]);
                Ok(())
            }
            Action::Stop if request.stateful => {
                self.running(instance)?;
                Err(not_implemented(
                    "Keeping the state of a stopped instance is not supported",
                ))
            }
            Action::Stop => {
                self.stop_held(instance, stop).await?;
                let told = match stop {
                    Stop::Clean(_) => "instance-shutdown",
                    Stop::Forced => "instance-stopped",
                };
                self.tell_instance(told, instance, &[]);
                self.delete_if_ephemeral(instance).await
            }
            Action::Restart => {
                self.stop_held(instance, stop).await?;
                self.start_held(instance).await?;
                self.tell_instance("instance-restarted", instance, &[]);
                Ok(())
            }
            Action::Freeze => self.freeze_held(instance).await,
            Action::Unfreeze => self.unfreeze_held(instance).await,
        }
    }

    /// Its container as it runs.
    ///
    /// # Errors
    ///
    /// LXD's text when it does not.
    pub(super) fn running(&self, instance: &Instance) -> Result<Running> {
        let found = self.find_running(instance);
        found.ok_or_else(|| Error::failed("The instance is already stopped"))
    }

    /// Its container, if it runs.
    pub(super) fn find_running(&self, instance: &Instance) -> Option<Running> {
        let name = super::trees::name(instance).ok()?;
        let found = self.runtime.find(name.qualified());
        found.filter(|_| instance.is_container())
    }

    /// Stops an instance whose lock is held; when this returns, its tree is not in use any more.
    pub(super) async fn stop_held(&self, instance: &Instance, how: Stop) -> Result<()> {
        let running = self.running(instance)?;
        self.endings.expect(&running);
        if running.is_frozen() {
            self.runtime.unfreeze(&running).await?;
            self.tell_instance("instance-resumed", instance, &[]);
        }
        let stopped = match how {
            Stop::Clean(patience) => self.runtime.stop(&running, patience).await,
            Stop::Forced => self.runtime.kill(&running).await,
        };
        if let Err(error) = stopped {
            self.endings.expect_no_more(&running);
            return Err(error);
        }
        self.settle_end(&running).await
    }

    async fn freeze_held(&self, instance: &Instance) -> Result<()> {
        match (self.status(instance), self.find_running(instance)) {
            (Status::Running, Some(running)) => self.runtime.freeze(&running).await?,
            (Status::Frozen, _) => {
                return Err(Error::failed("The container is already frozen"));
            }
            _ => return Err(Error::failed("The container isn't running")),
        }
        self.tell_instance("instance-paused", instance, &[]);
        Ok(())
    }

    async fn unfreeze_held(&self, instance: &Instance) -> Result<()> {
        match (self.status(instance), self.find_running(instance)) {
            (Status::Frozen, Some(running)) => self.runtime.unfreeze(&running).await?,
            (Status::Running, _) => {
                return Err(Error::failed("The container is already running"));
            }
            _ => return Err(Error::failed("The container isn't running")),
        }
        self.tell_instance("instance-resumed", instance, &[]);
        Ok(())
    }

    /// Deletes a stopped instance that is not to outlive its stop. Its lock is held.
    pub(super) async fn delete_if_ephemeral(&self, instance: &Instance) -> Result<()> {
        if !instance.row.ephemeral {
            return Ok(());
        }
        self.delete_held(instance).await
    }
}

/// 501 with this text.
pub(super) fn not_implemented(text: &str) -> Error {
    Error::new(Kind::NotImplemented, text)
}
