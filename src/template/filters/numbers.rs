//! Filters about numbers.
#![expect(clippy::unnecessary_wraps, reason = "filters may fail")]

use crate::template::{
    failure::Failure,
    limits::PADDING_MAX,
    number,
    value::{Datum, Value},
};

use super::Input;

pub(super) fn add(input: &Input<'_>) -> Result<Value, Failure> {
    let (one, two) = (input.value, input.argument);
    if !one.is_number() || !two.is_number() {
        let mut text = one.text();
        text.extend(two.text());
        return Ok(text.into());
    }
    if one.is_float() || two.is_float() {
        return Ok((one.float() + two.float()).into());
    }
    Ok(one.integer().wrapping_add(two.integer()).into())
}

pub(super) fn divisible_by(input: &Input<'_>) -> Result<Value, Failure> {
    let divisor = input.argument.integer();
    let divides = divisor != 0 && input.value.integer().wrapping_rem(divisor) == 0;
    Ok(divides.into())
}

pub(super) fn float(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(input.value.float().into())
}

pub(super) fn integer(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(input.value.integer().into())
}

/// Without an argument, or with one that is no positive number, whole numbers have no point.
pub(super) fn float_format(input: &Input<'_>) -> Result<Value, Failure> {
    let value = input.value.float();
    let mut digits = -1;
    if !input.argument.is_nil() {
        digits = input.argument.integer();
    }
    let trims = !input.argument.is_number() || digits <= 0;
    if trims
        && number::float(number::integer(value))
            .total_cmp(&value)
            .is_eq()
    {
        return Ok(input.value.integer().into());
    }
    let digits = usize::try_from(digits.unsigned_abs()).unwrap_or(usize::MAX);
    if digits > PADDING_MAX {
        let message = format!("more than {PADDING_MAX} digits");
        return Err(Failure::filter("floatformat", message));
    }
    Ok(number::fixed(value, digits).as_str().into())
}

/// The digit so many from the right; of what is no digit, its distance from `0`.
pub(super) fn get_digit(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let from_right = usize::try_from(input.argument.integer()).unwrap_or(0);
    let at = text.len().checked_sub(from_right);
    let byte = at.filter(|_| from_right > 0).and_then(|at| text.get(at));
    Ok(match byte {
        Some(byte) => Datum::Int(i64::from(byte.wrapping_sub(b'0'))).into(),
        None => input.value.clone(),
    })
}
