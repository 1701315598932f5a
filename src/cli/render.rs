//! `debug render-template`: what a template of an image comes to, without an instance.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use anyhow::Context;
use serde::Deserialize;

use crate::{
    clock::Clock,
    template::{self, Case, Subject},
};

/// The longest description of a case.
const INPUT_MAX: u64 = 8 << 20;

/// A case as its author describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    template: String,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    #[serde(default = "start")]
    trigger: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    instance: Instance,
    #[serde(default)]
    devices: BTreeMap<String, BTreeMap<String, String>>,
    /// Further templates of the image, which no template can reach.
    #[serde(default, rename = "files")]
    _files: BTreeMap<String, String>,
    /// What a collection of cases calls it.
    #[serde(default, rename = "id")]
    _id: String,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Instance {
    name: String,
    architecture: String,
    privileged: bool,
    ephemeral: bool,
    r#type: String,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            name: "example".to_owned(),
            architecture: "x86_64".to_owned(),
            privileged: false,
            ephemeral: false,
            r#type: "container".to_owned(),
        }
    }
}

fn start() -> String {
    "start".to_owned()
}

/// Renders the case on the standard input to the standard output.
pub(super) fn run() -> anyhow::Result<()> {
    let mut input = Vec::new();
    io::stdin().take(INPUT_MAX + 1).read_to_end(&mut input)?;
    anyhow::ensure!(
        u64::try_from(input.len())? <= INPUT_MAX,
        "The case has more than {INPUT_MAX} bytes"
    );
    let described: Described = serde_json::from_slice(&input).context("No template's case")?;
    let rendered = template::render(&described.case())?;
    io::stdout().write_all(&rendered)?;
    Ok(())
}

impl Described {
    fn case(self) -> Case {
        let container = self.instance.r#type == "container";
        Case {
            template: self.template.into_bytes(),
            trigger: self.trigger,
            path: self.path,
            instance: Subject {
                name: self.instance.name,
                kind: self.instance.r#type,
                architecture: self.instance.architecture,
                ephemeral: self.instance.ephemeral,
                privileged: container.then_some(self.instance.privileged),
            },
            config: self.config,
            devices: self.devices,
            properties: self.properties,
            now: Clock::System.now(),
        }
    }
}
