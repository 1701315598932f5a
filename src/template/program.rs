//! A template as Tera sees it: its control flow in Tera's language, and everything else as calls
//! of our own functions with the numbers of steps.
//!
//! Nothing that a template's author wrote reaches Tera's parser: no name, no string, no text.

use super::{
    parser::Document,
    tree::{BlockFilter, Body, Each, Expression, Macro, Mark, Node},
};

/// A template's steps, and the Tera templates that take them.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// The steps by number.
    pub(super) steps: Vec<Step>,
    /// Macros by number.
    pub(super) macros: Vec<Macro>,
    /// Tera templates: the document, and the bodies of macros.
    pub(super) sources: Vec<(String, String)>,
}

/// What one of our Tera functions does.
#[derive(Debug)]
pub(super) enum Step {
    /// Writes this text.
    Text(Vec<u8>),
    /// Writes a value.
    Show(Expression),
    /// Asks which of these is the first that is true.
    Choose(Vec<Expression>),
    /// Asks whether two values are equal, or are not.
    Compare(Box<(Expression, Expression)>, bool),
    /// Asks whether one of these changed since the last time.
    Differs(Vec<Expression>),
    /// Writes text if it changed since the last time.
    Changed,
    /// Fails.
    Fail(&'static str),
    /// Begins a loop.
    Each(Each),
    /// Begins a scope with these names.
    Enter(Vec<(String, Expression)>),
    /// Gives a name.
    Assign(String, Expression),
    /// Defines the macro of this number.
    Define(usize),
    /// Tells a block about itself.
    Block,
    /// Goes on with a cycle.
    Cycle {
        /// What it goes through.
        items: Vec<Expression>,
        /// The name it keeps its value under.
        name: Option<String>,
        /// Whether it shows nothing.
        silent: bool,
    },
    /// Writes the first value that is true.
    First(Vec<Expression>),
    /// Filters text.
    Filter(Mark, Vec<BlockFilter>),
    /// Takes white space between tags out of text.
    Spaceless,
    /// Switches escaping.
    Escape(bool),
    /// Writes what time it is.
    Now(Vec<u8>),
    /// Writes a ratio or gives it a name.
    Ratio(Box<[Expression; 3]>, Option<String>),
}

/// The name of the Tera template that is the document.
pub(super) const DOCUMENT: &str = "document";

/// The name of the Tera template that is the body of the macro of this number.
pub(super) fn macro_source(number: usize) -> String {
    format!("macro {number}")
}

impl Program {
    /// Translates a template.
    pub(super) fn of(document: Document) -> Self {
        let mut program = Self::default();
        let source = program.source(document.body);
        program.sources.push((DOCUMENT.to_owned(), source));
        program
    }

    fn source(&mut self, body: Body) -> String {
        let mut source = String::new();
        self.body(&mut source, body);
        source
    }

    fn body(&mut self, source: &mut String, body: Body) {
        for node in body {
            self.node(source, node);
        }
    }

    fn node(&mut self, source: &mut String, node: Node) {
        match node {
            Node::Text(text) if text.is_empty() => {}
            Node::Text(text) => self.call(source, "text", Step::Text(text)),
            Node::Show(value) => self.call(source, "show", Step::Show(value)),
            Node::Set(name, value) => self.call(source, "assign", Step::Assign(name, value)),
            Node::FirstOf(values) => self.call(source, "first", Step::First(values)),
            Node::Now(layout) => self.call(source, "now", Step::Now(layout)),
            Node::Ratio(numbers, name) => self.call(source, "ratio", Step::Ratio(numbers, name)),
            Node::Cycle {
                items,
                name,
                silent,
            } => {
                let step = Step::Cycle {
                    items,
                    name,
                    silent,
                };
                self.call(source, "cycle", step);
            }
            Node::Macro(definition, body) => self.definition(source, definition, body),
            Node::Block(body) => {
                self.call(source, "block", Step::Block);
                self.body(source, body);
            }
            other => self.nested(source, other),
        }
    }

