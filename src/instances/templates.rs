//! Templates of images, applied to an instance when it starts.
//!
//! First those of the pending trigger (`create`, `copy`, `rename`), which is then forgotten, and
//! always those of `start`. The first one that fails ends the start; a pending trigger that failed
//! stays for the next one. The image and the owner of the instance say what is written where, so
//! nothing is opened but beneath the instance's own directories.

use super::{APPLY_TEMPLATE, Instance, Instances};
use crate::{
    error::{Context, Error, Result},
    image::{MetadataFile, Template},
    pool::{Pool, TreeName},
    template::{self, Case, Subject},
};

/// The most rules that are looked at.
const MAX_RULES: usize = 256;

/// How much of a path an error repeats.
const SHOWN_CHARACTERS: usize = 200;

impl Instances {
    /// Applies the templates of a container that is about to start.
    ///
    /// # Errors
    ///
    /// The reason of the first template that fails, with LXD's texts.
    pub(super) async fn apply_templates(
        &self,
        instance: &Instance,
        pool: &Pool,
        tree: &TreeName,
    ) -> Result<()> {
        let pending = instance.row.config.get(APPLY_TEMPLATE);
        if let Some(trigger) = pending.filter(|trigger| !trigger.is_empty()) {
            self.apply(instance, pool, tree, trigger).await?;
            self.note(instance, &[(APPLY_TEMPLATE, None)]).await?;
        }
        self.apply(instance, pool, tree, "start").await
    }

    /// Applies the templates of one trigger.
    async fn apply(
        &self,
        instance: &Instance,
        pool: &Pool,
        tree: &TreeName,
        trigger: &str,
    ) -> Result<()> {
        let place = (pool.clone(), tree.clone());
        let case = self.case(instance, trigger);
        self.tasks.run_blocking(move || apply(&place, &case)).await
    }

    /// What every template of an instance may know.
    fn case(&self, instance: &Instance, trigger: &str) -> Case {
        let is_container = instance.is_container();
        Case {
            template: Vec::new(),
            trigger: trigger.to_owned(),
            path: String::new(),
            instance: Subject {
                name: instance.name().to_owned(),
                kind: instance.row.kind.name().to_owned(),
                architecture: instance.row.architecture.clone(),
                ephemeral: instance.row.ephemeral,
                privileged: is_container.then(|| instance.has_flag("security.privileged")),
            },
            config: instance.config.clone(),
            devices: instance.devices.clone(),
            properties: super::Config::new(),
            now: self.clock.now(),
        }
    }
}

fn apply((pool, tree): &(Pool, TreeName), case: &Case) -> Result<()> {
    // LXD: without the file there are no templates.
    let Some(text) = pool.metadata(tree)? else {
        return Ok(());
    };
    let file = MetadataFile::parse(text.as_bytes()).context("Failed to read metadata.yaml")?;
    let rules = file.templates.unwrap_or_default();
    if rules.len() > MAX_RULES {
        let text = format!("The metadata has more than {MAX_RULES} templates");
        return Err(Error::failed(text));
    }
    let due = |rule: &Template| rule.when.iter().flatten().any(|when| *when == case.trigger);
    let rules = rules.into_iter();
    // LXD goes through them in no order.
    for (path, rule) in rules.filter_map(|(path, rule)| Some((path, rule.filter(due)?))) {
        write(
            pool,
            tree,
            rule,
            Case {
                path,
                ..case.clone()
            },
        )?;
    }
    Ok(())
}

fn write(pool: &Pool, tree: &TreeName, rule: Template, mut case: Case) -> Result<()> {
    let root = pool.mount(tree)?.root();
    let source = pool.templates(tree)?.source(&rule.template);
    let path = case.path.clone();
    let written = source.and_then(|source| {
        case.template = source;
        case.properties = rule.properties.unwrap_or_default();
        root.write_template(&path, rule.create_only, || template::render(&case))
    });
    written.context(format_args!(
        "Failed to apply the template of {:?}",
        shown(&path)
    ))
}

/// As much of a path as an error repeats.
fn shown(path: &str) -> String {
    path.chars().take(SHOWN_CHARACTERS).collect()
}
