//! Filters about HTML.
#![expect(clippy::unnecessary_wraps, reason = "filters may fail")]

use std::sync::LazyLock;

use regex::bytes::{NoExpand, Regex, RegexBuilder};

use crate::template::{failure::Failure, limits::Budget, text, value::Value};

use super::Input;

/// How large the compiled expression of `removetags` may be.
const EXPRESSION_BYTES_MAX: usize = 64 << 10;

/// How many open tags are worth a step when one of them is looked for.
const TAGS_A_STEP: usize = 64;

static TAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("(?-u)<[^>]*?>").expect("the expression is a constant, and a test compiles it")
});

pub(super) fn escape(input: &Input<'_>) -> Result<Value, Failure> {
    Ok(text::escape(&input.text()).into())
}

/// Everything but letters, spaces and slashes as `\u0000`; so do `\r` and `\n` written out.
pub(super) fn escape_js(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let mut escaped = String::new();
    let mut rest = text.as_slice();
    while let Some((rune, length)) = text::decode(rest) {
        let (written, length) = match (rune, rest.get(1)) {
            ('\\', Some(b'r')) => ("\\u000D".to_owned(), 2),
            ('\\', Some(b'n')) => ("\\u000A".to_owned(), 2),
            (char::REPLACEMENT_CHARACTER, _) => (String::new(), length),
            ('a'..='z' | 'A'..='Z' | ' ' | '/', _) => (rune.to_string(), length),
            _ => (format!("\\u{:04X}", u32::from(rune)), length),
        };
        escaped.push_str(&written);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(escaped.as_str().into())
}

/// A line's end becomes `<br />`, an empty line ends a paragraph.
pub(super) fn line_breaks(input: &Input<'_>) -> Result<Value, Failure> {
    if input.value.length() == 0 {
        return Ok(input.value.clone());
    }
    let text = input.text();
    let lines = text::split(&text, b"\n");
    input.budget.pay_for_items(lines.len())?;
    let mut broken: Vec<u8> = Vec::new();
    let mut opened = false;
    for (at, line) in lines.iter().enumerate() {
        if !opened {
            broken.extend(b"<p>");
            opened = true;
        }
        broken.extend(*line);
        let Some(next) = lines.get(at + 1).filter(|_| !text::trim(line).is_empty()) else {
            continue;
        };
        if text::trim(next).is_empty() {
            broken.extend(b"</p>");
            opened = false;
        } else {
            broken.extend(b"<br />");
        }
    }
    if opened {
        broken.extend(b"</p>");
    }
    Ok(broken.into())
}

pub(super) fn line_breaks_br(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let breaks = memchr::memchr_iter(b'\n', &text).count();
    input.budget.pay_for_text(text.len() + breaks * 6)?;
    Ok(text::replace(&text, b"\n", b"<br />").into())
}

pub(super) fn strip_tags(input: &Input<'_>) -> Result<Value, Failure> {
    let stripped = TAG.replace_all(&input.text(), NoExpand(b"")).into_owned();
    Ok(text::trim(&stripped).into())
}

/// Removes the tags of these names. A name is part of an expression, as in pongo2.
pub(super) fn remove_tags(input: &Input<'_>) -> Result<Value, Failure> {
    let mut text = input.text();
    let argument = input.argument_text();
    let names = text::split(&argument, b",");
    input.budget.spend(names.len().saturating_mul(500))?;
    for name in names {
        input.budget.pay_for_text(text.len())?;
        let name = String::from_utf8_lossy(name);
        let tag = RegexBuilder::new(&format!("</?{name}/?>"))
            .unicode(false)
            .size_limit(EXPRESSION_BYTES_MAX)
            .dfa_size_limit(EXPRESSION_BYTES_MAX)
            .nest_limit(10)
            .build();
        let tag = tag.map_err(|_invalid| {
            let message = format!("'{name}' is no name of a tag");
            Failure::filter("removetags", message)
        })?;
        text = without(&tag, &text, input.budget)?;
    }
    Ok(text::trim(&text).into())
}

/// Text without what matches. Whether a match is the longest may be known at the end of the text
/// only, so each one costs what is left of it.
fn without(tag: &Regex, text: &[u8], budget: &Budget) -> Result<Vec<u8>, Failure> {
    let mut kept = Vec::new();
    let mut rest = 0;
    for found in tag.find_iter(text) {
        budget.spend(1)?;
        budget.pay_for_text(text.len() - found.end())?;
        kept.extend(text.get(rest..found.start()).unwrap_or_default());
        rest = found.end();
    }
    kept.extend(text.get(rest..).unwrap_or_default());
    Ok(kept)
}

/// Characters are counted, tags are not, and those left open are closed.
pub(super) fn truncate_chars(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let longest = input.argument.integer().saturating_sub(3).max(0);
    let longest = usize::try_from(longest).unwrap_or(usize::MAX);
    let mut output = Truncated::new(&text, input.budget);
    let mut count = 0;
    while count < longest {
        match output.next()? {
            Some(Next::Tag) => {}
            Some(Next::Rune(rune)) => {
                count += 1;
                output.push(rune);
            }
            None => break,
        }
    }
    if count >= longest && count < text.len() {
        output.written.push_str("...");
    }
    Ok(output.finish())
}

/// Words are counted, tags are not, and those left open are closed.
pub(super) fn truncate_words(input: &Input<'_>) -> Result<Value, Failure> {
    let text = input.text();
    let longest = usize::try_from(input.argument.integer()).unwrap_or(0);
    let mut output = Truncated::new(&text, input.budget);
    let mut count = 0;
    while count < longest {
        match output.next()? {
            Some(Next::Tag) => {}
            Some(Next::Rune(rune)) => count += usize::from(output.word(rune)),
            None => break,
        }
    }
    if count >= longest {
        output.written.push_str("...");
    }
    Ok(output.finish())
}

/// HTML on its way to a shorter one.
struct Truncated<'a> {
    budget: &'a Budget,
    rest: &'a [u8],
    written: String,
    open: Vec<String>,
    /// Whether the last tag had an end.
    closed: bool,
}

