//! Cuts a template into tokens, as pongo2 does it: byte by byte, columns counted in bytes.

use std::sync::Arc;

use super::failure::Failure;

/// A piece of a template, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// Its text; of a string what stands between the quotes, of a symbol without its dash.
    pub(super) text: Vec<u8>,
    /// The line it begins in, from 1.
    pub(super) line: u32,
    /// The byte of that line, from 1.
    pub(super) column: u32,
    /// Whether white space on the outer side of this delimiter goes away.
    pub(super) trims: bool,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text outside of tags.
    Text,
    /// A reserved word.
    Keyword,
    /// A name.
    Identifier,
    /// A quoted string.
    String,
    /// Digits.
    Number,
    /// Punctuation, delimiters of tags included.
    Symbol,
}

/// The longest list of tokens; a template of a file has a few hundred.
const TOKENS_MAX: usize = 50_000;

/// In the order in which they are tried: long ones first.
const SYMBOLS: &[&[u8]] = &[
    b"{{-", b"-}}", b"{%-", b"-%}", // delimiters that trim
    b"==", b">=", b"<=", b"&&", b"||", b"{{", b"}}", b"{%", b"%}", b"!=", b"<>", //
    b"(", b")", b"+", b"-", b"*", b"<", b">", b"/", b"^", b",", b".", b"!", b"|", b":", b"=", b"%",
];

const KEYWORDS: &[&[u8]] = &[
    b"in", b"and", b"or", b"not", b"true", b"false", b"as", b"export",
];

const VERBATIM: &[u8] = b"{% verbatim %}";
const END_VERBATIM: &[u8] = b"{% endverbatim %}";

/// pongo2 writes "no more" as this character, so this character ends a template.
const END: u8 = 1;

/// Cuts `input` into tokens.
pub(super) fn lex(input: &[u8]) -> Result<Vec<Arc<Token>>, Failure> {
    let here = Position {
        at: 0,
        line: 1,
        column: 1,
    };
    let mut lexer = Lexer {
        input,
        start: here,
        now: here,
        tokens: Vec::new(),
    };
    lexer.document()?;
    Ok(lexer.tokens)
}

#[derive(Debug, Clone, Copy)]
struct Position {
    at: usize,
    line: u32,
    column: u32,
}

struct Lexer<'a> {
    input: &'a [u8],
    start: Position,
    now: Position,
    tokens: Vec<Arc<Token>>,
}

