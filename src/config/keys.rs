//! Server settings: ONE table of everything that can be set. Parsing, what clients see, errors,
//! and the documentation walk it.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{self, Check, Checked};
use crate::error::{Error, Result};

/// How the body of a change is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// What is not named falls back to its default, but for `user.*`.
    Put,
    /// What is not named stays.
    Patch,
}

/// What kind of JSON value a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// Unsets the key, like an empty string.
    Null,
    /// Refused, but for `true` at a hidden key, which leaves it as it is.
    Bool(bool),
    /// Refused.
    Number,
    /// The value.
    String(String),
    /// Refused.
    Array,
    /// Refused.
    Object,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Its value when it is not set; a value equal to it is not kept.
    pub(crate) default: &'static str,
    /// What it is for; the documentation says the same.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "read by the test of the documentation")
    )]
    pub(crate) doc: &'static str,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Words for true and false, kept as `true` and `false`.
    Bool,
    /// A whole number.
    Int,
    /// Text that passes a check.
    Text(Check),
    /// Text that nobody gets to see again.
    Hidden,
}

impl Kind {
    /// Its name in the documentation.
    #[cfg(test)]
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "integer",
            Self::Text(_) => "text",
            Self::Hidden => "text, hidden",
        }
    }

    /// The value as it is kept.
    fn normalised(self, value: String) -> Result<String, String> {
        match self {
            Self::Bool => match check::truth(&value) {
                Some(truth) => Ok(truth.to_string()),
                None => Err("invalid boolean".to_owned()),
            },
            Self::Int => match value.parse::<i64>() {
                Ok(_) => Ok(value),
                Err(_) => Err("invalid integer".to_owned()),
            },
            Self::Text(check) => check(&value).map(|()| value),
            Self::Hidden => Ok(value),
        }
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        doc,
    }
}

const TEXT: Kind = Kind::Text(check::any);
const KEPT: &str = "kept for clients that set it; no effect";

/// Ours, hence not among LXD's `images.*`.
pub(crate) const PUBLISH_PARALLEL: &str = "lximaged.publish_parallel";

