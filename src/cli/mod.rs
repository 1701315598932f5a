//! The command line: the daemon itself, and what is asked of one that runs.

mod local;
mod render;
mod tasks;
mod trust;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use local::Local;
use tasks::{RunTask, Status};
use trust::Trust;

use crate::{
    api::time::Timestamp,
    config::paths::{self, Paths},
    daemon,
    db::Db,
    images,
};

/// An image daemon that speaks LXD's API.
#[derive(Debug, Parser)]
#[command(name = "lximaged", version, about, max_term_width = 100)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Options {
    /// Where images, database, certificate and socket are [default: /var/lib/lximaged for root,
    /// the XDG state directory of the user otherwise]
    #[arg(long, env = "LXIMAGED_DIR", global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The group that may use the Unix socket [default: lxd, if there is such a group]
    #[arg(long, global = true, value_name = "GROUP")]
    group: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a filter such as lximaged=debug,sqlx=warn
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How long other servers may be silent before a download from them is taken up again; in that
    /// time they have to send 1 KiB a second
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    remote_idle_seconds: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground (the default)
    Serve,
    /// Wait until the daemon answers
    Waitready {
        /// Give up after this many seconds; 0 waits for ever
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        timeout: u64,
    },
    /// Show what the daemon does by itself: how it went, and when it does it again
    Status(Status),
    /// Run one of the daemon's tasks now, and wait for its end
    RunTask(RunTask),
    /// Say which clients the daemon trusts
    #[command(subcommand)]
    Trust(Trust),
    /// Try templates, and change what the daemon keeps, for tests and repairs
    #[command(subcommand)]
    Debug(Debug),
}

#[derive(Debug, Subcommand)]
enum Debug {
    /// Set when an instance was last made from an image
    SetLastUsed {
        /// The image's project
        #[arg(long, value_name = "PROJECT", default_value = "default")]
        project: String,
        /// The image's whole fingerprint
        fingerprint: String,
        /// A date such as 2030-01-31T12:00:00Z
        when: String,
    },
    /// Render a template of an image as LXD would: a case as JSON on the standard input, with its
    /// template, config, properties, trigger, path, instance, devices and files
    RenderTemplate,
}

/// Runs what the command line names. Returns the process's exit status.
pub(crate) fn main() -> ExitCode {
    let line = CommandLine::parse();
    match run(line) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(line: CommandLine) -> anyhow::Result<ExitCode> {
    if let Some(Command::Debug(Debug::RenderTemplate)) = line.command {
        return render::run().map(|()| ExitCode::SUCCESS);
    }
    let directory = line.options.dir.map_or_else(paths::default_directory, Ok)?;
    let paths = Paths::below(&directory)?;
    match line.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            let options = daemon::Options {
                paths,
                group: line.options.group,
                log_level: line.options.log_level,
                remote_idle: Duration::from_secs(line.options.remote_idle_seconds),
            };
            daemon::run(options)
        }
        Command::Waitready { timeout } => wait_ready(&paths, timeout),
        Command::Status(how) => tasks::status(&paths, &how).map(|()| ExitCode::SUCCESS),
        Command::RunTask(task) => tasks::run(&paths, &task).map(|()| ExitCode::SUCCESS),
        Command::Trust(trust) => trust::run(&paths, trust).map(|()| ExitCode::SUCCESS),
        Command::Debug(Debug::SetLastUsed {
            project,
            fingerprint,
            when,
        }) => set_last_used(&paths, &project, &fingerprint, &when),
        Command::Debug(Debug::RenderTemplate) => render::run().map(|()| ExitCode::SUCCESS),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn wait_ready(paths: &Paths, timeout_seconds: u64) -> anyhow::Result<ExitCode> {
    let daemon = Local::at(&paths.socket)?;
    let ready = async {
        while !answers(daemon.client()).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if timeout_seconds == 0 {
        ready.await;
        return Ok(ExitCode::SUCCESS);
    }
    match tokio::time::timeout(Duration::from_secs(timeout_seconds), ready).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(_) => anyhow::bail!("The daemon is not ready after {timeout_seconds} seconds"),
    }
}

async fn answers(client: &reqwest::Client) -> bool {
    let request = client
        .get("http://lximaged/1.0")
        .timeout(Duration::from_secs(5));
    request
        .send()
        .await
        .is_ok_and(|response| response.status().is_success())
}

#[tokio::main(flavor = "current_thread")]
async fn set_last_used(
    paths: &Paths,
    project: &str,
    fingerprint: &str,
    when: &str,
) -> anyhow::Result<ExitCode> {
    let when: Timestamp = when.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
    anyhow::ensure!(
        paths.database.exists(),
        "There is no database at {}",
        paths.database.display()
    );
    let db = Db::open(&paths.database).await?;
    let changed = images::set_last_used(&db, project, fingerprint, &when).await;
    db.close().await;
    changed.with_context(|| format!("Image {fingerprint} of project {project}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Answers whoever started the program.
#[expect(
    clippy::print_stdout,
    reason = "this is what was asked for on the command line"
)]
fn say(text: &str) {
    println!("{text}");
}

/// Writes to the terminal of whoever started the program.
#[expect(
    clippy::print_stderr,
    reason = "errors of the command line are for its user"
)]
fn complain(text: &str) {
    eprintln!("{text}");
}
