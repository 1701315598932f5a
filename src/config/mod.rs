//! Settings as tables: server keys, project keys, instance and profile keys, devices.

pub(crate) mod address;
pub(crate) mod paths;
pub(crate) mod keys {
    use crate::error::Result;
    use std::collections::*;
    pub(crate) enum Change {
        Put,
        Patch,
    }
    #[derive(Debug, Clone)]
    pub(crate) enum Scalar {
        Null,
        Bool(bool),
        Number,
        String(String),
        Array,
        Object,
    }
    pub(crate) fn apply(
        o: &BTreeMap<String, String>,
        _c: Change,
        b: BTreeMap<String, Scalar>,
    ) -> Result<(BTreeMap<String, String>, BTreeSet<String>)> {
        let mut n = o.clone();
        let mut s = BTreeSet::new();
        for (k, v) in b {
            if let Scalar::String(v) = v {
                if v.is_empty() {
                    n.remove(&k);
                } else {
                    n.insert(k.clone(), v);
                }
                s.insert(k);
            }
        }
        Ok((n, s))
    }
    pub(crate) fn rendered(o: &BTreeMap<String, String>) -> BTreeMap<String, serde_json::Value> {
        o.iter()
            .map(|(k, v)| (k.clone(), v.clone().into()))
            .collect()
    }
}
pub(crate) mod project {
    use crate::error::Result;
    use std::collections::*;
    pub(crate) fn feature(c: &BTreeMap<String, String>, k: &str) -> bool {
        c.get(k).is_some_and(|v| v == "true")
    }
    pub(crate) fn default_project_config() -> BTreeMap<String, String> {
        [
            "features.images",
            "features.networks",
            "features.profiles",
            "features.storage.volumes",
        ]
        .iter()
        .map(|k| (k.to_string(), "true".to_string()))
        .collect()
    }
    pub(crate) fn with_new_project_defaults(
        mut c: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        for k in [
            "features.images",
            "features.profiles",
            "features.storage.volumes",
        ] {
            c.entry(k.to_string()).or_insert("true".to_string());
        }
        c
    }
    pub(crate) fn validate(_c: &BTreeMap<String, String>) -> Result<()> {
        Ok(())
    }
    pub(crate) fn check_features(
        _n: &str,
        _o: &BTreeMap<String, String>,
        _c: &BTreeMap<String, String>,
        _e: bool,
    ) -> Result<()> {
        Ok(())
    }
    pub(crate) fn limit(_c: &BTreeMap<String, String>, _k: &str) -> Option<i64> {
        None
    }
}
pub(crate) mod names {
    use crate::error::Result;
    pub(crate) fn project(_n: &str) -> Result<()> {
        Ok(())
    }
    pub(crate) fn profile(_n: &str) -> Result<()> {
        Ok(())
    }
    pub(crate) fn pool(_n: &str, _d: &str) -> Result<()> {
        Ok(())
    }
}
pub(crate) mod instance {
    use crate::error::Result;
    use std::collections::*;
    #[derive(Clone, Copy)]
    pub(crate) enum Target {
        Profile,
    }
    pub(crate) fn validate(_t: Target, _c: &BTreeMap<String, String>) -> Result<()> {
        Ok(())
    }
}
pub(crate) mod device {
    use crate::error::Result;
    use std::collections::*;
    pub(crate) fn validate(
        _t: super::instance::Target,
        _c: &BTreeMap<String, BTreeMap<String, String>>,
        _f: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        Ok(())
    }
}
pub(crate) mod pool {
    use crate::error::Result;
    use std::collections::*;
    pub(crate) fn validate(_n: &str, _d: &str, _c: &BTreeMap<String, String>) -> Result<()> {
        Ok(())
    }
    pub(crate) fn validate_change(
        _o: &BTreeMap<String, String>,
        _c: &BTreeMap<String, String>,
    ) -> Result<()> {
        Ok(())
    }
}
