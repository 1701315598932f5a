//! Makes a tree of a template's tokens, and says in pongo2's words why it cannot.

mod cursor;
mod expression;
mod flow;
mod names;
mod output;

use std::{collections::BTreeSet, sync::Arc};

use super::{
    failure::Failure,
    lexer::{Kind, Token},
    tree::{Body, Node},
};

use cursor::Cursor;

/// How deep tags may stand in one another. LXD has no bound, and no image comes near this one;
/// Tera nests to 40.
const DEPTH_MAX: usize = 30;

/// Tags that reach for other files. LXD refuses them, and here there is nothing behind them.
const BANNED: &[&str] = &["extends", "import", "include", "ssi"];

/// A template's tree, and the macros that it exports.
pub(super) struct Document {
    /// The template's parts.
    pub(super) body: Body,
    /// Names of exported macros.
    pub(super) exported: BTreeSet<String>,
}

/// Understands a template.
pub(super) fn parse(tokens: Vec<Arc<Token>>) -> Result<Document, Failure> {
    let mut parser = Parser {
        tokens: Cursor::new(tokens),
        depth: 0,
        blocks: BTreeSet::new(),
        exported: BTreeSet::new(),
    };
    let mut body = Body::new();
    while !parser.tokens.is_done() {
        parser.element(&mut body)?;
    }
    Ok(Document {
        body,
        exported: parser.exported,
    })
}

struct Parser {
    tokens: Cursor,
    depth: usize,
    blocks: BTreeSet<String>,
    exported: BTreeSet<String>,
}

/// A tag: its name and what it was given.
struct Tag {
    name: Arc<Token>,
    arguments: Cursor,
}

/// What stands before an end tag, and the end tag.
struct Enclosed {
    body: Body,
    end: String,
    arguments: Cursor,
}

/// How a kind of tag is read.
#[derive(Clone, Copy)]
enum Reader {
    /// It stands alone.
    Alone(fn(&mut Tag) -> Result<Node, Failure>),
    /// It has a body.
    Enclosing(fn(&mut Parser, &mut Tag) -> Result<Node, Failure>),
}

fn reader(name: &str) -> Option<Reader> {
    use Reader::{Alone, Enclosing};
    Some(match name {
        "autoescape" => Enclosing(Parser::autoescape),
        "block" => Enclosing(Parser::block),
        "comment" => Enclosing(Parser::comment),
        "cycle" => Alone(flow::cycle),
        "filter" => Enclosing(Parser::filter_block),
        "firstof" => Alone(flow::first_of),
        "for" => Enclosing(Parser::each),
        "if" => Enclosing(Parser::condition),
        "ifchanged" => Enclosing(Parser::if_changed),
        "ifequal" => Enclosing(Parser::if_equal),
        "ifnotequal" => Enclosing(Parser::if_not_equal),
        "lorem" => Alone(output::lorem),
        "macro" => Enclosing(Parser::macro_definition),
        "now" => Alone(output::now),
        "set" => Alone(names::set),
        "spaceless" => Enclosing(Parser::spaceless),
        "templatetag" => Alone(output::template_tag),
        "widthratio" => Alone(output::width_ratio),
        "with" => Enclosing(Parser::with),
        _ => return None,
    })
}

impl Parser {
    /// Text, a variable or a tag.
    fn element(&mut self, body: &mut Body) -> Result<(), Failure> {
        let token = self.tokens.current().cloned();
        let node = match token {
            Some(token) if token.kind == Kind::Text => self.text(&token),
            Some(token) if token.is(Kind::Symbol, "{{") => self.show()?,
            Some(token) if token.is(Kind::Symbol, "{%") => self.tag()?,
            other => {
                let message = "Unexpected token (only HTML/tags/filters in templates allowed)";
                return Err(Failure::parser(other.as_deref(), message));
            }
        };
        body.push(node);
        Ok(())
    }

    fn text(&mut self, token: &Token) -> Node {
        let trims = |neighbour: Option<&Arc<Token>>| neighbour.is_some_and(|token| token.trims);
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let mut text = token.text.as_slice();
        if trims(self.tokens.behind()) {
            let kept = text.iter().position(|byte| !is_space(byte));
            text = kept.and_then(|at| text.get(at..)).unwrap_or_default();
        }
        if trims(self.tokens.ahead(1)) {
            let kept = text.iter().rposition(|byte| !is_space(byte));
            text = kept.and_then(|at| text.get(..=at)).unwrap_or_default();
        }
        self.tokens.take();
        Node::Text(text.to_vec())
    }

