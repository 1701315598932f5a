//! The `metadata.yaml` of an image to be.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::{
    api::Timestamp,
    error::{Error, Result},
    image::{Architecture, Metadata},
};

/// What a request says about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    /// All properties; `None` for those there are.
    pub(super) properties: Option<BTreeMap<String, String>>,
    /// The zero time for what there is.
    pub(super) expires_at: Timestamp,
}

/// What the instance says about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) architecture: Architecture,
    pub(super) created_at: Timestamp,
}

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) text: Vec<u8>,
    pub(super) metadata: Metadata,
}

impl Manifest {
    /// The instance's own file, as it is unless the request says something; a new one where there
    /// is none.
    ///
    /// # Errors
    ///
    /// What is wrong with the instance's file: an image with it could not be imported.
    pub(super) fn new(existing: Option<String>, given: Given, origin: Origin) -> Result<Self> {
        let has_changes = given.properties.is_some() || !given.expires_at.is_zero();
        let mut metadata = match &existing {
            Some(text) => Metadata::parse(text.as_bytes())?,
            None => fresh(origin),
        };
        if let Some(properties) = given.properties {
            metadata.properties = properties;
        }
        if !given.expires_at.is_zero() {
            metadata.expiry_date = seconds(given.expires_at);
        }
        let text = match existing.filter(|_| !has_changes) {
            Some(text) => text,
            None => metadata.to_yaml()?,
        };
        Ok(Self {
            text: text.into_bytes(),
            metadata,
        })
    }

    /// When the image is out of date.
    // LXD: never is the zero time here, and the epoch for uploads.
    pub(super) fn expires_at(&self) -> Result<Timestamp> {
        match self.metadata.expiry_date {
            0 => Ok(Timestamp::ZERO),
            seconds => Timestamp::from_unix(seconds)
                .ok_or_else(|| Error::failed("Image dates must be between the years 1 and 9999")),
        }
    }
}

/// Metadata that depends on nothing but the instance: the same tree is to give the same image.
fn fresh(origin: Origin) -> Metadata {
    Metadata {
        architecture: origin.architecture,
        creation_date: seconds(origin.created_at).max(1),
        expiry_date: 0,
        properties: BTreeMap::new(),
        templates: BTreeMap::new(),
    }
}

fn seconds(time: Timestamp) -> i64 {
    OffsetDateTime::from(time).unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# by hand\narchitecture: amd64\ncreation_date: 1700000000\n\
        expiry_date: 1800000000\nproperties: {a: b}\ntemplates:\n  /x:\n    when: [start]\n    template: x.tpl\n";

    fn origin() -> Origin {
        Origin {
            architecture: Architecture::parse("x86_64").unwrap(),
            created_at: Timestamp::from_unix(1_600_000_000).unwrap(),
        }
    }

    fn manifest(given: Given) -> Manifest {
        Manifest::new(Some(FILE.to_owned()), given, origin()).unwrap()
    }

    #[test]
    fn the_file_stays_as_it_is_unless_something_is_given() {
        let manifest = manifest(Given::default());
        assert_eq!(manifest.text, FILE.as_bytes());
        assert_eq!(manifest.metadata.properties["a"], "b");
        assert_eq!(
            manifest.expires_at().unwrap(),
            Timestamp::from_unix(1_800_000_000).unwrap()
        );
    }

    #[test]
    fn given_properties_replace_all_others_and_templates_stay() {
        let given = Given {
            properties: Some(BTreeMap::from([("c".to_owned(), "d".to_owned())])),
            ..Given::default()
        };
        let manifest = manifest(given);
        let written = Metadata::parse(&manifest.text).unwrap();
        assert_eq!(written, manifest.metadata);
        assert_eq!(written.properties.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(written.templates["/x"].template, "x.tpl");
        assert_eq!(written.expiry_date, 1_800_000_000);
    }

    #[test]
    fn a_given_expiry_is_kept_in_whole_seconds() {
        let expires_at = "2045-06-07T08:09:10.5Z".parse().unwrap();
        let manifest = manifest(Given {
            expires_at,
            ..Given::default()
        });
        assert_eq!(
            manifest.expires_at().unwrap().to_string(),
            "2045-06-07T08:09:10Z"
        );
        assert_eq!(manifest.metadata.properties["a"], "b");
    }

    #[test]
    fn without_a_file_the_instance_tells_what_it_is() {
        let manifest = Manifest::new(None, Given::default(), origin()).unwrap();
        let written = Metadata::parse(&manifest.text).unwrap();
        assert_eq!(written.creation_date, 1_600_000_000);
        assert_eq!(written.architecture.name(), "x86_64");
        assert!(manifest.expires_at().unwrap().is_zero());
    }

    #[test]
    fn a_file_that_no_import_would_take_is_refused() {
        let error = Manifest::new(Some("a: [".to_owned()), Given::default(), origin());
        assert!(error.unwrap_err().message().starts_with("yaml: "));
    }
}
