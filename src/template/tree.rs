//! A template, understood: what the parser makes and everything else walks.

use std::sync::Arc;

use super::{filters::Filter, lexer::Token, value::Value};

/// A place in the template that an error may name.
pub(super) type Mark = Arc<Token>;

/// Parts one after the other.
pub(super) type Body = Vec<Node>;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Text as it stands.
    Text(Vec<u8>),
    /// `{{ … }}`.
    Show(Expression),
    /// `if`: a body for every condition, and perhaps one more. A stray `else` in between takes
    /// the next condition's place, as in pongo2.
    If {
        /// The conditions.
        conditions: Vec<Expression>,
        /// The bodies.
        bodies: Vec<Body>,
    },
    /// `ifequal`, `ifnotequal`.
    Compare {
        /// The two that are compared.
        pair: Box<(Expression, Expression)>,
        /// Whether they should be equal.
        equal: bool,
        /// What is rendered then.
        then: Body,
        /// What is rendered otherwise.
        otherwise: Body,
    },
    /// `ifchanged` with expressions.
    IfDiffers {
        /// What is watched.
        watched: Vec<Expression>,
        /// What is rendered when one has changed.
        then: Body,
        /// What is rendered otherwise; without it pongo2 gives up.
        otherwise: Option<Body>,
    },
    /// `ifchanged` without.
    IfChanged(Body),
    /// `for`.
    For {
        /// How the loop runs.
        each: Each,
        /// What is rendered for each item.
        body: Body,
        /// What is rendered without items.
        empty: Body,
    },
    /// `with`.
    With(Vec<(String, Expression)>, Body),
    /// `set`.
    Set(String, Expression),
    /// `macro`.
    Macro(Macro, Body),
    /// `block`.
    Block(Body),
    /// `cycle`.
    Cycle {
        /// What it goes through.
        items: Vec<Expression>,
        /// The name it keeps its value under.
        name: Option<String>,
        /// Whether it shows nothing.
        silent: bool,
    },
    /// `firstof`.
    FirstOf(Vec<Expression>),
    /// `filter`.
    Filter(Mark, Vec<BlockFilter>, Body),
    /// `spaceless`.
    Spaceless(Body),
    /// `autoescape`.
    Escape(bool, Body),
    /// `now`, with Go's layout.
    Now(Vec<u8>),
    /// `widthratio`.
    Ratio(Box<[Expression; 3]>, Option<String>),
}

/// How a loop runs.
#[derive(Debug)]
pub(super) struct Each {
    /// The name of the item, or of the map's key.
    pub(super) key: String,
    /// The name of the map's value.
    pub(super) value: Option<String>,
    /// What is gone through.
    pub(super) items: Expression,
    /// From the end.
    pub(super) reversed: bool,
    /// In order.
    pub(super) sorted: bool,
}

/// A macro without its body.
#[derive(Debug)]
pub(super) struct Macro {
    /// Where it is defined.
    pub(super) mark: Mark,
    /// Its name.
    pub(super) name: String,
    /// Its arguments with their defaults.
    pub(super) arguments: Vec<(String, Option<Expression>)>,
}

/// A filter of a filter block, which is looked up only when it is applied.
#[derive(Debug)]
pub(super) struct BlockFilter {
    /// Its name.
    pub(super) name: String,
    /// Its argument.
    pub(super) argument: Option<Expression>,
}

/// What has a value.
#[derive(Debug)]
pub(super) enum Expression {
    /// A string, number, `true` or `false`.
    Literal(Mark, Value),
    /// A name, its parts and calls.
    Variable(Variable),
    /// A value and the filters it goes through.
    Filtered(Mark, Box<Self>, Vec<Call>),
    /// `-` and `not`, in this order.
    Signed {
        /// With a minus.
        negative: bool,
        /// With a `not`.
        inverted: bool,
        /// The value.
        term: Box<Self>,
    },
    /// An operation on two values.
    Binary(Operator, Box<(Self, Self)>),
    /// `a and b or c`, grouped to the right: the first value, and the operators with theirs.
    Logic(Box<Self>, Vec<(Junction, Self)>),
}

/// `a.b.0(c)`.
#[derive(Debug)]
pub(super) struct Variable {
    /// Where it begins.
    pub(super) mark: Mark,
    /// The first name and what follows.
    pub(super) parts: Vec<Part>,
}

/// A part of a variable.
#[derive(Debug)]
pub(super) struct Part {
    /// Its name or place.
    pub(super) step: Step,
    /// What it is called with.
    pub(super) call: Option<Vec<Expression>>,
}

/// How to get further into a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// By name.
    Name(String),
    /// By place.
    Place(i64),
}

/// A filter with its argument.
#[derive(Debug)]
pub(super) struct Call {
    /// Where it stands.
    pub(super) mark: Mark,
    /// What it does.
    pub(super) filter: Filter,
    /// Its argument.
    pub(super) argument: Option<Expression>,
}

/// `and`, `or`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Junction {
    /// Both.
    And,
    /// One of both.
    Or,
}

/// An operation on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `==`
    Equal,
    /// `!=`, `<>`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in`
    In,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `/`
    Over,
    /// `%`
    Modulo,
    /// `^`
    Power,
}

impl Variable {
    /// As errors name it.
    pub(super) fn name(&self) -> String {
        let parts = self.parts.iter().map(|part| match &part.step {
            Step::Name(name) => name.clone(),
            Step::Place(place) => place.to_string(),
        });
        parts.collect::<Vec<_>>().join(".")
    }
}

impl Expression {
    /// The place that stands for it in errors: where its first value stands.
    pub(super) fn mark(&self) -> &Token {
        match self {
            Self::Literal(mark, _) | Self::Filtered(mark, ..) => mark,
            Self::Variable(variable) => &variable.mark,
            Self::Signed { term, .. } => term.mark(),
            Self::Binary(_, pair) => pair.0.mark(),
            Self::Logic(first, _) => first.mark(),
        }
    }

    /// Whether every value in it goes through the filter `safe`.
    pub(super) fn is_safe(&self) -> bool {
        match self {
            Self::Literal(..) | Self::Variable(_) => false,
            Self::Filtered(_, _, calls) => calls.iter().any(|call| call.filter.name() == "safe"),
            Self::Signed { term, .. } => term.is_safe(),
            Self::Binary(_, pair) => pair.0.is_safe() && pair.1.is_safe(),
            Self::Logic(first, rest) => {
                first.is_safe() && rest.iter().all(|(_, value)| value.is_safe())
            }
        }
    }
}
