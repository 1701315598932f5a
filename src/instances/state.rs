//! Starting, stopping, freezing: what clients ask for, one operation each.

use std::time::Duration;

use super::{Held, Instance, Instances, Status};
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

/// How long a clean stop may take when nobody says: whoever waits for the instance is not to wait
/// for ever.
const STOPPED_WITHIN: Duration = Duration::from_mins(10);

/// How a container is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its first process is asked, and given so long.
    Clean(Duration),
    /// At once.
    Forced,
}

impl Stop {
    fn of(request: &InstanceStatePut) -> Self {
        let timeout = request.timeout.unwrap_or(-1);
        // LXD: no time to end in is a forced end.
        if request.force || timeout == 0 {
            return Self::Forced;
        }
        let patience = u64::try_from(timeout).ok().map(Duration::from_secs);
        Self::Clean(patience.unwrap_or(STOPPED_WITHIN))
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
        Ok(self.operations.task(spec, move |operation| async move {
            this.act_alone(&operation, &instance, action, &request)
                .await
        }))
    }

    /// Does what is asked for once nobody else works with the instance.
    pub(super) async fn act_alone(
        &self,
        operation: &Operation,
        instance: &Instance,
        action: Action,
        request: &InstanceStatePut,
    ) -> Result<()> {
        let (_held, is_hurried) = self.hold_to_act(instance, action, request).await?;
        // As it is now, and not as it was before others were done with it.
        let found = self.find(instance.project(), instance.name()).await;
        let has_stopped = |found: &Instance| self.status(found) == Status::Stopped;
        let action = match (&found, action) {
            (Ok(found), Action::Restart) if is_hurried && has_stopped(found) => Action::Start,
            (Ok(found), Action::Stop) if is_hurried && has_stopped(found) => return Ok(()),
            // It did not outlive its stop.
            (Err(error), Action::Stop) if is_hurried && error.kind() == Kind::NotFound => {
                return Ok(());
            }
            _ => action,
        };
        self.act(operation, &found?, action, request).await
    }

    /// Waits until nobody else works with the instance. Also returns whether this has hurried
    /// another operation.
    async fn hold_to_act(
        &self,
        instance: &Instance,
        action: Action,
        request: &InstanceStatePut,
    ) -> Result<(Held, bool)> {
        let mut is_hurried = false;
        let holding = self.hold(instance, action.name());
        tokio::pin!(holding);
        loop {
            // Before the look, so that no end is missed that is expected after it.
            let another = self.endings.another();
            is_hurried |= self.hurry(instance, action, Stop::of(request)).await?;
            tokio::select! {
                held = &mut holding => return Ok((held, is_hurried)),
                () = another => {}
            }
        }
    }

    /// Ends at once what another operation waits for to end, so that a forced stop does not wait
    /// behind a clean one. Returns whether there was such an operation.
    async fn hurry(&self, instance: &Instance, action: Action, how: Stop) -> Result<bool> {
        let is_end = matches!(action, Action::Stop | Action::Restart);
        let Some(running) = self.find_running(instance).filter(|_| is_end) else {
            return Ok(false);
        };
        if how != Stop::Forced || !self.endings.is_expected(&running) {
            return Ok(false);
        }
        self.runtime.kill(&running).await?;
        Ok(true)
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
        operation: &Operation,
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
                self.stop_held(operation, instance, stop).await?;
                let told = match stop {
                    Stop::Clean(_) => "instance-shutdown",
                    Stop::Forced => "instance-stopped",
                };
                self.tell_instance(told, instance, &[]);
                self.delete_if_ephemeral(instance).await
            }
            Action::Restart => {
                self.stop_held(operation, instance, stop).await?;
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
    /// A client may end the wait for a clean stop.
    pub(super) async fn stop_held(
        &self,
        operation: &Operation,
        instance: &Instance,
        how: Stop,
    ) -> Result<()> {
        let running = self.running(instance)?;
        self.endings.expect(&running);
        let stopped = self.end(operation, instance, &running, how).await;
        // What failed may have failed because it has ended by itself.
        if let Err(error) = stopped
            && self.endings.expect_no_more(&running)
        {
            return Err(error);
        }
        self.settle_end(&running).await
    }

    async fn end(
        &self,
        operation: &Operation,
        instance: &Instance,
        running: &Running,
        how: Stop,
    ) -> Result<()> {
        if running.is_frozen() {
            self.runtime.unfreeze(running).await?;
            self.tell_instance("instance-resumed", instance, &[]);
        }
        match how {
            Stop::Clean(patience) => {
                let stopping = self.runtime.stop(running, patience);
                operation.cancellable(stopping).await
            }
            Stop::Forced => self.runtime.kill(running).await,
        }
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