/// The table, by name.
pub(crate) const KEYS: &[Key] = &[
    key(
        "backups.compression_algorithm",
        Kind::Text(check::compression),
        "gzip",
        KEPT,
    ),
    key("candid.api.key", TEXT, "", KEPT),
    key("candid.api.url", TEXT, "", KEPT),
    key("candid.domains", TEXT, "", KEPT),
    key("candid.expiry", Kind::Int, "3600", KEPT),
    key("cluster.https_address", TEXT, "", KEPT),
    key(
        "cluster.images_minimal_replica",
        Kind::Text(replicas),
        "3",
        KEPT,
    ),
    key(
        "cluster.join_token_expiry",
        Kind::Text(check::expiry),
        "3H",
        KEPT,
    ),
    key("cluster.max_standby", Kind::Text(standbys), "2", KEPT),
    key("cluster.max_voters", Kind::Text(voters), "3", KEPT),
    key(
        "cluster.offline_threshold",
        Kind::Text(threshold),
        "20",
        KEPT,
    ),
    key("core.bgp_address", TEXT, "", KEPT),
    key("core.bgp_asn", Kind::Text(asn), "0", KEPT),
    key("core.bgp_routerid", Kind::Text(ipv4), "", KEPT),
    key("core.debug_address", TEXT, "", KEPT),
    key("core.dns_address", TEXT, "", KEPT),
    key(
        "core.https_address",
        TEXT,
        "",
        "where to listen for HTTPS: `ADDRESS[:PORT]`, port 8443",
    ),
    key(
        "core.https_allowed_credentials",
        Kind::Bool,
        "false",
        "whether every answer carries `Access-Control-Allow-Credentials`",
    ),
    key(
        "core.https_allowed_headers",
        TEXT,
        "",
        "what browsers are answered as `Access-Control-Allow-Headers`",
    ),
    key(
        "core.https_allowed_methods",
        TEXT,
        "",
        "what browsers are answered as `Access-Control-Allow-Methods`",
    ),
    key(
        "core.https_allowed_origin",
        TEXT,
        "",
        "what browsers are answered as `Access-Control-Allow-Origin`",
    ),
    key(
        "core.https_trusted_proxy",
        TEXT,
        "",
        "addresses, with commas, of proxies that may say by the PROXY protocol whom they speak for",
    ),
    key("core.metrics_address", TEXT, "", KEPT),
    key(
        "core.metrics_authentication",
        Kind::Bool,
        "true",
        "whether `GET /1.0/metrics` is for trusted callers only",
    ),
    key(
        "core.proxy_http",
        TEXT,
        "",
        "the proxy for `http://`; of use for URL imports only",
    ),
    key(
        "core.proxy_https",
        TEXT,
        "",
        "the proxy through which other servers are asked, at once",
    ),
    key(
        "core.proxy_ignore_hosts",
        TEXT,
        "",
        "hosts, with commas, that are asked without a proxy",
    ),
    key(
        "core.remote_token_expiry",
        Kind::Text(check::expiry),
        "",
        "how long join tokens last, such as `1d 12H`; for ever when unset",
    ),
    key("core.shutdown_timeout", Kind::Int, "5", KEPT),
    key(
        "core.trust_ca_certificates",
        Kind::Bool,
        "false",
        "in PKI mode, whether all certificates of the authority are trusted",
    ),
    key(
        "core.trust_password",
        Kind::Hidden,
        "",
        "kept as salt and scrypt hash, never shown",
    ),
    key(
        "images.auto_update_cached",
        Kind::Bool,
        "true",
        "whether images fetched by alias for an instance are kept up to date",
    ),
    key(
        "images.auto_update_interval",
        Kind::Int,
        "6",
        "hours between two looks for newer images; 0 for never",
    ),
    key(
        "images.compression_algorithm",
        Kind::Text(check::compression),
        "gzip",
        "how images are compressed when they are made, such as `zstd -9`; see [publishing](publishing.md)",
    ),
    key(
        "images.default_architecture",
        Kind::Text(check::architecture),
        "",
        KEPT,
    ),
    key(
        "images.remote_cache_expiry",
        Kind::Int,
        "10",
        "days that a cached image stays without being used; 0 for ever",
    ),
    key(
        "lximaged.auto_update_bandwidth",
        Kind::Text(bandwidth),
        "",
        "the most bytes a second that auto-update downloads, such as `10MiB`; no limit when unset",
    ),
    key(
        "lximaged.auto_update_parallel",
        Kind::Text(parallel),
        "2",
        "how many images auto-update downloads at once",
    ),
    key(
        PUBLISH_PARALLEL,
        Kind::Text(parallel),
        "1",
        "how many instances may be published at once, over all projects; the others wait",
    ),
    key("maas.api.key", TEXT, "", KEPT),
    key("maas.api.url", TEXT, "", KEPT),
    key("maas.machine", TEXT, "", KEPT),
    key("network.ovn.integration_bridge", TEXT, "br-int", KEPT),
    key(
        "network.ovn.northbound_connection",
        TEXT,
        "unix:/var/run/ovn/ovnnb_db.sock",
        KEPT,
    ),
    key("rbac.agent.private_key", TEXT, "", KEPT),
    key("rbac.agent.public_key", TEXT, "", KEPT),
    key("rbac.agent.url", TEXT, "", KEPT),
    key("rbac.agent.username", TEXT, "", KEPT),
    key("rbac.api.expiry", Kind::Int, "0", KEPT),
    key("rbac.api.key", TEXT, "", KEPT),
    key("rbac.api.url", TEXT, "", KEPT),
    key("rbac.expiry", Kind::Int, "3600", KEPT),
    key("storage.backups_volume", Kind::Text(volume), "", KEPT),
    key("storage.images_volume", Kind::Text(volume), "", KEPT),
];

fn in_range(text: &str, fits: impl Fn(i64) -> bool, reason: &str) -> Checked {
    let number = text.parse::<i64>().map_err(|_bad| reason.to_owned())?;
    if fits(number) {
        Ok(())
    } else {
        Err(reason.to_owned())
    }
}

