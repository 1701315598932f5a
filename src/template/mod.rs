//! Templates of images: pongo2's language as LXD 5.0 speaks it, rendered with Tera.
//!
//! A template is hostile. [`render`] is the only way in; it knows no file, no other template and
//! no clock, and what a template may cost (time, depth, bytes) is bounded.

mod context;
mod engine;
mod failure;
mod filters;
mod layout;
mod lexer;
mod limits;
mod lorem;
mod number;
mod parser;
mod program;
mod spaceless;
mod text;
mod tree;
mod value;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::error::{Error, Result};

use failure::Failure;
use program::Program;

/// What a template is rendered for: the text, and all that it may know.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The template's bytes.
    pub(crate) template: Vec<u8>,
    /// Why it is rendered: `create`, `copy`, `rename` or `start`.
    pub(crate) trigger: String,
    /// The target's path as `metadata.yaml` writes it.
    pub(crate) path: String,
    /// Whom it is rendered for.
    pub(crate) instance: Subject,
    /// The instance's expanded configuration.
    pub(crate) config: BTreeMap<String, String>,
    /// The instance's expanded devices.
    pub(crate) devices: BTreeMap<String, BTreeMap<String, String>>,
    /// The template's own properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// What `{% now %}` says.
    pub(crate) now: OffsetDateTime,
}

/// What a template may know of its instance.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The instance's name.
    pub(crate) name: String,
    /// `container` or `virtual-machine`.
    pub(crate) kind: String,
    /// The architecture's canonical name.
    pub(crate) architecture: String,
    /// Whether it is deleted when it stops.
    pub(crate) ephemeral: bool,
    /// Whether root inside is root outside; only containers say so.
    pub(crate) privileged: Option<bool>,
}

/// Renders a template.
///
/// # Errors
///
/// What LXD says when a template is none, fails, or costs more than it may.
pub(crate) fn render(case: &Case) -> Result<Vec<u8>> {
    rendered(case).map_err(|failure| Error::failed(format!("Failed to render template: {failure}")))
}

fn rendered(case: &Case) -> Result<Vec<u8>, Failure> {
    if case.template.len() > limits::SOURCE_MAX {
        let message = format!("The template has more than {} bytes.", limits::SOURCE_MAX);
        return Err(Failure::fatal(message));
    }
    // LXD puts every template into these tags, and counts their bytes in the places of errors.
    let source = [
        b"{% autoescape off %}",
        &*case.template,
        b"{% endautoescape %}",
    ]
    .concat();
    let document = parser::parse(lexer::lex(&source)?)?;
    let names = context::names(case);
    if let Some(name) = document
        .exported
        .iter()
        .find(|name| names.contains_key(name.as_str()))
    {
        let message = format!("context key name '{name}' clashes with macro '{name}'");
        return Err(Failure::execution(None, message));
    }
    engine::run(Program::of(document), names, case.now)
}

#[cfg(test)]
mod tests;
