//! Requests of the command line to the daemon that runs on this machine.

use std::path::Path;

use anyhow::Context;
use reqwest::{Client, Method};
use serde_json::Value;

/// A client at the daemon's Unix socket.
#[derive(Debug)]
pub(super) struct Local(Client);

impl Local {
    /// Talks to the daemon behind this socket.
    pub(super) fn at(socket: &Path) -> anyhow::Result<Self> {
        let client = Client::builder()
            .unix_socket(socket)
            .user_agent(concat!("lximaged/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()?;
        Ok(Self(client))
    }

    /// The underlying client, for questions that may stay without answer.
    pub(super) fn client(&self) -> &Client {
        &self.0
    }

    /// Sends a request and gives the metadata of its answer.
    ///
    /// # Errors
    ///
    /// When the daemon does not answer, or refuses.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut request = self.0.request(method, format!("http://lximaged{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.context("The daemon does not answer")?;
        let mut answer: Value = answer.json().await.context("The daemon's answer is none")?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) if !error.is_empty() => Err(anyhow::anyhow!("{error}")),
            _ => Ok(answer
                .get_mut("metadata")
                .map(Value::take)
                .unwrap_or_default()),
        }
    }
}