enum Next {
    Tag,
    Rune(char),
}

impl<'a> Truncated<'a> {
    fn new(text: &'a [u8], budget: &'a Budget) -> Self {
        Self {
            budget,
            rest: text,
            written: String::new(),
            open: Vec::new(),
            closed: false,
        }
    }

    /// A tag, which is written at once, or a character, which is not. What is no UTF-8 is left
    /// out.
    fn next(&mut self) -> Result<Option<Next>, Failure> {
        while let Some(rune) = self.take() {
            match rune {
                char::REPLACEMENT_CHARACTER => {}
                '<' => {
                    self.tag()?;
                    return Ok(Some(Next::Tag));
                }
                _ => return Ok(Some(Next::Rune(rune))),
            }
        }
        Ok(None)
    }

    fn take(&mut self) -> Option<char> {
        let (rune, length) = text::decode(self.rest)?;
        self.rest = self.rest.get(length..).unwrap_or_default();
        Some(rune)
    }

    fn push(&mut self, rune: char) {
        self.written.push(rune);
    }

    /// The rest of a word and what ends it; says whether there was a word. pongo2 does not count
    /// one that a tag ends.
    fn word(&mut self, first: char) -> bool {
        let mut found = false;
        let mut next = Some(first);
        while let Some(rune) = next {
            if rune != char::REPLACEMENT_CHARACTER {
                self.push(rune);
                if matches!(rune, ' ' | '.' | ',' | ';') {
                    return found;
                }
                found = true;
            }
            if self.rest.starts_with(b"<") {
                return false;
            }
            next = self.take();
        }
        found
    }

    /// A tag behind its `<`. One byte alone behind it is none.
    fn tag(&mut self) -> Result<(), Failure> {
        self.push('<');
        if self.rest.len() < 2 {
            return Ok(());
        }
        if self.rest.starts_with(b"/") {
            self.take();
            let name = self.until_bracket();
            self.budget.spend(1 + self.open.len() / TAGS_A_STEP)?;
            if let Some(at) = self.open.iter().rposition(|open| *open == name) {
                self.open.swap_remove(at);
            }
            self.written.push('/');
            self.written.push_str(&name);
            self.push('>');
        } else {
            let whole = self.until_bracket();
            let name = whole.split(' ').next().unwrap_or_default();
            self.open.push(name.to_owned());
            self.written.push_str(&whole);
            if self.closed {
                self.push('>');
            }
        }
        Ok(())
    }

    fn until_bracket(&mut self) -> String {
        let mut inside = String::new();
        self.closed = false;
        while let Some(rune) = self.take() {
            match rune {
                char::REPLACEMENT_CHARACTER => {}
                '>' => {
                    self.closed = true;
                    break;
                }
                _ => inside.push(rune),
            }
        }
        inside
    }

    fn finish(mut self) -> Value {
        for tag in self.open.iter().rev() {
            self.written.push_str("</");
            self.written.push_str(tag);
            self.written.push('>');
        }
        Value::from(self.written.as_str()).escaped()
    }
}
