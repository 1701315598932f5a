//! A way through tokens.

use std::sync::Arc;

use crate::template::{
    failure::Failure,
    lexer::{Kind, Token},
};

/// How deep expressions may stand in one another.
const DEPTH_MAX: usize = 40;

/// Tokens, and how far they are read.
#[derive(Debug)]
pub(super) struct Cursor {
    tokens: Vec<Arc<Token>>,
    at: usize,
    /// What an error at the end names.
    last: Option<Arc<Token>>,
    depth: usize,
}

impl Cursor {
    /// At the first of these tokens.
    pub(super) fn new(tokens: Vec<Arc<Token>>) -> Self {
        let last = tokens.last().cloned();
        Self {
            tokens,
            at: 0,
            last,
            depth: 0,
        }
    }

    /// The arguments of a tag; without any, errors name the tag.
    pub(super) fn arguments(tokens: Vec<Arc<Token>>, tag: &Arc<Token>) -> Self {
        let mut cursor = Self::new(tokens);
        cursor.last.get_or_insert_with(|| Arc::clone(tag));
        cursor
    }

    /// How many tokens there are, read ones included.
    pub(super) fn count(&self) -> usize {
        self.tokens.len()
    }

    /// Whether all are read.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The token that is next.
    pub(super) fn current(&self) -> Option<&Arc<Token>> {
        self.tokens.get(self.at)
    }

    /// The token that many after the next one.
    pub(super) fn ahead(&self, distance: usize) -> Option<&Arc<Token>> {
        self.tokens.get(self.at + distance)
    }

    /// The token that was read last.
    pub(super) fn behind(&self) -> Option<&Arc<Token>> {
        self.tokens.get(self.at.checked_sub(1)?)
    }

    /// The last of all, which errors at the end name.
    pub(super) fn last(&self) -> Option<&Token> {
        self.last.as_deref()
    }

    /// Whether any of the tokens is this one.
    pub(super) fn has(&self, kind: Kind, text: &str) -> bool {
        self.tokens.iter().any(|token| token.is(kind, text))
    }

    /// Reads a token, whichever it is.
    pub(super) fn take(&mut self) -> Option<Arc<Token>> {
        let token = self.current().cloned();
        self.at += 1;
        token
    }

    /// Reads a token of this kind.
    pub(super) fn take_kind(&mut self, kind: Kind) -> Option<Arc<Token>> {
        self.current()
            .is_some_and(|token| token.kind == kind)
            .then(|| self.take())
            .flatten()
    }

    /// Reads a name.
    pub(super) fn take_name(&mut self) -> Option<String> {
        self.take_kind(Kind::Identifier).map(|token| token.name())
    }

    /// Whether the next token is this one.
    pub(super) fn sees(&self, kind: Kind, text: &str) -> bool {
        self.current().is_some_and(|token| token.is(kind, text))
    }

    /// Reads this token if it is next.
    pub(super) fn accept(&mut self, kind: Kind, text: &str) -> bool {
        let seen = self.sees(kind, text);
        if seen {
            self.at += 1;
        }
        seen
    }

    /// Reads this punctuation if it is next.
    pub(super) fn symbol(&mut self, text: &str) -> bool {
        self.accept(Kind::Symbol, text)
    }

    /// Reads this reserved word if it is next.
    pub(super) fn keyword(&mut self, text: &str) -> bool {
        self.accept(Kind::Keyword, text)
    }

    /// An error at the next token, or at the end.
    pub(super) fn failure(&self, message: impl Into<String>) -> Failure {
        let here = self.current().or_else(|| self.tokens.last());
        Failure::parser(here.map(|token| &**token), message)
    }

    /// An error unless all is read.
    pub(super) fn finish(&self, message: &str) -> Result<(), Failure> {
        if self.is_done() {
            return Ok(());
        }
        Err(self.failure(message))
    }

    /// An error unless there was nothing to read.
    pub(super) fn nothing(&self) -> Result<(), Failure> {
        if self.count() == 0 {
            return Ok(());
        }
        Err(self.failure("Arguments not allowed here."))
    }

    /// Goes a step deeper for as long as `read` takes.
    pub(super) fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.depth >= DEPTH_MAX {
            return Err(self.failure("Expressions are nested too deeply."));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }
}

impl Token {
    /// Whether it is this one.
    pub(super) fn is(&self, kind: Kind, text: &str) -> bool {
        self.kind == kind && self.text == text.as_bytes()
    }

    /// Its text. Names and numbers are ASCII.
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}
