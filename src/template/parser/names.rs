//! Tags that give names: `set`, `with`, `macro`, `block`.

use std::sync::Arc;

use crate::template::{
    failure::Failure,
    lexer::Kind,
    tree::{Body, Expression, Macro, Node},
};

use super::{Parser, Tag, cursor::Cursor};

impl Parser {
    /// `{% with a=1 b=2 %}…{% endwith %}`, `{% with 1 as a 2 as b %}…{% endwith %}`
    pub(super) fn with(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let arguments = &mut tag.arguments;
        if arguments.count() == 0 {
            return Err(arguments.failure("Tag 'with' requires at least one argument."));
        }
        let body = self.body("endwith")?;
        let old_style = arguments.has(Kind::Keyword, "as");
        let mut names = Vec::new();
        while !arguments.is_done() {
            names.push(if old_style {
                value_as_name(arguments)?
            } else {
                name_is_value(arguments)?
            });
        }
        Ok(Node::With(names, body))
    }

    /// `{% macro name(a, b="default") export %}…{% endmacro %}`
    pub(super) fn macro_definition(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let arguments = &mut tag.arguments;
        let message = "Macro-tag needs at least an identifier as name.";
        let name = arguments.take_name();
        let name = name.ok_or_else(|| arguments.failure(message))?;
        if !arguments.symbol("(") {
            return Err(arguments.failure("Expected '('."));
        }
        let parameters = parameters(arguments)?;
        let exported = arguments.keyword("export");
        arguments.finish("Malformed macro-tag.")?;
        let body = self.body("endmacro")?;
        if exported && !self.exported.insert(name.clone()) {
            let message = format!("another macro with name '{name}' already exported");
            return Err(Failure::parser(Some(&tag.name), message));
        }
        let definition = Macro {
            mark: Arc::clone(&tag.name),
            name,
            arguments: parameters,
        };
        Ok(Node::Macro(definition, body))
    }

    /// `{% block name %}…{% endblock name %}`: without inheritance, its body.
    pub(super) fn block(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let arguments = &mut tag.arguments;
        if arguments.count() == 0 {
            return Err(arguments.failure("Tag 'block' requires an identifier."));
        }
        let message = "First argument for tag 'block' must be an identifier.";
        let name = arguments.take_name();
        let name = name.ok_or_else(|| arguments.failure(message))?;
        arguments.finish("Tag 'block' takes exactly 1 argument (an identifier).")?;
        let body = self.block_body(&name)?;
        if !self.blocks.insert(name.clone()) {
            return Err(arguments.failure(format!("Block named '{name}' already defined")));
        }
        Ok(Node::Block(body))
    }

    fn block_body(&mut self, name: &str) -> Result<Body, Failure> {
        let mut enclosed = self.until(&["endblock"])?;
        let arguments = &mut enclosed.arguments;
        if arguments.is_done() {
            return Ok(enclosed.body);
        }
        let message = "Either no or only one argument (identifier) allowed for 'endblock'.";
        let end = arguments.take_name();
        let end = end.ok_or_else(|| arguments.failure(message))?;
        if end != name {
            let message = format!(
                "Name for 'endblock' must equal to 'block'-tag's name ('{name}' != '{end}')."
            );
            return Err(arguments.failure(message));
        }
        arguments.finish(message)?;
        Ok(enclosed.body)
    }
}

/// `{% set name = value %}`
pub(super) fn set(tag: &mut Tag) -> Result<Node, Failure> {
    let arguments = &mut tag.arguments;
    let name = arguments.take_name();
    let name = name.ok_or_else(|| arguments.failure("Expected an identifier."))?;
    if !arguments.symbol("=") {
        return Err(arguments.failure("Expected '='."));
    }
    let value = arguments.expression()?;
    arguments.finish("Malformed 'set'-tag arguments.")?;
    Ok(Node::Set(name, value))
}

fn value_as_name(arguments: &mut Cursor) -> Result<(String, Expression), Failure> {
    let value = arguments.expression()?;
    if !arguments.keyword("as") {
        return Err(arguments.failure("Expected 'as' keyword."));
    }
    let name = arguments.take_name();
    let name = name.ok_or_else(|| arguments.failure("Expected an identifier"))?;
    Ok((name, value))
}

fn name_is_value(arguments: &mut Cursor) -> Result<(String, Expression), Failure> {
    let name = arguments.take_name();
    let name = name.ok_or_else(|| arguments.failure("Expected an identifier"))?;
    if !arguments.symbol("=") {
        return Err(arguments.failure("Expected '='."));
    }
    Ok((name, arguments.expression()?))
}

fn parameters(arguments: &mut Cursor) -> Result<Vec<(String, Option<Expression>)>, Failure> {
    let mut parameters = Vec::new();
    while !arguments.symbol(")") {
        let name = arguments.take_name();
        let name =
            name.ok_or_else(|| arguments.failure("Expected argument name as identifier."))?;
        let mut default = None;
        if arguments.symbol("=") {
            default = Some(arguments.expression()?);
        }
        parameters.push((name, default));
        if arguments.symbol(")") {
            break;
        }
        if !arguments.symbol(",") {
            return Err(arguments.failure("Expected ',' or ')'."));
        }
    }
    Ok(parameters)
}
