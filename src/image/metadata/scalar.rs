//! What a scalar means: the rules of YAML 1.1 as the Go library in LXD has them.

use base64::{Engine, engine::general_purpose::STANDARD};

/// The prefix of standard tags.
const STANDARD_TAGS: &str = "tag:yaml.org,2002:";

/// What a scalar was found to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer that takes all 64 bits, so that nothing here can hold it.
    Unsigned,
    /// An integer beyond that, or a number with a fraction or exponent.
    Float(f64),
    Timestamp,
    Merge,
    Text,
    /// Decoded from base 64.
    Binary(String),
}

impl Scalar {
    /// The short tag that errors name.
    pub(super) fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Unsigned => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp => "!!timestamp",
            // LXD: tells of a merge in the wrong place as of text.
            Self::Merge | Self::Text => "!!str",
            Self::Binary(_) => "!!binary",
        }
    }
}

/// A tag as errors name it.
pub(super) fn short(tag: &str) -> String {
    match tag.strip_prefix(STANDARD_TAGS) {
        Some(name) => format!("!!{name}"),
        None => tag.to_owned(),
    }
}

/// What `text` means under an explicit tag, or by its looks.
///
/// # Errors
///
/// LXD's text when it is not what its tag says.
pub(super) fn resolve(tag: Option<&str>, text: &str, is_plain: bool) -> Result<Scalar, String> {
    let tag = tag.map(short);
    match tag.as_deref() {
        None if is_plain => Ok(by_looks(text)),
        Some("!!binary") => binary(text),
        Some(tag @ ("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp")) => {
            match (tag, by_looks(text)) {
                #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
                ("!!float", Scalar::Int(number)) => Ok(Scalar::Float(number as f64)),
                (tag, found) if found.tag() == tag => Ok(found),
                (tag, found) => Err(format!(
                    "yaml: cannot decode {} `{text}` as a {tag}",
                    found.tag()
                )),
            }
        }
        // Quoted, text by its tag, or by a tag of somebody's own.
        _ => Ok(Scalar::Text),
    }
}

fn binary(text: &str) -> Result<Scalar, String> {
    let packed: String = text.split_whitespace().collect();
    let bytes = STANDARD.decode(packed);
    let bytes = bytes.map_err(|_bad| "yaml: !!binary value contains invalid base64 data")?;
    Ok(Scalar::Binary(String::from_utf8_lossy(&bytes).into_owned()))
}

fn by_looks(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        "<<" => return Scalar::Merge,
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let begins_a_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if !begins_a_number {
        return Scalar::Text;
    }
    if is_date(text) {
        return Scalar::Timestamp;
    }
    number(&text.replace('_', "")).unwrap_or(Scalar::Text)
}

/// A number as Go reads it: decimal, `0x`, `0o` or `0` octal, `0b`, or with a fraction.
fn number(text: &str) -> Option<Scalar> {
    let (is_negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, plain) = match lower.split_at_checked(2) {
        Some(("0x", rest)) => (16, rest),
        Some(("0o", rest)) => (8, rest),
        Some(("0b", rest)) => (2, rest),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, lower.as_str()),
        _ => (10, lower.as_str()),
    };
    let is_integer = !plain.is_empty() && plain.chars().all(|c| c.is_digit(radix));
    if is_integer && let Ok(value) = i128::from_str_radix(plain, radix) {
        let value = if is_negative { -value } else { value };
        if let Ok(value) = i64::try_from(value) {
            return Some(Scalar::Int(value));
        }
        if u64::try_from(value).is_ok() {
            return Some(Scalar::Unsigned);
        }
    }
    let value: f64 = is_float(digits).then(|| text.parse().ok()).flatten()?;
    // Go takes what is beyond the largest number for text.
    value.is_finite().then_some(Scalar::Float(value))
}

/// `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, and an exponent.
fn is_float(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let good_exponent = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && all_digits(text)
    });
    let good_mantissa = match mantissa.split_once('.') {
        None => !mantissa.is_empty() && all_digits(mantissa),
        Some(("", fraction)) => !fraction.is_empty() && all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
    };
    good_mantissa && good_exponent
}

/// `2006-1-2`, alone or with a time behind it.
fn is_date(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => text.split_at_checked(at).unwrap_or((text, "")),
        None => (text, ""),
    };
    let mut parts = date.split('-');
    let number = |part: Option<&str>, lengths: &[usize]| {
        part.filter(|p| lengths.contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|part| part.parse::<u32>().ok())
    };
    let year = number(parts.next(), &[4]);
    let (month, day) = (number(parts.next(), &[1, 2]), number(parts.next(), &[1, 2]));
    let is_day = matches!((year, month, day), (Some(_), Some(1..=12), Some(1..=31)));
    let is_time = time.is_empty() || time.get(1..).is_some_and(|t| t.matches(':').count() >= 2);
    is_day && parts.next().is_none() && is_time
}

#[cfg(test)]
mod tests {
    use super::{Scalar, resolve};

    #[test]
    fn scalars_are_what_they_look_like() {
        let cases = [
            ("~", Scalar::Null),
            ("yes", Scalar::Bool(true)),
            ("0x10", Scalar::Int(16)),
            ("010", Scalar::Int(8)),
            ("1_000", Scalar::Int(1000)),
            ("-5", Scalar::Int(-5)),
            ("1e3", Scalar::Float(1000.0)),
            ("1.5", Scalar::Float(1.5)),
            ("2020-01-01", Scalar::Timestamp),
            ("9223372036854775808", Scalar::Unsigned),
            (
                "-9223372036854775809",
                Scalar::Float(-9_223_372_036_854_775_809.0),
            ),
            ("1e400", Scalar::Text),
            ("22.04.1", Scalar::Text),
            ("x86_64", Scalar::Text),
            ("-", Scalar::Text),
        ];
        for (text, scalar) in cases {
            assert_eq!(resolve(None, text, true), Ok(scalar), "{text}");
        }
        assert_eq!(resolve(None, "123", false), Ok(Scalar::Text));
    }

    #[test]
    fn an_explicit_tag_has_to_fit() {
        let int = Some("tag:yaml.org,2002:int");
        let error = "yaml: cannot decode !!str `x86_64` as a !!int";
        assert_eq!(resolve(int, "x86_64", true), Err(error.to_owned()));
        let binary = Some("tag:yaml.org,2002:binary");
        assert_eq!(
            resolve(binary, "aGk=", true),
            Ok(Scalar::Binary("hi".to_owned()))
        );
    }
}
