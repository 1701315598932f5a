//! `metadata.yaml` as it is written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Metadata, Template};
use crate::error::{Error, Result};

/// The fields in LXD's order.
#[derive(Serialize)]
struct Written<'m> {
    architecture: &'static str,
    creation_date: i64,
    expiry_date: i64,
    properties: &'m BTreeMap<String, String>,
    templates: BTreeMap<&'m str, WrittenTemplate<'m>>,
}

#[derive(Serialize)]
struct WrittenTemplate<'m> {
    when: &'m [String],
    create_only: bool,
    template: &'m str,
    properties: &'m BTreeMap<String, String>,
}

impl Metadata {
    /// The text of the file.
    pub(crate) fn to_yaml(&self) -> Result<String> {
        let templates = self.templates.iter();
        let written = Written {
            architecture: self.architecture.name(),
            creation_date: self.creation_date,
            expiry_date: self.expiry_date,
            properties: &self.properties,
            templates: templates
                .map(|(path, template)| (path.as_str(), WrittenTemplate::from(template)))
                .collect(),
        };
        serde_yaml::to_string(&written)
            .map_err(|error| Error::internal("Failed to write metadata.yaml", error))
    }
}

impl<'m> From<&'m Template> for WrittenTemplate<'m> {
    fn from(template: &'m Template) -> Self {
        Self {
            when: &template.when,
            create_only: template.create_only,
            template: &template.template,
            properties: &template.properties,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = "architecture: amd64\ncreation_date: 1700000000\nproperties:\n  a: '5'\n  b: 'yes'\n  \
            c: \"two\\nlines: #\"\n  d: ''\ntemplates:\n  /etc/hostname:\n    when: [create, copy]\n    \
            create_only: true\n    template: hostname.tpl\n    properties: {x: '~'}\n";
        let metadata = Metadata::parse(text.as_bytes()).unwrap();
        let written = metadata.to_yaml().unwrap();
        assert!(written.starts_with("architecture: x86_64\n"), "{written}");
        assert_eq!(Metadata::parse(written.as_bytes()).unwrap(), metadata);
    }
}
