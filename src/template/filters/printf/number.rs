//! Numbers as Go's verbs write them.

use super::{Flags, quote};

/// An integer, unless the verb is none for integers.
pub(super) fn integer(value: i64, verb: char, flags: Flags) -> Option<Vec<u8>> {
    let size = value.unsigned_abs();
    let (digits, prefix) = match verb {
        'v' | 'd' => (size.to_string(), ""),
        'b' => (format!("{size:b}"), if flags.sharp { "0b" } else { "" }),
        'o' => (format!("{size:o}"), if flags.sharp { "0" } else { "" }),
        'O' => (format!("{size:o}"), "0o"),
        'x' => (format!("{size:x}"), if flags.sharp { "0x" } else { "" }),
        'X' => (format!("{size:X}"), if flags.sharp { "0X" } else { "" }),
        'c' => return Some(flags.pad(rune(value).to_string().as_bytes())),
        'q' => return Some(flags.pad(&quote::rune(rune(value), flags))),
        'U' => return Some(unicode(value, flags)),
        _ => return None,
    };
    Some(digits_with(value < 0, prefix, &digits, flags))
}

fn digits_with(negative: bool, prefix: &str, digits: &str, flags: Flags) -> Vec<u8> {
    let sign = sign(negative, flags);
    let mut least = flags.precision.unwrap_or(0);
    if flags.precision == Some(0) && digits == "0" {
        return Flags {
            zero: false,
            ..flags
        }
        .pad(b"");
    }
    if flags.precision.is_none() && flags.zero {
        least = flags.width.unwrap_or(0).saturating_sub(sign.len());
    }
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    // An octal number with zeros in front shows already that it is one.
    let prefix = if prefix == "0" && !zeros.is_empty() {
        ""
    } else {
        prefix
    };
    let text = format!("{sign}{prefix}{zeros}{digits}");
    Flags {
        zero: false,
        ..flags
    }
    .pad(text.as_bytes())
}

fn sign(negative: bool, flags: Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn rune(value: i64) -> char {
    let code = u32::try_from(value).ok();
    code.and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// `U+0041`, with `#` and the character behind it.
fn unicode(value: i64, flags: Flags) -> Vec<u8> {
    let width = flags.precision.unwrap_or(4).max(4);
    let mut text = format!("U+{value:0width$X}");
    if flags.sharp {
        text = format!("{text} '{}'", rune(value));
    }
    Flags {
        zero: false,
        ..flags
    }
    .pad(text.as_bytes())
}

/// A float, unless the verb is none for floats.
pub(super) fn float(value: f64, verb: char, flags: Flags) -> Option<Vec<u8>> {
    let size = value.abs();
    let digits = match verb {
        _ if !matches!(verb, 'v' | 'g' | 'G' | 'f' | 'F' | 'e' | 'E') => return None,
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value.is_infinite() => "Inf".to_owned(),
        'f' | 'F' => format!("{size:.*}", flags.precision.unwrap_or(6)),
        'e' => exponential(&format!("{size:.*e}", flags.precision.unwrap_or(6))),
        'E' => exponential(&format!("{size:.*e}", flags.precision.unwrap_or(6))).to_uppercase(),
        'G' => general(size, flags.precision).to_uppercase(),
        _ => general(size, flags.precision),
    };
    let plus = flags.plus || value.is_infinite();
    let sign = sign(
        value.is_sign_negative() && !value.is_nan(),
        Flags { plus, ..flags },
    );
    let mut zeros = String::new();
    if flags.zero && value.is_finite() {
        let missing = flags.width.unwrap_or(0);
        zeros = "0".repeat(missing.saturating_sub(sign.len() + digits.len()));
    }
    let point = if flags.sharp && !digits.contains(['.', 'e', 'E']) {
        "."
    } else {
        ""
    };
    let text = format!("{sign}{zeros}{digits}{point}");
    Some(
        Flags {
            zero: false,
            ..flags
        }
        .pad(text.as_bytes()),
    )
}

/// Rust's `1.5e-7` as Go's `1.5e-07`.
fn exponential(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// The shorter of both: exponents below -4, and from the precision on, are written.
fn general(size: f64, precision: Option<usize>) -> String {
    let (text, wanted) = match precision {
        Some(digits) => {
            let digits = digits.max(1);
            (format!("{size:.*e}", digits - 1), Some(digits))
        }
        None => (format!("{size:e}"), None),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mut mantissa = mantissa;
    if mantissa.contains('.') {
        mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    }
    let digits = mantissa.len() - usize::from(mantissa.contains('.'));
    let most = wanted.map_or(6, |wanted| {
        let whole = usize::try_from(exponent + 1).unwrap_or(0);
        if wanted > digits && digits >= whole {
            digits
        } else {
            wanted
        }
    });
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= most {
        return exponential(&format!("{mantissa}e{exponent}"));
    }
    let places = i32::try_from(digits).unwrap_or(0) - 1 - exponent;
    let places = usize::try_from(places).unwrap_or(0);
    let rounded: f64 = format!("{mantissa}e{exponent}").parse().unwrap_or(size);
    format!("{rounded:.places$}")
}
