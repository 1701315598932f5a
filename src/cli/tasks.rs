//! `lximaged status` and `lximaged run-task`: what the daemon does by itself.

use anyhow::Context;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{local::Local, say};
use crate::config::paths::Paths;

/// Where the daemon's tasks are.
const TASKS: &str = "/1.0/lximaged/tasks";

/// How the status is shown.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which task is to run.
#[derive(Debug, Args)]
pub(super) struct RunTask {
    /// Its name, as `lximaged status` shows it
    name: String,
}

/// Prints what the daemon does by itself, how it went, and when it does it again.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn status(paths: &Paths, how: &Status) -> anyhow::Result<()> {
    let daemon = Local::at(&paths.socket)?;
    let tasks = daemon.ask(Method::GET, TASKS, None).await?;
    if how.json {
        say(&serde_json::to_string_pretty(
            &serde_json::json!({ "tasks": tasks }),
        )?);
        return Ok(());
    }
    let tasks = tasks.as_array().context("The daemon's answer is none")?;
    say(&row(["TASK", "STATUS", "LAST RUN", "NEXT RUN"]));
    for task in tasks {
        say(&line(task));
    }
    for task in tasks {
        for trouble in troubles(task) {
            say(&trouble);
        }
    }
    Ok(())
}

fn row([name, status, last, next]: [&str; 4]) -> String {
    format!("{name:<16} {status:<8} {last:<20} {next}")
}

fn line(task: &Value) -> String {
    let last = &task["last_run"];
    let is_running = !text(task, "operation").is_empty();
    let status = match text(last, "status") {
        _ if is_running => "Running",
        "" => "-",
        status => status,
    };
    let (last, next) = (
        seconds(text(last, "ended_at")),
        seconds(text(task, "next_run")),
    );
    row([text(task, "name"), status, &last, &next])
}

/// What a person should know about a task.
fn troubles(task: &Value) -> Vec<String> {
    let (name, last) = (text(task, "name"), &task["last_run"]);
    let metadata = &last["metadata"];
    let mut troubles = Vec::new();
    let told = [text(last, "error"), text(metadata, "waiting")];
    troubles.extend(
        told.iter()
            .filter(|it| !it.is_empty())
            .map(|it| format!("\n{name}: {it}")),
    );
    let images = ["failing", "failed"]
        .iter()
        .flat_map(|key| list(metadata, key));
    troubles.extend(images.map(|image| {
        let fingerprint: String = text(image, "fingerprint").chars().take(12).collect();
        let (project, error) = (text(image, "project"), text(image, "error"));
        let mut trouble = format!("\n{name}: {fingerprint} ({project}): {error}");
        if let Some(failures) = image["failures"].as_u64() {
            let again = seconds(text(image, "retry_at"));
            trouble += &format!("\n  failed {failures} times; again at {again}");
        }
        trouble
    }));
    let damaged = list(metadata, "damaged").filter_map(Value::as_str);
    troubles.extend(damaged.map(|fingerprint| format!("\n{name}: damaged: {fingerprint}")));
    troubles
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A point in time without what is finer than seconds; `-` for none.
fn seconds(time: &str) -> String {
    let whole = time
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end_matches('Z');
    if whole.is_empty() || whole.starts_with("0001-") {
        return "-".to_owned();
    }
    format!("{whole}Z")
}

/// Runs a task, waits for it, and prints what it did.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(paths: &Paths, task: &RunTask) -> anyhow::Result<()> {
    let daemon = Local::at(&paths.socket)?;
    let name = &task.name;
    let path = format!("{TASKS}/{}", crate::api::url::escape(name));
    let begun = daemon.ask(Method::POST, &path, None).await?;
    let id = text(&begun, "id");
    let ended = daemon
        .ask(Method::GET, &format!("/1.0/operations/{id}/wait"), None)
        .await?;
    if !ended["metadata"].is_null() {
        say(&serde_json::to_string_pretty(&ended["metadata"])?);
    }
    let (status, error) = (text(&ended, "status"), text(&ended, "err"));
    anyhow::ensure!(status == "Success", "{name}: {status}: {error}");
    Ok(())
}
