//! Tags that decide what is rendered, and how often.

use crate::template::{
    failure::Failure,
    tree::{Each, Expression, Node},
};

use super::{Parser, Tag};

impl Parser {
    /// `{% if a %}…{% elif b %}…{% else %}…{% endif %}`
    pub(super) fn condition(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let mut conditions = vec![tag.arguments.expression()?];
        tag.arguments.finish("If-condition is malformed.")?;
        let mut bodies = Vec::new();
        loop {
            let mut part = self.until(&["elif", "else", "endif"])?;
            bodies.push(part.body);
            if part.end == "elif" {
                conditions.push(part.arguments.expression()?);
                part.arguments.finish("Elif-condition is malformed.")?;
            } else {
                part.arguments.nothing()?;
            }
            if part.end == "endif" {
                return Ok(Node::If { conditions, bodies });
            }
        }
    }

    /// `{% ifequal a b %}…{% else %}…{% endifequal %}`
    pub(super) fn if_equal(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        self.comparison(tag, true, "ifequal")
    }

    /// `{% ifnotequal a b %}…{% else %}…{% endifnotequal %}`
    pub(super) fn if_not_equal(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        self.comparison(tag, false, "ifnotequal")
    }

    fn comparison(&mut self, tag: &mut Tag, equal: bool, name: &str) -> Result<Node, Failure> {
        let one = tag.arguments.expression()?;
        let two = tag.arguments.expression()?;
        tag.arguments
            .finish(&format!("{name} only takes 2 arguments."))?;
        let (then, otherwise) = self.alternatives("else", &format!("end{name}"))?;
        Ok(Node::Compare {
            pair: Box::new((one, two)),
            equal,
            then,
            otherwise: otherwise.unwrap_or_default(),
        })
    }

    /// `{% ifchanged %}…{% endifchanged %}`, `{% ifchanged a b %}…{% else %}…{% endifchanged %}`
    pub(super) fn if_changed(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let mut watched = Vec::new();
        while !tag.arguments.is_done() {
            watched.push(tag.arguments.expression()?);
        }
        let (then, otherwise) = self.alternatives("else", "endifchanged")?;
        if watched.is_empty() {
            return Ok(Node::IfChanged(then));
        }
        Ok(Node::IfDiffers {
            watched,
            then,
            otherwise,
        })
    }

    /// `{% for k, v in map reversed sorted %}…{% empty %}…{% endfor %}`
    pub(super) fn each(&mut self, tag: &mut Tag) -> Result<Node, Failure> {
        let each = loop_head(tag)?;
        let (body, empty) = self.alternatives("empty", "endfor")?;
        Ok(Node::For {
            each,
            body,
            empty: empty.unwrap_or_default(),
        })
    }
}

/// `{% firstof a b "c" %}`
pub(super) fn first_of(tag: &mut Tag) -> Result<Node, Failure> {
    let mut values = Vec::new();
    while !tag.arguments.is_done() {
        values.push(tag.arguments.expression()?);
    }
    Ok(Node::FirstOf(values))
}

/// `{% cycle "a" "b" as name silent %}`
pub(super) fn cycle(tag: &mut Tag) -> Result<Node, Failure> {
    let arguments = &mut tag.arguments;
    let mut items: Vec<Expression> = Vec::new();
    let mut name = None;
    let mut silent = false;
    while !arguments.is_done() && name.is_none() {
        items.push(arguments.expression()?);
        if arguments.keyword("as") {
            let message = "Name (identifier) expected after 'as'.";
            let given = arguments.take_name();
            name = Some(given.ok_or_else(|| arguments.failure(message))?);
            silent = arguments.accept(crate::template::lexer::Kind::Identifier, "silent");
        }
    }
    arguments.finish("Malformed cycle-tag.")?;
    Ok(Node::Cycle {
        items,
        name,
        silent,
    })
}

fn loop_head(tag: &mut Tag) -> Result<Each, Failure> {
    use crate::template::lexer::Kind::Identifier;
    let arguments = &mut tag.arguments;
    let message = "Expected an key identifier as first argument for 'for'-tag";
    let key = arguments.take_name();
    let key = key.ok_or_else(|| arguments.failure(message))?;
    let mut value = None;
    if arguments.symbol(",") {
        let name = arguments.take_name();
        let message = "Value name must be an identifier.";
        value = Some(name.ok_or_else(|| arguments.failure(message))?);
    }
    if !arguments.keyword("in") {
        return Err(arguments.failure("Expected keyword 'in'."));
    }
    let items = arguments.expression()?;
    let reversed = arguments.accept(Identifier, "reversed");
    let sorted = arguments.accept(Identifier, "sorted");
    arguments.finish("Malformed for-loop arguments.")?;
    Ok(Each {
        key,
        value,
        items,
        reversed,
        sorted,
    })
}