    fn show(&mut self) -> Result<Node, Failure> {
        self.tokens.take();
        let expression = self.tokens.expression()?;
        if !self.tokens.symbol("}}") {
            return Err(self.tokens.failure("'}}' expected"));
        }
        Ok(Node::Show(expression))
    }

    fn tag(&mut self) -> Result<Node, Failure> {
        self.tokens.take();
        let name = self
            .tokens
            .take_kind(Kind::Identifier)
            .ok_or_else(|| self.tokens.failure("Tag name must be an identifier."))?;
        let reader = known(&name)?;
        let arguments = self.arguments(&name)?;
        if self.depth >= DEPTH_MAX {
            return Err(Failure::parser(Some(&name), "Tags are nested too deeply."));
        }
        self.depth += 1;
        let mut tag = Tag { name, arguments };
        let node = match reader {
            Reader::Alone(read) => read(&mut tag),
            Reader::Enclosing(read) => read(self, &mut tag),
        };
        self.depth -= 1;
        node
    }

    fn arguments(&mut self, name: &Arc<Token>) -> Result<Cursor, Failure> {
        let mut arguments = Vec::new();
        while !self.tokens.symbol("%}") {
            let Some(token) = self.tokens.take() else {
                let message = "Unexpectedly reached EOF, no tag end found.";
                return Err(Failure::parser(self.tokens.last(), message));
            };
            arguments.push(token);
        }
        Ok(Cursor::arguments(arguments, name))
    }

    /// Everything up to one of these end tags.
    fn until(&mut self, ends: &[&str]) -> Result<Enclosed, Failure> {
        let mut body = Body::new();
        while !self.tokens.is_done() {
            if let Some(end) = self.end(ends) {
                return self.enclosed(body, end);
            }
            self.element(&mut body)?;
        }
        Err(self.missing(ends))
    }

    fn enclosed(&mut self, body: Body, end: String) -> Result<Enclosed, Failure> {
        let mut arguments = Vec::new();
        while !self.tokens.symbol("%}") {
            let Some(token) = self.tokens.take() else {
                return Err(Failure::parser(self.tokens.last(), "Unexpected EOF."));
            };
            arguments.push(token);
        }
        Ok(Enclosed {
            body,
            end,
            arguments: Cursor::new(arguments),
        })
    }

    /// Everything up to this end tag, which takes no arguments.
    fn body(&mut self, end: &str) -> Result<Body, Failure> {
        let enclosed = self.until(&[end])?;
        enclosed.arguments.nothing()?;
        Ok(enclosed.body)
    }

    /// A body, and what stands behind an `else` in it.
    fn alternatives(&mut self, or: &str, end: &str) -> Result<(Body, Option<Body>), Failure> {
        let first = self.until(&[or, end])?;
        first.arguments.nothing()?;
        let mut second = None;
        if first.end == or {
            second = Some(self.body(end)?);
        }
        Ok((first.body, second))
    }

    /// Skips everything up to this end tag.
    fn skip_until(&mut self, end: &str) -> Result<(), Failure> {
        while !self.tokens.is_done() {
            if self.end(&[end]).is_some() {
                // LXD: with something behind the name it waits here for ever.
                let message = "Arguments not allowed here.";
                let closed = self.tokens.symbol("%}");
                return if closed {
                    Ok(())
                } else {
                    Err(self.tokens.failure(message))
                };
            }
            self.tokens.take();
        }
        Err(self.missing(&[end]))
    }

    /// Reads the beginning of one of these end tags.
    fn end(&mut self, ends: &[&str]) -> Option<String> {
        let name = self.tokens.ahead(1)?;
        let is_end = self.tokens.sees(Kind::Symbol, "{%")
            && ends.iter().any(|end| name.is(Kind::Identifier, end));
        let name = is_end.then(|| name.name())?;
        self.tokens.take();
        self.tokens.take();
        Some(name)
    }

    fn missing(&self, ends: &[&str]) -> Failure {
        let message = format!("Unexpected EOF, expected tag {}.", ends.join(" or "));
        Failure::parser(self.tokens.last(), message)
    }
}

fn known(name: &Token) -> Result<Reader, Failure> {
    let text = name.name();
    if BANNED.contains(&text.as_str()) {
        let message = format!("Usage of tag '{text}' is not allowed (sandbox restriction active).");
        return Err(Failure::parser(Some(name), message));
    }
    reader(&text).ok_or_else(|| {
        let message = format!("Tag '{text}' not found (or beginning tag not provided)");
        Failure::parser(Some(name), message)
    })
}
