//! Commands in running instances.

use std::{collections::BTreeMap, os::fd::OwnedFd};

use super::{
    Config, Instance, Instances, Status, spec,
    streams::{self, Sockets},
    trees,
};
use crate::{
    api::{
        objects::{Metadata, OperationObject, Requestor},
        requests::InstanceExecPost,
    },
    error::{Error, Result},
    operations::{Doors, Operation, Spec, happened},
    runtime::{Attached, Exec, Running, Streams},
};

/// What commands find programs in.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a command begins when nobody says where.
// LXD: whoever runs it.
const HOME: &str = "/root";

/// The sockets of a command without a terminal.
const PIPES: &[&str] = &["0", "1", "2", "control"];

/// Those of a command with one.
const TERMINAL: &[&str] = &["0", "control"];

impl Instances {
    /// Begins the operation that runs a command in an instance.
    ///
    /// # Errors
    ///
    /// 400 when the instance does not run.
    pub(crate) fn exec(
        &self,
        instance: &Instance,
        request: &InstanceExecPost,
        requestor: Requestor,
    ) -> Result<OperationObject> {
        let running = self.ready(instance)?;
        let command = command(instance, request);
        let spec = Spec {
            description: "Executing command",
            requestor: Some(requestor.clone()),
            ..Self::spec_of(instance)
        };
        self.tell_exec(instance, &request.command, requestor);
        if !request.wait_for_websocket {
            let (this, record) = (self.clone(), request.record_output);
            return Ok(self.operations.task(spec, move |operation| async move {
                this.run_alone(&operation, &running, command, record).await
            }));
        }
        self.exec_with_clients(spec, running, command, request)
    }

    /// The container of an instance that can take a command.
    pub(super) fn ready(&self, instance: &Instance) -> Result<Running> {
        match (self.status(instance), self.find_running(instance)) {
            (Status::Running, Some(running)) => Ok(running),
            (Status::Frozen, _) => Err(Error::bad_request("Instance is frozen")),
            _ => Err(Error::bad_request("Instance is not running")),
        }
    }

    fn exec_with_clients(
        &self,
        mut spec: Spec,
        running: Running,
        command: Exec,
        request: &InstanceExecPost,
    ) -> Result<OperationObject> {
        let names = if request.interactive { TERMINAL } else { PIPES };
        let (doors, arrivals) = Doors::new(names)?;
        let environment: BTreeMap<_, _> = command.environment.iter().cloned().collect();
        spec.metadata = Some(Metadata::from_iter([
            ("command".to_owned(), command.command.clone().into()),
            ("environment".to_owned(), text_map(environment)),
            ("fds".to_owned(), doors.secrets().into()),
            ("interactive".to_owned(), request.interactive.into()),
        ]));
        spec.doors = Some(doors);
        let streams = if request.interactive {
            Streams::Terminal(dimension(request.width), dimension(request.height))
        } else {
            Streams::Pipes
        };
        let this = self.clone();
        Ok(self.operations.task(spec, move |operation| async move {
            let sockets = Sockets::of(arrivals).await?;
            check(&command)?;
            let attached = this.attach(&running, command, streams).await?;
            let code = streams::serve(attached, sockets).await?;
            ended(&operation, Metadata::new(), code)
        }))
    }

    /// Runs a command that nobody talks to.
    async fn run_alone(
        &self,
        operation: &Operation,
        running: &Running,
        command: Exec,
        record: bool,
    ) -> Result<()> {
        check(&command)?;
        let (mut told, mut streams) = (Metadata::new(), Streams::Nothing);
        if record {
            let (urls, out, err) = self.recordings(operation, running).await?;
            told.insert("output".to_owned(), urls.into());
            streams = Streams::Files(out, err);
        }
        let mut attached = self.attach(running, command, streams).await?;
        let code = attached.wait().await?;
        ended(operation, told, code)
    }

    /// Begins a command; where it begins may be slow to look at.
    async fn attach(&self, running: &Running, command: Exec, streams: Streams) -> Result<Attached> {
        let (runtime, running) = (self.runtime.clone(), running.clone());
        let beginning = move || runtime.exec(&running, &command, streams);
        self.tasks.run_blocking(beginning).await
    }

    /// New files for what a command says, and where clients find them.
    async fn recordings(
        &self,
        operation: &Operation,
        running: &Running,
    ) -> Result<(Metadata, OwnedFd, OwnedFd)> {
        let (id, container) = (operation.id(), running.name().to_owned());
        let runtime = self.runtime.clone();
        let files = self.tasks.run_blocking(move || {
            let make = |end: &str| runtime.record(&container, &format!("exec_{id}.{end}"));
            Ok((make("stdout")?, make("stderr")?))
        });
        let (out, err) = files.await?;
        let logs = operation.resources("instances").first();
        let logs = logs.map(String::as_str).unwrap_or_default();
        let url = |end: &str| format!("{logs}/logs/exec_{id}.{end}").into();
        let urls = [
            ("1".to_owned(), url("stdout")),
            ("2".to_owned(), url("stderr")),
        ];
        Ok((Metadata::from_iter(urls), out.into(), err.into()))
    }

    fn tell_exec(&self, instance: &Instance, command: &[String], requestor: Requestor) {
        let path = super::url_of("instances", "default", instance.name());
        let event = happened("instance-exec", &path, instance.project(), Some(requestor));
        let event = event.with("command", command.to_vec());
        let project = Some(instance.project());
        self.operations.events().lifecycle(project, &event);
    }

    /// liblxc's name for an instance's container.
    pub(super) fn container(instance: &Instance) -> Result<String> {
        Ok(trees::name(instance)?.qualified().to_owned())
    }
}

/// LXD's text.
fn check(command: &Exec) -> Result<()> {
    if command.command.is_empty() {
        let text = "Failed to retrieve PID of executing child process";
        return Err(Error::failed(text));
    }
    Ok(())
}

/// What is to be run, as whom, and with which variables.
fn command(instance: &Instance, request: &InstanceExecPost) -> Exec {
    let mut environment = Config::new();
    environment.extend(spec::environment(&instance.config));
    environment.extend(request.environment.clone().unwrap_or_default());
    let mut default = |name: &str, value: &str| {
        environment
            .entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    };
    default("PATH", PATH);
    default("LANG", "C.UTF-8");
    if request.user == 0 {
        default("HOME", HOME);
        default("USER", "root");
    }
    let directory = if request.cwd.is_empty() {
        HOME
    } else {
        &request.cwd
    };
    Exec {
        command: request.command.clone(),
        environment: environment.into_iter().collect(),
        user: request.user,
        group: request.group,
        directory: directory.to_owned(),
    }
}

/// Tells how a command ended.
fn ended(operation: &Operation, mut told: Metadata, code: i32) -> Result<()> {
    told.insert("return".to_owned(), code.into());
    operation.add_metadata(told);
    // LXD: the shell's words for what it could not run.
    match code {
        126 => Err(Error::failed("Command not executable")),
        127 => Err(Error::failed("Command not found")),
        _ => Ok(()),
    }
}

/// A terminal's width or height; what is none is 0, which programs take for unknown.
pub(super) fn dimension(number: isize) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

fn text_map(texts: BTreeMap<String, String>) -> serde_json::Value {
    let texts = texts.into_iter();
    texts
        .map(|(key, value)| (key, serde_json::Value::from(value)))
        .collect::<Metadata>()
        .into()
}
