//! The syntax of JSON, and what Go says when a body breaks it.
//!
//! One pass without recursion. It allocates one byte for each open bracket, and nothing else unless
//! there is an error to tell.

use std::borrow::Cow;

/// How deep arrays and objects may nest.
pub(super) const MAX_DEPTH: usize = 10_000;

/// Why some bytes are not a JSON value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SyntaxError {
    /// There is nothing but white space.
    Empty,
    /// The value does not end.
    Cut,
    /// A byte that cannot stand where it stands; the whole text for the client.
    Invalid(String),
}

/// Checks the first JSON value in `text` and returns where it ends, in bytes.
///
/// What follows the value is not looked at.
pub(super) fn check_first_value(text: &[u8]) -> Result<usize, SyntaxError> {
    Scanner {
        text,
        at: 0,
        open: Vec::new(),
    }
    .run()
}

/// JSON's white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// What a bracket opened.
#[derive(Clone, Copy)]
enum Container {
    Object,
    Array,
}

/// What comes after a bracket, a scalar or a comma was read.
enum Next {
    /// A value has to begin.
    Value,
    /// A value just ended.
    EndOfValue,
    /// The outermost value ended.
    End,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    open: Vec<Container>,
}

impl Scanner<'_> {
    fn run(mut self) -> Result<usize, SyntaxError> {
        if self.text.iter().all(|byte| is_space(*byte)) {
            return Err(SyntaxError::Empty);
        }
        let mut next = Next::Value;
        loop {
            next = match next {
                Next::Value => self.begin_value()?,
                Next::EndOfValue => self.end_value()?,
                Next::End => return Ok(self.at),
            };
        }
    }

    fn begin_value(&mut self) -> Result<Next, SyntaxError> {
        match self.next_solid()? {
            b'{' => return self.open_object(),
            b'[' => return self.open_array(),
            b'"' => self.string()?,
            b'-' => self.number_after_minus()?,
            first @ b'0'..=b'9' => self.number(first)?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            other => return Err(invalid(other, "looking for beginning of value")),
        }
        Ok(Next::EndOfValue)
    }

    fn end_value(&mut self) -> Result<Next, SyntaxError> {
        let Some(container) = self.open.last().copied() else {
            return Ok(Next::End);
        };
        match (container, self.next_solid()?) {
            (Container::Array, b',') => Ok(Next::Value),
            (Container::Object, b',') => {
                let first = self.next_solid()?;
                self.key(first)
            }
            (Container::Array, b']') | (Container::Object, b'}') => Ok(self.close()),
            (Container::Array, other) => Err(invalid(other, "after array element")),
            (Container::Object, other) => Err(invalid(other, "after object key:value pair")),
        }
    }

    fn open_object(&mut self) -> Result<Next, SyntaxError> {
        self.push(Container::Object, b'{')?;
        match self.next_solid()? {
            b'}' => Ok(self.close()),
            first => self.key(first),
        }
    }

    fn open_array(&mut self) -> Result<Next, SyntaxError> {
        self.push(Container::Array, b'[')?;
        self.skip_space();
        if self.eat(b']') {
            return Ok(self.close());
        }
        Ok(Next::Value)
    }

    fn push(&mut self, container: Container, bracket: u8) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(invalid(bracket, "exceeded max depth"));
        }
        self.open.push(container);
        Ok(())
    }

    fn close(&mut self) -> Next {
        self.open.pop();
        Next::EndOfValue
    }

    /// A key that begins with `first`, and its colon.
    fn key(&mut self, first: u8) -> Result<Next, SyntaxError> {
        if first != b'"' {
            return Err(invalid(first, "looking for beginning of object key string"));
        }
        self.string()?;
        match self.next_solid()? {
            b':' => Ok(Next::Value),
            other => Err(invalid(other, "after object key")),
        }
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                control @ 0..0x20 => return Err(invalid(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.next()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => (0..4).try_for_each(|_| {
                let digit = self.next()?;
                expect(
                    digit.is_ascii_hexdigit(),
                    digit,
                    "in \\u hexadecimal character escape",
                )
            }),
            other => Err(invalid(other, "in string escape code")),
        }
    }

    fn number_after_minus(&mut self) -> Result<(), SyntaxError> {
        let first = self.next()?;
        expect(first.is_ascii_digit(), first, "in numeric literal")?;
        self.number(first)
    }

    /// A number without its sign; `first`, its first digit, has been read.
    fn number(&mut self, first: u8) -> Result<(), SyntaxError> {
        if first != b'0' {
            self.skip_digits();
        }
        if self.eat(b'.') {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self, place: &'static str) -> Result<(), SyntaxError> {
        let first = self.next()?;
        expect(first.is_ascii_digit(), first, place)?;
        self.skip_digits();
        Ok(())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// The rest of `word`, whose first letter has been read.
    fn literal(&mut self, word: &'static str) -> Result<(), SyntaxError> {
        for letter in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != letter {
                let place = format!("in literal {word} (expecting '{}')", char::from(letter));
                return Err(invalid(byte, &place));
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, SyntaxError> {
        let byte = self.peek().ok_or(SyntaxError::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte that is not white space.
    fn next_solid(&mut self) -> Result<u8, SyntaxError> {
        self.skip_space();
        self.next()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// Whether the next byte is `byte`, which is then consumed.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }
}

fn expect(holds: bool, byte: u8, place: &str) -> Result<(), SyntaxError> {
    if holds {
        Ok(())
    } else {
        Err(invalid(byte, place))
    }
}

fn invalid(byte: u8, place: &str) -> SyntaxError {
    SyntaxError::Invalid(format!("invalid character '{}' {place}", quoted(byte)))
}

/// LXD: Go shows the offending *byte* as if it were Latin-1, so a byte order mark is `'ï'`.
fn quoted(byte: u8) -> Cow<'static, str> {
    match byte {
        b'\'' => "\\'".into(),
        b'\\' => "\\\\".into(),
        0x07 => "\\a".into(),
        0x08 => "\\b".into(),
        0x0c => "\\f".into(),
        b'\n' => "\\n".into(),
        b'\r' => "\\r".into(),
        b'\t' => "\\t".into(),
        0x0b => "\\v".into(),
        0..0x20 | 0x7f => format!("\\x{byte:02x}").into(),
        // What Go holds for unprintable: the C1 controls, no-break space and soft hyphen.
        0x80..=0xa0 | 0xad => format!("\\u{byte:04x}").into(),
        printable => char::from(printable).to_string().into(),
    }
}
