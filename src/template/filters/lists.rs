//! Filters about lists, and about strings as lists of characters.
#![expect(clippy::unnecessary_wraps, reason = "filters may fail")]

use crate::template::{
    failure::Failure,
    text,
    value::{Datum, Value},
};

use super::{Input, out_of_range};

pub(super) fn first(input: &Input<'_>) -> Result<Value, Failure> {
    let first = match &input.value.datum {
        Datum::Text(text) => rune(text::runes(&text.bytes).next()),
        _ => input.value.items().first().cloned(),
    };
    Ok(first.unwrap_or_else(|| "".into()))
}

pub(super) fn last(input: &Input<'_>) -> Result<Value, Failure> {
    let last = match &input.value.datum {
        Datum::Text(text) => rune(text::runes(&text.bytes).last()),
        _ => input.value.items().last().cloned(),
    };
    Ok(last.unwrap_or_else(|| "".into()))
}

fn rune(rune: Option<char>) -> Option<Value> {
    rune.map(|rune| rune.to_string().as_str().into())
}

pub(super) fn join(input: &Input<'_>) -> Result<Value, Failure> {
    if !input.value.can_slice() {
        return Ok(input.value.clone());
    }
    let separator = input.argument_text();
    let mut joined = Vec::new();
    let count = input.value.length();
    input
        .budget
        .pay_for_text(separator.len().saturating_mul(count))?;
    for (at, item) in input.value.items().iter().enumerate() {
        if at > 0 {
            joined.extend(&separator);
        }
        joined.extend(item.text());
    }
    Ok(joined.into())
}

pub(super) fn length(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(Value::size(input.value.length()))
}

pub(super) fn length_is(input: &Input<'_>) -> Result<Value, Failure> {
    let wanted = usize::try_from(input.argument.integer());
    Ok(wanted
        .is_ok_and(|wanted| input.value.length() == wanted)
        .into())
}

pub(super) fn make_list(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    input.budget.pay_for_items(text::count(&text))?;
    Ok(Value::from(text).items().into())
}

pub(super) fn split(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let separator = input.argument_text();
    let parts = text::split(&text, &separator);
    input.budget.pay_for_items(parts.len())?;
    let items = parts.into_iter().map(Value::from);
    Ok(items.collect::<Vec<_>>().into())
}

/// Not at random: a template gives the same text each time.
pub(super) fn random(input: &Input<'_>) -> Result<Value, Failure> {
    let first = input.value.can_slice().then(|| first(input)).transpose()?;
    Ok(first
        .filter(|_| input.value.length() > 0)
        .unwrap_or_else(|| input.value.clone()))
}

/// `from:to`. What is no place is 0, and a `to` that is none is the end.
pub(super) fn slice(input: &Input<'_>) -> Result<Value, Failure> {
    let argument = input.argument_text();
    let parts = text::split(&argument, b":");
    let [from, to] = parts.as_slice() else {
        let message = "Slice string must have the format 'from:to' [from/to can be omitted, but \
                       the ':' is required]";
        return Err(Failure::filter("slice", message));
    };
    if !input.value.can_slice() {
        return Ok(input.value.clone());
    }
    let length = i64::try_from(input.value.length()).unwrap_or(i64::MAX);
    let from = Value::from(*from).integer().min(length);
    let to = Some(Value::from(*to).integer()).filter(|to| (from..=length).contains(to));
    let places = (usize::try_from(from), usize::try_from(to.unwrap_or(length)));
    let (Ok(from), Ok(to)) = places else {
        return Err(out_of_range());
    };
    Ok(part(input.value, from, to))
}

fn part(value: &Value, from: usize, to: usize) -> Value {
    if let Datum::Text(text) = &value.datum {
        let runes = text::runes(&text.bytes).skip(from).take(to - from);
        return runes.collect::<String>().as_str().into();
    }
    let items = value.items();
    items.get(from..to).unwrap_or_default().to_vec().into()
}
