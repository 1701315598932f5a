//! `lximaged trust`: whom the server trusts, for those who have no `lxc` on it.

use std::path::PathBuf;

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use clap::{Args, Subcommand};
use reqwest::Method;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use super::{local::Local, say};
use crate::config::paths::Paths;

/// What can be done.
#[derive(Debug, Subcommand)]
pub(super) enum Trust {
    /// Trust a client: prints a token for it, or takes its certificate from a file
    Add(Add),
    /// List the clients that are trusted
    List,
    /// Trust a client no more
    Remove {
        /// The client's name or fingerprint, or the beginning of its fingerprint
        client: String,
    },
}

/// Whom to trust, and how far.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// What to call the client
    name: String,
    /// Take this certificate (PEM) instead of printing a token
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Let the client use these projects only
    #[arg(long = "project", value_name = "PROJECT")]
    projects: Vec<String>,
}

/// Does it.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(paths: &Paths, trust: Trust) -> anyhow::Result<()> {
    let daemon = Local::at(&paths.socket)?;
    match trust {
        Trust::Add(add) => add_client(&daemon, add).await,
        Trust::List => list(&daemon).await,
        Trust::Remove { client } => remove(&daemon, &client).await,
    }
}

async fn add_client(daemon: &Local, add: Add) -> anyhow::Result<()> {
    let mut body = json!({"name": add.name, "type": "client",
        "restricted": !add.projects.is_empty(), "projects": add.projects});
    let member = match &add.certificate {
        Some(path) => {
            let der = CertificateDer::from_pem_file(path)
                .with_context(|| format!("There is no certificate in {}", path.display()))?;
            ("certificate", BASE64.encode(der).into())
        }
        None => ("token", true.into()),
    };
    if let Some(body) = body.as_object_mut() {
        body.insert(member.0.to_owned(), member.1);
    }
    let made = daemon
        .ask(Method::POST, "/1.0/certificates", Some(&body))
        .await?;
    match add.certificate {
        Some(_) => say(&format!("{} is trusted", add.name)),
        None => say(&token(&add.name, &made)),
    }
    Ok(())
}

/// What the client's user gives to `lxc remote add`, as `lxc config trust add` prints it.
fn token(name: &str, operation: &Value) -> String {
    let metadata = operation.get("metadata").cloned().unwrap_or_default();
    let member = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    let never = || Value::from("0001-01-01T00:00:00Z");
    let expires_at = metadata.get("expiresAt").cloned().unwrap_or_else(never);
    let handed = json!({"client_name": name, "fingerprint": member("fingerprint"),
        "addresses": member("addresses"), "secret": member("secret"), "expires_at": expires_at});
    BASE64.encode(handed.to_string())
}

async fn list(daemon: &Local) -> anyhow::Result<()> {
    for certificate in certificates(daemon).await? {
        let text = |key: &str| {
            let value = certificate.get(key).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let fingerprint: String = text("fingerprint").chars().take(12).collect();
        let projects = certificate.get("projects").and_then(Value::as_array);
        let projects = projects.into_iter().flatten().filter_map(Value::as_str);
        let is_restricted = certificate.get("restricted") == Some(&Value::Bool(true));
        let reach = if is_restricted {
            projects.collect::<Vec<_>>().join(",")
        } else {
            "everything".to_owned()
        };
        say(&format!(
            "{fingerprint}  {:<8} {:<24} {reach}",
            text("type"),
            text("name")
        ));
    }
    Ok(())
}

async fn remove(daemon: &Local, client: &str) -> anyhow::Result<()> {
    let is = |certificate: &Value, key: &str| {
        let text = certificate.get(key).and_then(Value::as_str);
        text.is_some_and(|text| match key {
            "name" => text == client,
            _ => text.starts_with(&client.to_ascii_lowercase()),
        })
    };
    let found: Vec<_> = certificates(daemon)
        .await?
        .into_iter()
        .filter(|certificate| is(certificate, "name") || is(certificate, "fingerprint"))
        .filter_map(|certificate| Some(certificate.get("fingerprint")?.as_str()?.to_owned()))
        .collect();
    let [fingerprint] = found.as_slice() else {
        anyhow::bail!(
            "{} clients are called {client:?} or have such a fingerprint",
            found.len()
        );
    };
    let path = format!("/1.0/certificates/{fingerprint}");
    daemon.ask(Method::DELETE, &path, None).await?;
    say(&format!("{client} is trusted no more"));
    Ok(())
}

async fn certificates(daemon: &Local) -> anyhow::Result<Vec<Value>> {
    let path = "/1.0/certificates?recursion=1";
    let certificates = daemon.ask(Method::GET, path, None).await?;
    match certificates {
        Value::Array(certificates) => Ok(certificates),
        _ => anyhow::bail!("The daemon's answer is none"),
    }
}
