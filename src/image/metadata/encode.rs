//! `metadata.yaml` as it is written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Metadata, MetadataFile, Template};
use crate::error::{Error, Result};

/// Lists and maps are written although they are empty.
#[derive(Serialize)]
struct Written<'m> {
    architecture: &'m str,
    creation_date: i64,
    expiry_date: i64,
    properties: BTreeMap<&'m str, &'m str>,
    templates: BTreeMap<&'m str, Option<WrittenTemplate<'m>>>,
}

#[derive(Serialize)]
struct WrittenTemplate<'m> {
    when: &'m [String],
    create_only: bool,
    template: &'m str,
    properties: BTreeMap<&'m str, &'m str>,
}

impl Metadata {
    /// The text of the file.
    pub(crate) fn to_yaml(&self) -> Result<String> {
        let templates = self.templates.iter();
        text(&Written {
            architecture: self.architecture.name(),
            creation_date: self.creation_date,
            expiry_date: self.expiry_date,
            properties: strings(&self.properties),
            templates: templates
                .map(|(path, template)| (path.as_str(), Some(template.into())))
                .collect(),
        })
    }
}

impl MetadataFile {
    /// The text of the file.
    pub(crate) fn to_yaml(&self) -> Result<String> {
        let templates = self.templates.iter().flatten();
        text(&Written {
            architecture: &self.architecture,
            creation_date: self.creation_date,
            expiry_date: self.expiry_date,
            properties: self.properties.as_ref().map(strings).unwrap_or_default(),
            templates: templates
                .map(|(path, template)| (path.as_str(), template.as_ref().map(Into::into)))
                .collect(),
        })
    }
}

fn text(written: &Written<'_>) -> Result<String> {
    serde_yaml::to_string(written)
        .map_err(|error| Error::internal("Failed to write metadata.yaml", error))
}

fn strings(map: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let entries = map.iter();
    entries
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

impl<'m> From<&'m Template> for WrittenTemplate<'m> {
    fn from(template: &'m Template) -> Self {
        Self {
            when: template.when.as_deref().unwrap_or_default(),
            create_only: template.create_only,
            template: &template.template,
            properties: template
                .properties
                .as_ref()
                .map(strings)
                .unwrap_or_default(),
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

    #[test]
    fn what_is_not_there_is_written_empty_and_read_so() {
        let file = MetadataFile::parse(b"templates: {/a: {template: a.tpl}, /b: ~}\n").unwrap();
        let templates = file.templates.as_ref().unwrap();
        assert_eq!((&templates["/b"], &file.properties), (&None, &None));
        assert_eq!(templates["/a"].as_ref().unwrap().when, None);
        let written = file.to_yaml().unwrap();
        let read = MetadataFile::parse(written.as_bytes()).unwrap();
        assert_eq!(read.properties, Some(BTreeMap::new()));
        let template = read.templates.unwrap()["/a"].clone().unwrap();
        assert_eq!(template.when, Some(Vec::new()));
    }
}
