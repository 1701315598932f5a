//! `{% spaceless %}`: white space between tags goes away.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::{failure::Failure, limits::Budget};

static SPACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)(?U:(<.*>))([\t\n\v\f\r ]+)(?U:(<.*>))")
        .expect("the expression is a constant, and a test compiles it")
});

/// The text without white space between tags.
pub(super) fn between_tags(text: &[u8], budget: &Budget) -> Result<Vec<u8>, Failure> {
    let mut text = text.to_vec();
    loop {
        // A search is dearer than a copy, and lines full of `<` make it dearer still.
        budget.pay_for_text(text.len())?;
        budget.spend(longest_line(&text) / 16)?;
        let shorter = SPACE.replace_all(&text, b"$1$3".as_slice()).into_owned();
        if shorter == text {
            return Ok(text);
        }
        text = shorter;
    }
}

fn longest_line(text: &[u8]) -> usize {
    let lines = text.split(|byte| *byte == b'\n');
    lines.map(<[u8]>::len).max().unwrap_or(0)
}
