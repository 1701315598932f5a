//! What settings say about images of other servers: a project's own, else the server's.

use std::collections::BTreeMap;

use crate::config;

/// Settings by their names.
type Config = BTreeMap<String, String>;

/// How the images of a project are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Whether an image that an instance needs is kept up to date from then on.
    pub(super) updates_cached: bool,
    /// Hours between two looks for newer images; `None` for never.
    pub(super) update_hours: Option<i64>,
    /// Days that a cached image stays without being used; `None` for always.
    pub(super) cache_days: Option<i64>,
}

impl Policy {
    /// What `project` and `server` say.
    pub(super) fn of(project: &Config, server: &Config) -> Self {
        let say = |name: &str| {
            let own = project.get(name).filter(|value| !value.is_empty());
            own.map_or_else(|| config::keys::value(server, name), String::as_str)
        };
        let positive = |name: &str| say(name).parse().ok().filter(|number| *number > 0);
        Self {
            updates_cached: config::truth(say("images.auto_update_cached")) == Some(true),
            update_hours: positive("images.auto_update_interval"),
            cache_days: positive("images.remote_cache_expiry"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_projects_own_settings_come_first_and_what_is_not_positive_is_never() {
        let none = config(&[]);
        let default = Policy {
            updates_cached: true,
            update_hours: Some(6),
            cache_days: Some(10),
        };
        assert_eq!(Policy::of(&none, &none), default);
        let server = config(&[
            ("images.auto_update_cached", "false"),
            ("images.auto_update_interval", "0"),
            ("images.remote_cache_expiry", "-1"),
        ]);
        let never = Policy {
            updates_cached: false,
            update_hours: None,
            cache_days: None,
        };
        assert_eq!(Policy::of(&none, &server), never);
        let project = config(&[
            ("images.auto_update_cached", "yes"),
            ("images.auto_update_interval", "2"),
            ("images.remote_cache_expiry", ""),
        ]);
        let own = Policy {
            updates_cached: true,
            update_hours: Some(2),
            cache_days: None,
        };
        assert_eq!(Policy::of(&project, &server), own);
    }
}
