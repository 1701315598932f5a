//! The filters: pongo2's built-in ones, and no other.

mod html;
mod lists;
mod numbers;
mod printf;
mod strings;
mod urls;

use super::{failure::Failure, limits::Budget, text, value::Value};

/// A filter that there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter(&'static Entry);

#[derive(Debug)]
struct Entry {
    name: &'static str,
    apply: Apply,
}

/// What a filter does with its input and its argument.
type Apply = fn(&Input<'_>) -> Result<Value, Failure>;

/// What a filter is given.
struct Input<'a> {
    value: &'a Value,
    argument: &'a Value,
    budget: &'a Budget,
}

const fn entry(name: &'static str, apply: Apply) -> Entry {
    Entry { name, apply }
}

const FILTERS: &[Entry] = &[
    entry("add", numbers::add),
    entry("addslashes", strings::add_slashes),
    entry("capfirst", strings::capitalize_first),
    entry("center", strings::center),
    entry("cut", strings::cut),
    entry("date", strings::date),
    entry("default", default),
    entry("default_if_none", default_if_none),
    entry("divisibleby", numbers::divisible_by),
    entry("escape", html::escape),
    entry("escapejs", html::escape_js),
    entry("first", lists::first),
    entry("float", numbers::float),
    entry("floatformat", numbers::float_format),
    entry("get_digit", numbers::get_digit),
    entry("integer", numbers::integer),
    entry("iriencode", urls::iri_encode),
    entry("join", lists::join),
    entry("last", lists::last),
    entry("length", lists::length),
    entry("length_is", lists::length_is),
    entry("linebreaks", html::line_breaks),
    entry("linebreaksbr", html::line_breaks_br),
    entry("linenumbers", strings::line_numbers),
    entry("ljust", strings::left_justify),
    entry("lower", strings::lower),
    entry("make_list", lists::make_list),
    entry("phone2numeric", strings::phone_to_numeric),
    entry("pluralize", strings::pluralize),
    entry("random", lists::random),
    entry("removetags", html::remove_tags),
    entry("rjust", strings::right_justify),
    entry("safe", |input| Ok(input.value.clone())),
    entry("slice", lists::slice),
    entry("split", lists::split),
    entry("stringformat", printf::string_format),
    entry("striptags", html::strip_tags),
    entry("time", strings::date),
    entry("title", strings::title),
    entry("truncatechars", strings::truncate_chars),
    entry("truncatechars_html", html::truncate_chars),
    entry("truncatewords", strings::truncate_words),
    entry("truncatewords_html", html::truncate_words),
    entry("upper", strings::upper),
    entry("urlencode", urls::encode),
    entry("urlize", urls::urlize),
    entry("urlizetrunc", urls::urlize_truncated),
    entry("wordcount", strings::word_count),
    entry("wordwrap", strings::word_wrap),
    entry("yesno", yes_no),
];

impl Filter {
    /// The filter of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        FILTERS.iter().find(|entry| entry.name == name).map(Self)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        self.0.name
    }

    /// Applies it. What it reads and what it makes is paid for.
    pub(super) fn apply(
        self,
        value: &Value,
        argument: &Value,
        budget: &Budget,
    ) -> Result<Value, Failure> {
        budget.pay_for(value)?;
        budget.pay_for(argument)?;
        let input = Input {
            value,
            argument,
            budget,
        };
        let made = (self.0.apply)(&input)?;
        budget.pay_for(&made)?;
        Ok(made)
    }
}

impl Input<'_> {
    fn text(&self) -> Vec<u8> {
        self.value.text()
    }

    fn argument_text(&self) -> Vec<u8> {
        self.argument.text()
    }
}

/// Go's panic, with which LXD fails.
fn out_of_range() -> Failure {
    Failure::fatal("runtime error: slice bounds out of range")
}

#[expect(clippy::unnecessary_wraps, reason = "filters may fail")]
fn default(input: &Input<'_>) -> Result<Value, Failure> {
    let value = if input.value.truth() {
        input.value
    } else {
        input.argument
    };
    Ok(value.clone())
}

#[expect(clippy::unnecessary_wraps, reason = "filters may fail")]
fn default_if_none(input: &Input<'_>) -> Result<Value, Failure> {
    let value = if input.value.is_nil() {
        input.argument
    } else {
        input.value
    };
    Ok(value.clone())
}

fn yes_no(input: &Input<'_>) -> Result<Value, Failure> {
    let argument = input.argument_text();
    let given = text::split(&argument, b",");
    let refused = |why: &str| {
        let argument = String::from_utf8_lossy(&argument);
        let message = format!("{why} to the 'yesno'-filter (got: '{argument}').");
        Failure::filter("yesno", message)
    };
    let (yes, no, maybe): (&[u8], &[u8], &[u8]) = match given.as_slice() {
        [b""] => (b"yes", b"no", b"maybe"),
        [_] => return Err(refused("You must pass either no or at least 2 arguments")),
        [yes, no] => (yes, no, b"maybe"),
        [yes, no, maybe] => (yes, no, maybe),
        _ => return Err(refused("You cannot pass more than 3 options")),
    };
    let chosen = match input.value {
        value if value.is_nil() => maybe,
        value if value.truth() => yes,
        _ => no,
    };
    Ok(chosen.into())
}
