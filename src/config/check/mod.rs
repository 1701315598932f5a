//! Checks of single values: each takes the text and says in LXD's words what is wrong with it.

mod compression;
mod schedule;
mod size;

pub(crate) use compression::compression;
pub(crate) use schedule::schedule;
pub(crate) use size::{parse_size, size, size_or_percent};

/// What a check returns: nothing, or the reason.
pub(crate) type Checked = Result<(), String>;

/// A check of a value.
pub(crate) type Check = fn(&str) -> Checked;

/// Whether a word means true or false.
pub(crate) fn truth(text: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["true", "1", "yes", "on"]) {
        return Some(true);
    }
    is_one_of(&["false", "0", "no", "off"]).then_some(false)
}

/// Anything.
#[expect(clippy::unnecessary_wraps, reason = "a check like the others")]
pub(crate) fn any(_text: &str) -> Checked {
    Ok(())
}

/// A word for true or false.
pub(crate) fn boolean(text: &str) -> Checked {
    truth(text)
        .map(drop)
        .ok_or_else(|| format!("Invalid value for a boolean {text:?}"))
}

/// A whole number, negative ones too.
pub(crate) fn integer(text: &str) -> Checked {
    let parsed = text.parse::<i64>();
    parsed
        .map(drop)
        .map_err(|_bad| format!("Invalid value for an integer {text:?}"))
}

/// A whole number from 0 that fits into 32 bits.
pub(crate) fn uint32(text: &str) -> Checked {
    if text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().is_ok() {
        return Ok(());
    }
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let reason = if is_number {
        "value out of range"
    } else {
        "invalid syntax"
    };
    Err(format!(
        "Invalid value for uint32 {text:?}: strconv.ParseUint: parsing {text:?}: {reason}"
    ))
}

/// A whole number from 0 to 10.
pub(crate) fn priority(text: &str) -> Checked {
    integer(text)?;
    match text.parse::<i64>() {
        Ok(0..=10) => Ok(()),
        _ => Err(format!(
            "Invalid value for a limit {text:?}. Must be between 0 and 10"
        )),
    }
}

/// One of some words.
pub(crate) fn one_of(text: &str, words: &[&str]) -> Checked {
    if words.contains(&text) {
        return Ok(());
    }
    Err(format!(
        "Invalid value {text:?} (not one of [{}])",
        words.join(" ")
    ))
}

/// An architecture by its canonical name.
pub(crate) fn architecture(text: &str) -> Checked {
    one_of(text, &crate::image::architectures())
}

/// How long until something is out of date, such as `1d 12H`.
pub(crate) fn expiry(text: &str) -> Checked {
    let is_part = |part: &str| {
        let digits = part.trim_end_matches(['S', 'M', 'H', 'd', 'w', 'm', 'y']);
        part.len() == digits.len() + 1
            && !digits.is_empty()
            && digits.len() < 10
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    if text.is_empty() || text.split(' ').all(is_part) {
        return Ok(());
    }
    Err("Invalid expiry expression".to_owned())
}

/// A comma-separated list of absolute paths.
pub(crate) fn absolute_paths(text: &str) -> Checked {
    match text
        .split(',')
        .map(str::trim)
        .find(|path| !path.starts_with('/'))
    {
        None => Ok(()),
        Some(path) => Err(format!("Item {path:?}: Must be absolute file path")),
    }
}

/// A comma-separated list of numbers and ranges of numbers.
pub(crate) fn ranges(text: &str) -> Checked {
    let is_number = |part: &str| !part.is_empty() && part.parse::<u32>().is_ok();
    for item in text.split(',').map(str::trim) {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        for part in [first, last] {
            if !is_number(part) {
                return Err(format!("Item {item:?}: Invalid number {part:?}"));
            }
        }
    }
    Ok(())
}

/// Permission bits in octal.
pub(crate) fn octal_mode(text: &str) -> Checked {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(()),
        _ => Err("Invalid value for an octal file mode".to_owned()),
    }
}

/// The address of a network card.
pub(crate) fn mac_address(text: &str) -> Checked {
    let parts: Vec<_> = text.split(':').collect();
    let is_byte = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    if parts.len() == 6 && parts.iter().all(is_byte) {
        return Ok(());
    }
    Err("Invalid MAC address, must be 6 bytes of hex separated by colons".to_owned())
}

/// The size of a packet.
pub(crate) fn mtu(text: &str) -> Checked {
    match text.parse::<u32>() {
        Ok(68..=65_536) => Ok(()),
        _ => Err(format!("Invalid MTU {text:?}")),
    }
}

#[cfg(test)]
mod tests;
