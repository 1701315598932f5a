//! Sizes of instances by the names that clouds have for them, or as `c1-m2`.

use std::collections::BTreeMap;

/// Processors and GiB of memory, by name.
// LXD: reads a list of all clouds' types from the network; here are those of one family.
const TYPES: &[(&str, f64, f64)] = &[
    ("t2.nano", 1.0, 0.5),
    ("t2.micro", 1.0, 1.0),
    ("t2.small", 1.0, 2.0),
    ("t2.medium", 2.0, 4.0),
    ("t2.large", 2.0, 8.0),
    ("t2.xlarge", 4.0, 16.0),
    ("t2.2xlarge", 8.0, 32.0),
    ("t3.nano", 2.0, 0.5),
    ("t3.micro", 2.0, 1.0),
    ("t3.small", 2.0, 2.0),
    ("t3.medium", 2.0, 4.0),
    ("t3.large", 2.0, 8.0),
    ("t3.xlarge", 4.0, 16.0),
    ("t3.2xlarge", 8.0, 32.0),
];

/// The largest number that is taken for processors or GiB.
const MOST: f64 = 1_000_000.0;

/// The limits that a size means.
///
/// # Errors
///
/// LXD's text for one that is not known.
pub(crate) fn limits(name: &str) -> Result<BTreeMap<String, String>, String> {
    let bare = name.strip_prefix("aws:").unwrap_or(name);
    let known = TYPES.iter().find(|(known, ..)| *known == bare);
    let size = known.map(|(_, processors, gibibytes)| (Some(*processors), Some(*gibibytes)));
    match size.or_else(|| described(name)) {
        Some((processors, gibibytes)) => Ok(render(processors, gibibytes)),
        None => Err(format!("Provided instance type doesn't exist: {name}")),
    }
}

/// `cPROCESSORS`, `mGIBIBYTES` or both with a hyphen between.
fn described(name: &str) -> Option<(Option<f64>, Option<f64>)> {
    let (mut processors, mut gibibytes) = (None, None);
    for part in name.split('-') {
        let (letter, number) = part.split_at_checked(1)?;
        let is_number = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number: f64 = number.parse().ok().filter(|_| is_number)?;
        let place = match letter {
            "c" => &mut processors,
            "m" => &mut gibibytes,
            _ => return None,
        };
        *place = Some(number).filter(|number| *number <= MOST && place.is_none());
        (*place)?;
    }
    Some((processors, gibibytes))
}

fn render(processors: Option<f64>, gibibytes: Option<f64>) -> BTreeMap<String, String> {
    let mut limits = BTreeMap::new();
    let mut set = |key: &str, value: String| limits.insert(key.to_owned(), value);
    if let Some(processors) = processors.filter(|number| *number > 0.0) {
        let whole = processors.ceil();
        let percent = (processors / whole * 100.0).floor();
        set("limits.cpu", format!("{whole:.0}"));
        if percent < 100.0 {
            set("limits.cpu.allowance", format!("{percent:.0}%"));
        }
    }
    if let Some(gibibytes) = gibibytes.filter(|number| *number > 0.0) {
        let mebibytes = (gibibytes * 1024.0).floor();
        set("limits.memory", format!("{mebibytes:.0}MB"));
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_limits() {
        let said = |name: &str| {
            let limits = limits(name)?;
            let pairs: Vec<_> = limits.iter().map(|(k, v)| format!("{k}={v}")).collect();
            Ok::<_, String>(pairs.join(" "))
        };
        let rows = [
            ("t2.micro", "limits.cpu=1 limits.memory=1024MB"),
            ("aws:t2.nano", "limits.cpu=1 limits.memory=512MB"),
            ("c1-m2", "limits.cpu=1 limits.memory=2048MB"),
            (
                "m0.25-c0.5",
                "limits.cpu=1 limits.cpu.allowance=50% limits.memory=256MB",
            ),
            ("c3", "limits.cpu=3"),
        ];
        for (name, expected) in rows {
            assert_eq!(said(name).unwrap(), expected);
        }
        for name in [
            "x",
            "c",
            "c-m",
            "c1-c2",
            "c1e9",
            "m99999999999",
            "ü1",
            "c1-",
        ] {
            let text = format!("Provided instance type doesn't exist: {name}");
            assert_eq!(said(name).unwrap_err(), text);
        }
    }
}
