//! Runs a translated template: Tera goes through it, and every step is a Tera function of ours.
//!
//! This is the only place that makes a Tera engine. It gets no loader, no file and no template
//! but the translated one.

mod calls;
mod evaluate;
mod loops;
mod operations;
mod scopes;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tera::{Context, Kwargs, State, Tera};
use time::OffsetDateTime;

use super::{
    failure::Failure,
    limits::{Budget, Depth, TEXT_MAX},
    program::{DOCUMENT, Program, Step},
    text,
    value::Value,
};

use scopes::Run;

/// How much all writing may come to, whatever becomes of it.
const WRITTEN_MAX: usize = 4 * TEXT_MAX;

/// Renders a program with these names to know.
pub(super) fn run(
    program: Program,
    names: BTreeMap<&'static str, Value>,
    now: OffsetDateTime,
) -> Result<Vec<u8>, Failure> {
    let sources = program.sources.clone();
    let mut machine = None;
    let mut added = Ok(());
    let tera = Arc::new_cyclic(|tera| {
        let made = Arc::new(Machine {
            program,
            names,
            now,
            budget: Budget::full(),
            depth: Depth::default(),
            run: Mutex::default(),
            tera: Weak::clone(tera),
        });
        let mut tera = Tera::new();
        for (name, operation) in operations::OPERATIONS {
            let machine = Arc::clone(&made);
            tera.register_function(*name, move |arguments: Kwargs, _: &State<'_>| {
                machine.operate(*operation, &arguments)
            });
        }
        tera.autoescape_on(Vec::<&str>::new());
        added = tera.add_raw_templates(sources);
        machine = Some(made);
        tera
    });
    added.map_err(|error| Failure::parser(None, error.to_string()))?;
    match machine {
        Some(machine) => machine.render(&tera, DOCUMENT),
        None => Ok(Vec::new()),
    }
}

/// A template that is being rendered.
struct Machine {
    program: Program,
    names: BTreeMap<&'static str, Value>,
    now: OffsetDateTime,
    budget: Budget,
    depth: Depth,
    /// Never held while something is evaluated or rendered: that comes back here.
    run: Mutex<Run>,
    tera: Weak<Tera>,
}

/// What Tera calls a step with.
struct Call<'a> {
    number: usize,
    step: Option<&'a Step>,
    body: Vec<u8>,
}

/// Takes a step.
type Operation = fn(&Machine, &Call<'_>) -> Result<tera::Value, Failure>;

impl Machine {
    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renders one of the program's sources.
    fn render(&self, tera: &Tera, source: &str) -> Result<Vec<u8>, Failure> {
        match tera.render(source, &Context::new()) {
            Ok(rendered) => self.bounded(text::bare(&rendered)),
            Err(error) => {
                let known = self.run().failure.take();
                Err(known.unwrap_or_else(|| Failure::fatal(error.to_string())))
            }
        }
    }

    fn bounded(&self, rendered: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.budget.pay_for_text(rendered.len())?;
        Ok(rendered)
    }

    /// Takes a step for Tera. Tera's own words for a failure are not shown, so ours is kept.
    fn operate(
        &self,
        operation: Operation,
        arguments: &Kwargs,
    ) -> Result<tera::Value, tera::Error> {
        let number = arguments.get::<usize>("n")?.unwrap_or(usize::MAX);
        let call = Call {
            number,
            step: self.program.steps.get(number),
            body: text::bare(arguments.get::<&str>("body")?.unwrap_or_default()),
        };
        let taken = self.budget.spend(1).and_then(|()| operation(self, &call));
        taken.map_err(|failure| {
            let error = tera::Error::message(&failure);
            self.run().failure = Some(failure);
            error
        })
    }

    /// Hands text to Tera, to be written.
    fn write(&self, bytes: &[u8]) -> Result<tera::Value, Failure> {
        self.budget.pay_for_text(bytes.len())?;
        let mut run = self.run();
        run.written += bytes.len();
        if run.written > WRITTEN_MAX {
            return Err(Failure::fatal("The template writes too much."));
        }
        Ok(text::armour(bytes).into())
    }
}

/// Writes nothing.
fn silence() -> tera::Value {
    "".into()
}
