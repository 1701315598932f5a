//! Which names mean what, where a template is.

use std::collections::{BTreeMap, VecDeque};

use crate::template::{
    context,
    failure::Failure,
    value::{Datum, Loop, Shared, Value},
};

use super::Machine;
use std::sync::Arc;

/// What changes while a template is rendered.
#[derive(Debug)]
pub(super) struct Run {
    /// One in the other, but a macro's is in the one it was defined in.
    pub(super) scopes: Vec<Scope>,
    /// What tags watched the last time, by number.
    pub(super) watched: BTreeMap<usize, Vec<Value>>,
    /// How often cycles went on, by number.
    pub(super) turns: BTreeMap<usize, usize>,
    /// How much was written.
    pub(super) written: usize,
    /// Why it ends.
    pub(super) failure: Option<Failure>,
}

/// Names of a loop, a macro, a `with` or the whole template.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// The scope around it.
    pub(super) parent: Option<usize>,
    /// The names.
    pub(super) names: BTreeMap<String, Value>,
    /// Whether text is escaped: as it is, and as it was before the tags around.
    pub(super) escapes: Vec<bool>,
    /// Of a loop, what is still to come.
    pub(super) items: VecDeque<Item>,
    /// Of a loop, where it is.
    pub(super) state: Option<Arc<Shared<Loop>>>,
}

/// What a loop does once.
#[derive(Debug)]
pub(super) struct Item {
    /// Its place among all.
    pub(super) at: usize,
    /// How many there are.
    pub(super) count: usize,
    /// What its names mean.
    pub(super) names: Vec<(String, Value)>,
}

impl Default for Run {
    fn default() -> Self {
        let names = BTreeMap::from([("pongo2".to_owned(), context::pongo2())]);
        let whole = Scope {
            names,
            escapes: vec![true],
            ..Scope::default()
        };
        Self {
            scopes: vec![whole],
            watched: BTreeMap::new(),
            turns: BTreeMap::new(),
            written: 0,
            failure: None,
        }
    }
}

impl Run {
    /// Begins a scope in another.
    pub(super) fn enter(&mut self, parent: usize, names: BTreeMap<String, Value>) {
        let escapes = self.scopes.get(parent).is_some_and(Scope::escapes);
        self.scopes.push(Scope {
            parent: Some(parent),
            names,
            escapes: vec![escapes],
            ..Scope::default()
        });
    }

    /// The number of the scope that a template is in.
    pub(super) fn here(&self) -> usize {
        self.scopes.len().saturating_sub(1)
    }

    /// The scope that a template is in.
    pub(super) fn scope(&mut self) -> Option<&mut Scope> {
        self.scopes.last_mut()
    }

    fn find(&self, name: &str, scope: usize) -> Option<&Value> {
        let mut scope = self.scopes.get(scope);
        while let Some(inside) = scope {
            if let Some(value) = inside.names.get(name) {
                return Some(value);
            }
            scope = inside.parent.and_then(|parent| self.scopes.get(parent));
        }
        None
    }
}

impl Scope {
    /// Whether text is escaped.
    pub(super) fn escapes(&self) -> bool {
        self.escapes.last().copied().unwrap_or(true)
    }
}

impl Machine {
    /// The number of the scope that a template is in.
    pub(super) fn here(&self) -> usize {
        self.run().here()
    }

    /// What a name means in a scope: the template's own names come first.
    pub(super) fn find(&self, name: &str, scope: usize) -> Option<Value> {
        let own = self.run().find(name, scope).cloned();
        own.or_else(|| self.names.get(name).cloned())
    }

    /// Gives a name in the scope that a template is in.
    pub(super) fn assign(&self, name: &str, value: Value) {
        if let Some(scope) = self.run().scope() {
            scope.names.insert(name.to_owned(), value);
        }
    }

    /// Whether text is escaped.
    pub(super) fn escapes(&self) -> bool {
        self.run().scopes.last().is_some_and(Scope::escapes)
    }

    /// The loop that is around here.
    pub(super) fn around(&self) -> Option<Arc<Shared<Loop>>> {
        let run = self.run();
        match run.find("forloop", run.here()).map(|value| &value.datum) {
            Some(Datum::Loop(state)) => Some(Arc::clone(state)),
            _ => None,
        }
    }
}
