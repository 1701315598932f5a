//! Why a template is refused or fails, in pongo2's words.

use std::fmt;

use super::lexer::Token;

/// How much of a token an error repeats.
const NEAR_CHARACTERS: usize = 200;

/// An error with its place: `[Error (where: parser) in <string> | Line 1 Col 24 near 'x'] text`.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    sender: String,
    in_template: bool,
    place: Option<Place>,
    message: String,
    fatal: bool,
}

#[derive(Debug, Clone)]
struct Place {
    line: u32,
    column: u32,
    near: Option<String>,
}

impl Failure {
    /// The text cannot be cut into tokens.
    pub(super) fn lexer(line: u32, column: u32, message: impl Into<String>) -> Self {
        let place = Place {
            line,
            column,
            near: None,
        };
        Self::new("lexer", true, message).at(Some(place))
    }

    /// The tokens make no template.
    pub(super) fn parser(token: Option<&Token>, message: impl Into<String>) -> Self {
        Self::new("parser", true, message).at(token.map(Place::of))
    }

    /// The template fails while it is rendered.
    pub(super) fn execution(token: Option<&Token>, message: impl Into<String>) -> Self {
        Self::new("execution", true, message).at(token.map(Place::of))
    }

    /// A filter refuses its input; whoever called it adds the place.
    pub(super) fn filter(name: &str, message: impl Into<String>) -> Self {
        Self::new(&format!("filter:{name}"), false, message)
    }

    /// A filter block names a filter that there is not.
    pub(super) fn no_filter(name: &str) -> Self {
        let message = format!("Filter with name '{name}' not found.");
        Self::new("applyfilter", false, message)
    }

    /// The template costs more than it may, or does what makes Go, and LXD with it, panic: not
    /// even a macro survives that.
    pub(super) fn fatal(message: impl Into<String>) -> Self {
        let mut failure = Self::new("execution", true, message);
        failure.fatal = true;
        failure
    }

    /// Whether nothing may go on after it.
    pub(super) fn is_fatal(&self) -> bool {
        self.fatal
    }

    /// The same failure, placed at this token unless it has a place.
    pub(super) fn or_at(mut self, token: &Token) -> Self {
        self.place.get_or_insert_with(|| Place::of(token));
        self
    }

    /// The failure of a place that repeats this one, as pongo2 does for calls.
    pub(super) fn inside(self, token: &Token) -> Self {
        if self.fatal {
            return self;
        }
        Self::execution(Some(token), self.to_string())
    }

    fn new(sender: &str, in_template: bool, message: impl Into<String>) -> Self {
        Self {
            sender: sender.to_owned(),
            in_template,
            place: None,
            message: message.into(),
            fatal: false,
        }
    }

    fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }
}

impl Place {
    fn of(token: &Token) -> Self {
        let text = String::from_utf8_lossy(&token.text);
        let mut near: String = text.chars().take(NEAR_CHARACTERS).collect();
        if near.len() < text.len() {
            near.push_str("...");
        }
        Self {
            line: token.line,
            column: token.column,
            near: Some(near),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[Error (where: {})", self.sender)?;
        if self.in_template {
            f.write_str(" in <string>")?;
        }
        if let Some(place) = &self.place {
            write!(f, " | Line {} Col {}", place.line, place.column)?;
            if let Some(near) = &place.near {
                write!(f, " near '{near}'")?;
            }
        }
        write!(f, "] {}", self.message)
    }
}