fn replicas(text: &str) -> Checked {
    in_range(
        text,
        |n| n == -1 || n > 0,
        "Invalid value for image replica count",
    )
}

fn voters(text: &str) -> Checked {
    let reason = "Value must be an odd number equal to or higher than 3";
    in_range(text, |n| n >= 3 && n % 2 == 1, reason)
}

fn standbys(text: &str) -> Checked {
    in_range(
        text,
        |n| (0..=5).contains(&n),
        "Value must be between 0 and 5",
    )
}

fn bandwidth(text: &str) -> Checked {
    let bytes = check::parse_size(text);
    if bytes.is_some_and(|bytes| bytes >= 64 * 1024) {
        return Ok(());
    }
    Err("Value must be a size of 64KiB or more".to_owned())
}

fn parallel(text: &str) -> Checked {
    in_range(
        text,
        |n| (1..=64).contains(&n),
        "Value must be between 1 and 64",
    )
}

fn threshold(text: &str) -> Checked {
    in_range(text, |n| n > 10, "Value must be greater than '10'")
}

fn asn(text: &str) -> Checked {
    let reason = "Value isn't within valid range. Must be between 0 and 4294967294";
    in_range(text, |n| (0..=4_294_967_294).contains(&n), reason)
}

fn ipv4(text: &str) -> Checked {
    let parsed = text.parse::<std::net::Ipv4Addr>();
    parsed
        .map(drop)
        .map_err(|_bad| format!("Not an IPv4 address {text:?}"))
}

fn volume(text: &str) -> Checked {
    match text.split_once('/') {
        Some((pool, volume)) if !pool.is_empty() && !volume.is_empty() => Ok(()),
        _ => Err("Invalid syntax for volume, must be <pool>/<volume>".to_owned()),
    }
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// What a setting is set to, or else its default.
pub(crate) fn value<'v>(values: &'v BTreeMap<String, String>, name: &str) -> &'v str {
    let default = || find(name).map_or("", |key| key.default);
    values.get(name).map_or_else(default, String::as_str)
}

