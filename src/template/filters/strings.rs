//! Filters about plain text.
#![expect(clippy::unnecessary_wraps, reason = "filters may fail")]

use crate::template::{failure::Failure, limits::PADDING_MAX, text, value::Value};

use super::{Input, out_of_range};

pub(super) fn upper(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(text::upper(&input.text()).into())
}

pub(super) fn lower(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(text::lower(&input.text()).into())
}

/// Of anything but a string, nothing.
pub(super) fn title(input: &Input<'_>) -> Result<Value, Failure> {
    if !input.value.is_text() {
        return Ok("".into());
    }
    Ok(text::title(&input.text()).into())
}

pub(super) fn capitalize_first(input: &Input<'_>) -> Result<Value, Failure> {
    if input.value.length() == 0 {
        return Ok("".into());
    }
    let text = input.text();
    let Some((rune, length)) = text::decode(&text) else {
        return Ok("".into());
    };
    let mut capitalized = text::upper_rune(rune).to_string().into_bytes();
    capitalized.extend(text.get(length..).unwrap_or_default());
    Ok(capitalized.into())
}

pub(super) fn add_slashes(input: &Input<'_>) -> Result<Value, Failure> {
    let mut slashed = Vec::new();
    for byte in input.text() {
        if matches!(byte, b'\\' | b'"' | b'\'') {
            slashed.push(b'\\');
        }
        slashed.push(byte);
    }
    Ok(slashed.into())
}

pub(super) fn cut(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(text::replace(&input.text(), &input.argument_text(), b"").into())
}

/// There is no date in what a template knows.
pub(super) fn date(_: &Input<'_>) -> Result<Value, Failure> {
    let message = "filter input argument must be of type 'time.Time'";
    Err(Failure::filter("date", message))
}

/// Of an odd number of spaces there is one more on the left.
pub(super) fn center(input: &Input<'_>) -> Result<Value, Failure> {
    let spaces = missing(input, "center")?;
    if spaces == 0 {
        return Ok(input.value.clone());
    }
    let mut centered = vec![b' '; spaces / 2 + spaces % 2];
    centered.extend(input.text());
    centered.extend(vec![b' '; spaces / 2]);
    Ok(centered.into())
}

pub(super) fn left_justify(input: &Input<'_>) -> Result<Value, Failure> {
    let mut justified = input.text();
    justified.extend(vec![b' '; missing(input, "ljust")?]);
    Ok(justified.into())
}

/// With a negative width it is the left side that is filled up to.
pub(super) fn right_justify(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let width = padding(input.argument.integer().unsigned_abs(), "rjust")?;
    let spaces = vec![b' '; width.saturating_sub(text::count(&text))];
    let parts = if input.argument.integer() < 0 {
        [text, spaces]
    } else {
        [spaces, text]
    };
    Ok(parts.concat().into())
}

/// How many characters are missing to the width that the argument asks for.
fn missing(input: &Input<'_>, filter: &str) -> Result<usize, Failure> {
    let width = u64::try_from(input.argument.integer()).unwrap_or(0);
    Ok(padding(width, filter)?.saturating_sub(input.value.length()))
}

fn padding(width: u64, filter: &str) -> Result<usize, Failure> {
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    if width > PADDING_MAX {
        let message = format!("wider than {PADDING_MAX}");
        return Err(Failure::filter(filter, message));
    }
    Ok(width)
}

pub(super) fn line_numbers(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let lines = text::split(&text, b"\n");
    input.budget.pay_for_items(lines.len())?;
    let numbered = lines.iter().enumerate().map(|(at, line)| {
        let number = format!("{}. ", at + 1);
        [number.as_bytes(), line].concat()
    });
    Ok(numbered.collect::<Vec<_>>().join(&b'\n').into())
}

pub(super) fn phone_to_numeric(input: &Input<'_>) -> Result<Value, Failure> {
    let numeric = input
        .text()
        .into_iter()
        .map(|byte| match byte.to_ascii_lowercase() {
            b'a'..=b'c' => b'2',
            b'd'..=b'f' => b'3',
            b'g'..=b'i' => b'4',
            b'j'..=b'l' => b'5',
            b'm'..=b'o' => b'6',
            b'p'..=b's' => b'7',
            b't'..=b'v' => b'8',
            b'w'..=b'z' => b'9',
            _ => byte,
        });
    Ok(numeric.collect::<Vec<_>>().into())
}

pub(super) fn pluralize(input: &Input<'_>) -> Result<Value, Failure> {
    if !input.value.is_number() {
        let message = "filter 'pluralize' does only work on numbers";
        return Err(Failure::filter("pluralize", message));
    }
    let argument = input.argument_text();
    let endings = if input.argument.length() > 0 {
        text::split(&argument, b",")
    } else {
        vec![b"s".as_slice()]
    };
    let (one, many): (&[u8], &[u8]) = match endings.as_slice() {
        [many] => (b"", many),
        [one, many] => (one, many),
        _ => {
            let message = "you cannot pass more than 2 arguments to filter 'pluralize'";
            return Err(Failure::filter("pluralize", message));
        }
    };
    let chosen = if input.value.integer() == 1 {
        one
    } else {
        many
    };
    Ok(chosen.into())
}

/// The last three characters of what stays are dots, if it has so many.
pub(super) fn truncate_chars(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let length = text::count(&text);
    let Ok(kept) = usize::try_from(input.argument.integer()) else {
        return Err(out_of_range());
    };
    let beginning = |kept| text::runes(&text).take(kept).collect::<String>();
    let mut truncated = beginning(kept);
    if kept < length && kept >= 3 {
        truncated = beginning(kept - 3);
        truncated.push_str("...");
    }
    Ok(truncated.as_str().into())
}

pub(super) fn truncate_words(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let count = usize::try_from(input.argument.integer()).unwrap_or(0);
    if count == 0 {
        return Ok("".into());
    }
    let mut words = text::words(&text);
    if count < words.len() {
        words.truncate(count);
        words.push(b"...");
    }
    Ok(words.join(&b' ').into())
}

pub(super) fn word_count(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(Value::size(text::words(&input.text()).len()))
}

/// So many words on a line. pongo2 counts the lines wrongly: where it runs out of words for them
/// it gives up.
pub(super) fn word_wrap(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let Some(width) = usize::try_from(input.argument.integer())
        .ok()
        .filter(|width| *width > 0)
    else {
        return Ok(input.value.clone());
    };
    let words = text::words(&text);
    let lines = words.len() / width + words.len() % width;
    let mut wrapped: Vec<Vec<u8>> = Vec::new();
    for line in 0..lines {
        let start = line.saturating_mul(width);
        let end = start.saturating_add(width).min(words.len());
        let words = words.get(start..end).ok_or_else(out_of_range)?;
        wrapped.push(words.join(&b' '));
    }
    Ok(wrapped.join(&b'\n').into())
}
