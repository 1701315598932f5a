//! `PUT /1.0/instances`: what all instances of a project are to do.

use futures_util::future;

use super::{Instance, Instances, Status, query, state::Action};
use crate::{
    api::{
        objects::{OperationObject, Requestor, Resources},
        requests::InstanceStatePut,
    },
    error::{Error, Result},
    operations::{Operation, Spec},
};

impl Instances {
    /// Begins the operation that does to all instances what is asked for: to those of them that
    /// it means anything to.
    ///
    /// # Errors
    ///
    /// 400 for something that is no action, 404 when there is no such project.
    pub(crate) async fn change_states(
        &self,
        project: &str,
        request: InstanceStatePut,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        let action = Action::named(&request.action)?;
        let scope = self.scope(project).await?;
        let mut meant = self.list(Some(project)).await?;
        meant.retain(|instance| means(action, self.status(instance)));
        let urls = meant
            .iter()
            .map(|one| query::url_of("instances", "default", one.name()));
        let spec = Spec {
            description: action.description(),
            project: Some(scope.project.name),
            resources: Some(Resources::from([("instances", urls.collect())])),
            requestor: Some(requestor),
            ..Spec::default()
        };
        let this = self.clone();
        Ok(self.operations.task(spec, move |operation| async move {
            this.act_on_all(&operation, &meant, action, &request).await
        }))
    }

    async fn act_on_all(
        &self,
        operation: &Operation,
        instances: &[Instance],
        action: Action,
        request: &InstanceStatePut,
    ) -> Result<()> {
        operation.allow_cancel();
        let acting = instances.iter().map(|instance| async move {
            let part = operation.part(operation.cancelled());
            let done = self.act_alone(&part, instance, action, request).await;
            done.err()
                .map(|error| format!(" - Instance: {}: {error}\n", instance.name()))
        });
        let failed: Vec<_> = future::join_all(acting)
            .await
            .into_iter()
            .flatten()
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        let text = "The following instances failed to update state:\n";
        Err(Error::failed(format!("{text}{}", failed.concat())))
    }
}

/// Whether an action changes anything for an instance that is in this state.
fn means(action: Action, status: Status) -> bool {
    match action {
        Action::Start => status == Status::Stopped,
        Action::Stop | Action::Restart => status != Status::Stopped,
        Action::Freeze => status == Status::Running,
        Action::Unfreeze => status == Status::Frozen,
    }
}
