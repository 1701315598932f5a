//! Tags that write, and tags that change what is written.

use std::sync::Arc;

use crate::template::{
    failure::Failure,
    layout,
    lexer::Kind,
    lorem,
    tree::{BlockFilter, Node},
    value::Value,
};

use super::{Parser, Tag, cursor::Cursor};

impl Parser {
    /// `{% autoescape on %}…{% endautoescape %}`
    pub(super) fn autoescape(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let body = self.until(&["endautoescape"])?.body;
        let arguments = &mut tag.arguments;
        let mode = arguments.take_name();
        let message = "A mode is required for autoescape-tag.";
        let mode = mode.ok_or_else(|| arguments.failure(message))?;
        if mode != "on" && mode != "off" {
            let message = "Only 'on' or 'off' is valid as an autoescape-mode.";
            return Err(arguments.failure(message));
        }
        arguments.finish("Malformed autoescape-tag arguments.")?;
        Ok(Node::Escape(mode == "on", body))
    }

    /// `{% comment %}…{% endcomment %}`
    pub(super) fn comment(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        self.skip_until("endcomment")?;
        if tag.arguments.count() != 0 {
            let message = "Tag 'comment' does not take any argument.";
            return Err(tag.arguments.failure(message));
        }
        Ok(Node::Text(Vec::new()))
    }

    /// `{% filter upper|cut:"x" %}…{% endfilter %}`
    pub(super) fn filter_block(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let body = self.until(&["endfilter"])?.body;
        let arguments = &mut tag.arguments;
        let mut filters = Vec::new();
        while !arguments.is_done() {
            filters.push(block_filter(arguments)?);
            if !arguments.symbol("|") {
                break;
            }
        }
        arguments.finish("Malformed filter-tag arguments.")?;
        Ok(Node::Filter(Arc::clone(&tag.name), filters, body))
    }

    /// `{% spaceless %}…{% endspaceless %}`
    pub(super) fn spaceless(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let body = self.until(&["endspaceless"])?.body;
        tag.arguments.finish("Malformed spaceless-tag arguments.")?;
        Ok(Node::Spaceless(body))
    }
}

/// `{% templatetag openblock %}`
pub(super) fn template_tag(tag: &mut Tag) -> Result<Node, Failure> {
    let arguments = &mut tag.arguments;
    let name = arguments.take_kind(Kind::Identifier);
    let name = name.ok_or_else(|| arguments.failure("Identifier expected."))?;
    let text = match name.text.as_slice() {
        b"openblock" => "{%",
        b"closeblock" => "%}",
        b"openvariable" => "{{",
        b"closevariable" => "}}",
        b"openbrace" => "{",
        b"closebrace" => "}",
        b"opencomment" => "{#",
        b"closecomment" => "#}",
        _ => return Err(Failure::parser(Some(&name), "Argument not found")),
    };
    arguments.finish("Malformed templatetag-tag argument.")?;
    Ok(Node::Text(text.into()))
}

/// `{% lorem 3 w %}`: that many words, paragraphs or lines of filler text.
pub(super) fn lorem(tag: &mut Tag) -> Result<Node, Failure> {
    let arguments = &mut tag.arguments;
    let count = arguments.take_kind(Kind::Number);
    let count = count.map_or(1, |count| Value::from(count.text.as_slice()).integer());
    let mut method = "b".to_owned();
    if let Some(name) = arguments.take_name() {
        method = name;
    }
    let message = "lorem-method must be either 'w', 'p' or 'b'.";
    let unit = lorem::Unit::named(&method).ok_or_else(|| arguments.failure(message))?;
    // Which words come is no matter of chance here.
    arguments.accept(Kind::Identifier, "random");
    arguments.finish("Malformed lorem-tag arguments.")?;
    let text = lorem::text(count, unit);
    text.map(Node::Text).ok_or_else(|| {
        let message = format!("More than {} of 'lorem'.", lorem::COUNT_MAX);
        Failure::parser(Some(&tag.name), message)
    })
}

/// `{% now "2006-01-02" %}`; with `fake` always the same moment.
pub(super) fn now(tag: &mut Tag) -> Result<Node, Failure> {
    let arguments = &mut tag.arguments;
    let format = arguments.take_kind(Kind::String);
    let format = format.ok_or_else(|| arguments.failure("Expected a format string."))?;
    let fake = arguments.accept(Kind::Identifier, "fake");
    arguments.finish("Malformed now-tag arguments.")?;
    if fake {
        return Ok(Node::Text(layout::format(&format.text, layout::FAKE)));
    }
    Ok(Node::Now(format.text.clone()))
}

/// `{% widthratio value max width as name %}`
pub(super) fn width_ratio(tag: &mut Tag) -> Result<Node, Failure> {
    let arguments = &mut tag.arguments;
    let numbers = [
        arguments.expression()?,
        arguments.expression()?,
        arguments.expression()?,
    ];
    let mut name = None;
    if arguments.keyword("as") {
        let given = arguments.take_name();
        let message = "Expected name (identifier).";
        name = Some(given.ok_or_else(|| arguments.failure(message))?);
    }
    arguments.finish("Malformed widthratio-tag arguments.")?;
    Ok(Node::Ratio(Box::new(numbers), name))
}

fn block_filter(arguments: &mut Cursor) -> Result<BlockFilter, Failure> {
    let name = arguments.take_name();
    let message = "Expected a filter name (identifier).";
    let name = name.ok_or_else(|| arguments.failure(message))?;
    let mut argument = None;
    if arguments.symbol(":") {
        argument = Some(arguments.value()?);
    }
    Ok(BlockFilter { name, argument })
}
