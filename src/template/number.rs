//! Go's numbers: how it reads them, prints them, and turns one kind into the other.

/// A float as an integer. What does not fit is the smallest integer, as on LXD's machines.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "what does not fit is asked for before"
)]
pub(super) fn integer(float: f64) -> i64 {
    let fits = float >= i64::MIN as f64 && float < i64::MAX as f64;
    if fits { float as i64 } else { i64::MIN }
}

/// An integer as a float.
#[expect(clippy::cast_precision_loss, reason = "Go rounds, too")]
pub(super) fn float(integer: i64) -> f64 {
    integer as f64
}

/// What Go reads as a number: decimal, hexadecimal with an exponent, `inf`, `nan`, and underscores
/// between digits.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let unsigned = text.trim_start_matches(['+', '-']);
    if text.len() - unsigned.len() > 1 {
        return None;
    }
    let named = unsigned.to_ascii_lowercase();
    if matches!(named.as_str(), "inf" | "infinity" | "nan") {
        return text.parse().ok();
    }
    if !named.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let value = match named.strip_prefix("0x") {
        Some(digits) => hexadecimal(digits)?,
        None => plain(&named)?.parse::<f64>().ok()?,
    };
    let value = if text.starts_with('-') { -value } else { value };
    value.is_finite().then_some(value)
}

/// Without underscores, which may only stand between digits.
fn plain(text: &str) -> Option<String> {
    let parts: Vec<_> = text.split('_').collect();
    let digit = |character: Option<char>| character.is_some_and(|found| found.is_ascii_digit());
    let between = |pair: &[&str]| match pair {
        [one, two] => digit(one.chars().last()) && digit(two.chars().next()),
        _ => false,
    };
    parts.windows(2).all(between).then(|| parts.concat())
}

fn hexadecimal(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().ok()?;
    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    (!mantissa.is_empty()).then(|| value * 2f64.powi(exponent.saturating_sub(shift)))
}

/// A float as a template prints it: six digits behind the point.
pub(super) fn print(float: f64) -> String {
    fixed(float, 6)
}

/// A float with so many digits behind the point.
pub(super) fn fixed(float: f64, digits: usize) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    format!("{float:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("1.5", Some(1.5)),
            ("+5", Some(5.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("-Inf", Some(f64::NEG_INFINITY)),
            ("0x1p4", Some(16.0)),
            ("1_000.5", Some(1000.5)),
            ("1__0", None),
            ("1_", None),
            ("1e999", None),
            ("", None),
            (" 1", None),
            ("0x1F", None),
            ("--1", None),
            ("12x", None),
        ] {
            assert_eq!(parse(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn what_fits_no_integer_is_the_smallest() {
        assert_eq!(integer(3.99), 3);
        assert_eq!(integer(1e20), i64::MIN);
        assert_eq!(integer(f64::NAN), i64::MIN);
        assert_eq!(integer(-9_223_372_036_854_775_808.0), i64::MIN);
    }
}