/// The settings after a change, and which of them differ. Everything is checked before anything
/// is changed.
///
/// # Errors
///
/// 400 with LXD's text for the first wrong key by name, and how many more there are.
pub(crate) fn apply(
    current: &BTreeMap<String, String>,
    how: Change,
    body: BTreeMap<String, Scalar>,
) -> Result<(BTreeMap<String, String>, BTreeSet<String>)> {
    let stays = |name: &String| how == Change::Patch || name.starts_with("user.");
    let mut new: BTreeMap<_, _> = current
        .iter()
        .filter(|(name, _)| stays(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    let mut wrong = Vec::new();
    for (name, value) in body {
        match accept(&name, value) {
            Ok(Accepted::Value(value)) => drop(new.insert(name, value)),
            Ok(Accepted::Unset) => drop(new.remove(&name)),
            Ok(Accepted::Unchanged) => {
                new.extend(current.get(&name).map(|value| (name, value.clone())));
            }
            Err(error) => wrong.push(error),
        }
    }
    refuse(&wrong)?;
    let names = current.keys().chain(new.keys());
    let changed = names
        .filter(|name| current.get(*name) != new.get(*name))
        .cloned()
        .collect();
    Ok((new, changed))
}

fn refuse(wrong: &[String]) -> Result<()> {
    match wrong {
        [] => Ok(()),
        [only] => Err(Error::bad_request(only)),
        [first, more @ ..] => Err(Error::bad_request(format!(
            "{first} (and {} more errors)",
            more.len()
        ))),
    }
}

enum Accepted {
    Value(String),
    Unset,
    Unchanged,
}

fn accept(name: &str, value: Scalar) -> Result<Accepted, String> {
    let key = find(name);
    let is_hidden = key.is_some_and(|key| matches!(key.kind, Kind::Hidden));
    let text = match value {
        Scalar::Bool(true) if is_hidden => return Ok(Accepted::Unchanged),
        Scalar::Null => String::new(),
        Scalar::String(text) => text,
        Scalar::Bool(_) => return Err(format!("cannot set '{name}': invalid type bool")),
        Scalar::Number => return Err(format!("cannot set '{name}': invalid type float64")),
        Scalar::Array => return Err(format!("cannot set '{name}': invalid type slice")),
        Scalar::Object => return Err(format!("cannot set '{name}': invalid type map")),
    };
    if name.starts_with("user.") {
        return Ok(if text.is_empty() {
            Accepted::Unset
        } else {
            Accepted::Value(text)
        });
    }
    let cannot = |reason: &str| format!("cannot set '{name}' to '{text}': {reason}");
    let Some(key) = key else {
        return Err(cannot("unknown key"));
    };
    if text.is_empty() {
        return Ok(Accepted::Unset);
    }
    let value = key
        .kind
        .normalised(text.clone())
        .map_err(|reason| cannot(&reason))?;
    Ok(if value == key.default {
        Accepted::Unset
    } else {
        Accepted::Value(value)
    })
}

/// What clients see: hidden settings show as `true`.
pub(crate) fn rendered(values: &BTreeMap<String, String>) -> BTreeMap<String, serde_json::Value> {
    let is_hidden = |name: &str| find(name).is_some_and(|key| matches!(key.kind, Kind::Hidden));
    let show = |(name, value): (&String, &String)| {
        let shown = if is_hidden(name) {
            true.into()
        } else {
            value.as_str().into()
        };
        (name.clone(), shown)
    };
    values.iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Scalar {
        Scalar::String(value.to_owned())
    }

    fn change(how: Change, body: &[(&str, Scalar)]) -> Result<BTreeMap<String, String>> {
        let current = BTreeMap::from(
            [
                ("images.auto_update_interval", "3"),
                ("user.a", "b"),
                ("core.trust_password", "hash"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let body = body
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        apply(&current, how, body).map(|(new, _)| new)
    }

    #[test]
    fn put_forgets_what_it_does_not_name_but_for_the_users_own() {
        let new = change(Change::Put, &[("core.trust_password", Scalar::Bool(true))]).unwrap();
        assert_eq!(
            new.keys().collect::<Vec<_>>(),
            ["core.trust_password", "user.a"]
        );
        let new = change(Change::Patch, &[("user.a", Scalar::Null)]).unwrap();
        assert_eq!(new.len(), 2);
    }

    #[test]
    fn values_are_normalised_and_defaults_are_not_kept() {
        let body = [
            ("images.auto_update_cached", text("NO")),
            ("images.auto_update_interval", text("6")),
            ("core.trust_ca_certificates", text("off")),
        ];
        let new = change(Change::Patch, &body).unwrap();
        assert_eq!(new["images.auto_update_cached"], "false");
        assert!(!new.contains_key("images.auto_update_interval"));
        assert!(!new.contains_key("core.trust_ca_certificates"));
    }

    #[test]
    fn the_first_of_several_errors_is_told() {
        let body = [
            ("zz", text("1")),
            ("aa", text("y")),
            ("images.remote_cache_expiry", text("x")),
        ];
        let error = change(Change::Patch, &body).unwrap_err();
        assert_eq!(
            error.message(),
            "cannot set 'aa' to 'y': unknown key (and 2 more errors)"
        );
        let error = change(
            Change::Patch,
            &[("images.auto_update_interval", Scalar::Number)],
        );
        let said = "cannot set 'images.auto_update_interval': invalid type float64";
        assert_eq!(error.unwrap_err().message(), said);
    }

    #[test]
    fn the_document_has_the_table() {
        let document = include_str!("../../docs/configuration.md");
        for key in KEYS {
            let default = if key.default.is_empty() {
                String::new()
            } else {
                format!("`{}`", key.default)
            };
            let row = format!(
                "| `{}` | {} | {default} | {} |",
                key.name,
                key.kind.name(),
                key.doc
            );
            assert!(
                document.contains(&row),
                "docs/configuration.md lacks: {row}"
            );
        }
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(KEYS.is_sorted_by_key(|key| key.name));
    }
}