    fn nested(&mut self, source: &mut String, node: Node) {
        match node {
            Node::If { conditions, bodies } => self.condition(source, conditions, bodies),
            Node::Compare {
                pair,
                equal,
                then,
                otherwise,
            } => self.choice(
                source,
                "equal",
                Step::Compare(pair, equal),
                (then, otherwise),
            ),
            Node::IfDiffers {
                watched,
                then,
                otherwise,
            } => self.if_differs(source, watched, (then, otherwise)),
            Node::IfChanged(body) => self.captured(source, body, "changed", Step::Changed),
            Node::For { each, body, empty } => self.each(source, each, (body, empty)),
            Node::With(names, body) => self.scope(source, names, body),
            Node::Filter(mark, filters, body) => {
                self.captured(source, body, "filter", Step::Filter(mark, filters));
            }
            Node::Spaceless(body) => self.captured(source, body, "spaceless", Step::Spaceless),
            Node::Escape(on, body) => {
                self.call(source, "escape", Step::Escape(on));
                self.body(source, body);
                source.push_str("{{ escape_again() }}");
            }
            _ => {}
        }
    }

    /// One question and a row of simple `if`s: Tera nests every `elif` in the one before it, and
    /// its own stack ends before a template's does.
    fn condition(&mut self, source: &mut String, conditions: Vec<Expression>, bodies: Vec<Body>) {
        let number = self.step(Step::Choose(conditions));
        put(
            source,
            &format!("{{% set c{number} = choose(n={number}) %}}"),
        );
        for (at, body) in bodies.into_iter().enumerate() {
            put(source, &format!("{{% if c{number} == {at} %}}"));
            self.body(source, body);
            source.push_str("{% endif %}");
        }
    }

    fn choice(&mut self, source: &mut String, test: &str, step: Step, bodies: (Body, Body)) {
        let number = self.step(step);
        put(source, &format!("{{% if {test}(n={number}) %}}"));
        self.body(source, bodies.0);
        source.push_str("{% else %}");
        self.body(source, bodies.1);
        source.push_str("{% endif %}");
    }

    /// LXD: unchanged values and no `else` make pongo2 panic.
    fn if_differs(
        &mut self,
        source: &mut String,
        watched: Vec<Expression>,
        (then, otherwise): (Body, Option<Body>),
    ) {
        let number = self.step(Step::Differs(watched));
        put(source, &format!("{{% if differs(n={number}) %}}"));
        self.body(source, then);
        source.push_str("{% else %}");
        if let Some(body) = otherwise {
            self.body(source, body);
        } else {
            let message = "Tag 'ifchanged' needs an 'else' for what does not change.";
            self.call(source, "fail", Step::Fail(message));
        }
        source.push_str("{% endif %}");
    }

    fn each(&mut self, source: &mut String, each: Each, (body, empty): (Body, Body)) {
        let number = self.step(Step::Each(each));
        put(
            source,
            &format!("{{% for item in each(n={number}) %}}{{{{ next() }}}}"),
        );
        self.body(source, body);
        source.push_str("{% else %}");
        self.body(source, empty);
        source.push_str("{% endfor %}{{ leave() }}");
    }

    fn scope(&mut self, source: &mut String, names: Vec<(String, Expression)>, body: Body) {
        self.call(source, "enter", Step::Enter(names));
        self.body(source, body);
        source.push_str("{{ leave() }}");
    }

    fn definition(&mut self, source: &mut String, definition: Macro, body: Body) {
        let number = self.macros.len();
        self.macros.push(definition);
        self.call(source, "define", Step::Define(number));
        let body = self.source(body);
        self.sources.push((macro_source(number), body));
    }

    /// A body whose text goes through a step.
    fn captured(&mut self, source: &mut String, body: Body, function: &str, step: Step) {
        source.push_str("{% set body %}");
        self.body(source, body);
        let number = self.step(step);
        put(
            source,
            &format!("{{% endset %}}{{{{ {function}(n={number}, body=body) }}}}"),
        );
    }

    fn call(&mut self, source: &mut String, function: &str, step: Step) {
        let number = self.step(step);
        put(source, &format!("{{{{ {function}(n={number}) }}}}"));
    }

    fn step(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }
}

fn put(source: &mut String, text: &str) {
    source.push_str(text);
}