impl Lexer<'_> {
    fn document(&mut self) -> Result<(), Failure> {
        loop {
            if self.sees(VERBATIM) {
                self.verbatim()?;
            } else if self.sees(b"{#") {
                self.comment()?;
            } else if self.sees(b"{{") || self.sees(b"{%") {
                self.text()?;
                self.code()?;
            } else if self.pass_text() {
                return self.text();
            }
        }
    }

    /// Goes past one byte of text; says whether it was the last.
    fn pass_text(&mut self) -> bool {
        let byte = self.peek();
        if byte == Some(b'\n') {
            self.now.line += 1;
            self.now.column = 0;
        }
        if byte.is_some() {
            self.skip(1);
        }
        matches!(byte, None | Some(END))
    }

    fn verbatim(&mut self) -> Result<(), Failure> {
        self.text()?;
        self.skip(VERBATIM.len());
        self.ignore();
        while !self.sees(END_VERBATIM) {
            if self.pass_text() {
                self.text()?;
                return Err(self.failure("verbatim-tag not closed, got EOF."));
            }
        }
        self.text()?;
        self.skip(END_VERBATIM.len());
        self.ignore();
        Ok(())
    }

    fn comment(&mut self) -> Result<(), Failure> {
        self.text()?;
        self.skip(2);
        while !self.sees(b"#}") {
            match self.peek() {
                None | Some(END) => return Err(self.failure("Single-line comment not closed.")),
                Some(b'\n') => {
                    return Err(self.failure("Newline not permitted in a single-line comment."));
                }
                Some(_) => self.skip(1),
            }
        }
        self.skip(2);
        self.ignore();
        Ok(())
    }

    /// What stands between delimiters. What is no token ends it silently: the rest is text again,
    /// and the parser misses its closing delimiter.
    fn code(&mut self) -> Result<(), Failure> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => return Err(self.failure("Newline not allowed within tag/variable.")),
                b' ' | b'\r' | b'\t' => {
                    self.skip(1);
                    self.ignore();
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word()?,
                b'0'..=b'9' => self.number()?,
                b'"' | b'\'' => self.string(byte)?,
                _ => match self.symbol()? {
                    Some(b"}}" | b"%}" | b"-}}" | b"-%}") | None => return Ok(()),
                    Some(_) => {}
                },
            }
        }
        Ok(())
    }

    fn symbol(&mut self) -> Result<Option<&'static [u8]>, Failure> {
        let found = SYMBOLS.iter().find(|symbol| self.sees(symbol)).copied();
        if let Some(symbol) = found {
            self.skip(symbol.len());
            self.emit(Kind::Symbol)?;
        }
        Ok(found)
    }

    fn word(&mut self) -> Result<(), Failure> {
        self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let kind = if KEYWORDS.contains(&self.value()) {
            Kind::Keyword
        } else {
            Kind::Identifier
        };
        self.emit(kind)
    }

    /// Digits; with a letter behind them they are a name.
    fn number(&mut self) -> Result<(), Failure> {
        self.skip_while(|byte| byte.is_ascii_digit());
        match self.peek() {
            Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => self.word(),
            _ => self.emit(Kind::Number),
        }
    }

    fn string(&mut self, quote: u8) -> Result<(), Failure> {
        self.skip(1);
        let place = self.start;
        self.ignore();
        self.start.line = place.line;
        self.start.column = place.column;
        loop {
            match self.peek() {
                Some(byte) if byte == quote => break,
                None | Some(END) => return Err(self.failure("Unexpected EOF, string not closed.")),
                Some(b'\n') => return Err(self.failure("Newline in string is not allowed.")),
                Some(b'\\') => self.escape()?,
                Some(_) => self.skip(1),
            }
        }
        self.emit(Kind::String)?;
        self.skip(1);
        self.ignore();
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Failure> {
        self.skip(1);
        if matches!(self.peek(), Some(b'"' | b'\\')) {
            self.skip(1);
            return Ok(());
        }
        let rest = String::from_utf8_lossy(self.rest().get(..4).unwrap_or(self.rest()));
        let unknown = rest.chars().next().unwrap_or(char::from(END));
        Err(self.failure(format!("Unknown escape sequence: \\{unknown}")))
    }

    fn rest(&self) -> &[u8] {
        self.input.get(self.now.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn sees(&self, what: &[u8]) -> bool {
        self.rest().starts_with(what)
    }

    fn skip(&mut self, bytes: usize) {
        self.now.at += bytes;
        self.now.column += u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    fn skip_while(&mut self, accepts: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&accepts) {
            self.skip(1);
        }
    }

    fn ignore(&mut self) {
        self.start = self.now;
    }

    fn value(&self) -> &[u8] {
        self.input
            .get(self.start.at..self.now.at)
            .unwrap_or_default()
    }

    fn text(&mut self) -> Result<(), Failure> {
        if self.value().is_empty() {
            return Ok(());
        }
        self.emit(Kind::Text)
    }

    fn emit(&mut self, kind: Kind) -> Result<(), Failure> {
        if self.tokens.len() >= TOKENS_MAX {
            return Err(self.failure(format!("More than {TOKENS_MAX} tokens.")));
        }
        let mut text = self.value().to_vec();
        let trims = kind == Kind::Symbol && text.len() == 3;
        if trims {
            text.retain(|byte| *byte != b'-');
        }
        if kind == Kind::String {
            text = unescaped(&text);
        }
        self.tokens.push(Arc::new(Token {
            kind,
            text,
            line: self.start.line,
            column: self.start.column,
            trims,
        }));
        self.ignore();
        Ok(())
    }

    fn failure(&self, message: impl Into<String>) -> Failure {
        Failure::lexer(self.start.line, self.start.column, message)
    }
}

/// First every `\"` and then every `\\` loses its backslash.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let quotes = super::text::replace(text, b"\\\"", b"\"");
    super::text::replace(&quotes, b"\\\\", b"\\")
}
