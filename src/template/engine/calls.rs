//! Variables and what is called in them: `config_get` and macros.

use std::collections::BTreeMap;

use crate::template::{
    failure::Failure,
    limits::MACRO_DEPTH,
    program::macro_source,
    tree::{Expression, Macro, Part, Step, Variable},
    value::{Datum, Function, Value},
};

use super::{Machine, operations::mixed_up};

impl Machine {
    /// What a variable stands for. What is not there is nothing, and so is what is in nothing.
    pub(super) fn variable(&self, variable: &Variable, scope: usize) -> Result<Value, Failure> {
        let mut current = Value::nil();
        for (at, part) in variable.parts.iter().enumerate() {
            let found = match (&part.step, at) {
                (Step::Name(name), 0) => self.find(name, scope),
                (step, _) => inside(&current, step, variable)?,
            };
            let Some(mut found) = found else {
                return Ok(Value::nil());
            };
            found.safe |= current.safe;
            current = self.called(found, part, variable, scope)?;
            if current.is_nil() {
                return Ok(current);
            }
        }
        Ok(current)
    }

    /// A function is called wherever it is named, with brackets or without.
    fn called(
        &self,
        value: Value,
        part: &Part,
        variable: &Variable,
        scope: usize,
    ) -> Result<Value, Failure> {
        let Datum::Function(function) = value.datum else {
            if part.call.is_none() {
                return Ok(value);
            }
            let (name, kind) = (variable.name(), value.datum.kind());
            let message = format!("'{name}' is not a function (it is {kind})");
            return Err(Failure::execution(Some(&variable.mark), message));
        };
        let arguments = part.call.as_deref().unwrap_or_default();
        let takes = match function {
            Function::ConfigGet => 2,
            Function::Super => 0,
            Function::Macro(..) => arguments.len(),
        };
        if arguments.len() != takes {
            let message = format!(
                "Function input argument count ({takes}) of '{}' must be equal to the calling \
                 argument count ({}).",
                variable.name(),
                arguments.len()
            );
            return Err(Failure::execution(Some(&variable.mark), message));
        }
        let values = self.arguments(arguments, variable, scope)?;
        self.call(function, &values)
    }

    fn arguments(
        &self,
        arguments: &[Expression],
        variable: &Variable,
        scope: usize,
    ) -> Result<Vec<Value>, Failure> {
        let values = arguments.iter().map(|argument| self.value(argument, scope));
        let values: Result<_, Failure> = values.collect();
        values.map_err(|failure| failure.inside(&variable.mark))
    }

    fn call(&self, function: Function, arguments: &[Value]) -> Result<Value, Failure> {
        match (function, arguments) {
            (Function::ConfigGet, [key, default]) => Ok(self.config_get(key, default)),
            (Function::Macro(number, scope), _) => self.call_macro(number, scope, arguments),
            _ => Ok("".into()),
        }
    }

    /// The value of a key without the ends of lines behind it, or the default.
    fn config_get(&self, key: &Value, default: &Value) -> Value {
        let config = self.names.get("config").map(|config| &config.datum);
        let value = match config {
            Some(Datum::Map(map)) => map.entries.get(&key.text()),
            _ => None,
        };
        let Some(value) = value else {
            return default.clone();
        };
        let mut text = value.text();
        while matches!(text.last(), Some(b'\r' | b'\n')) {
            text.pop();
        }
        text.into()
    }

    /// What a macro writes. Its failure is written, too, unless it is one of limits.
    fn call_macro(&self, number: usize, scope: usize, given: &[Value]) -> Result<Value, Failure> {
        let definition = self.program.macros.get(number).ok_or_else(mixed_up)?;
        match self.expand(number, definition, scope, given) {
            Ok(written) => Ok(Value::from(written).escaped()),
            Err(failure) if failure.is_fatal() => Err(failure),
            Err(failure) => {
                let failure = failure.or_at(&definition.mark).to_string();
                Ok(Value::from(failure.as_str()).escaped())
            }
        }
    }

    fn expand(
        &self,
        number: usize,
        definition: &Macro,
        scope: usize,
        given: &[Value],
    ) -> Result<Vec<u8>, Failure> {
        let mut names = BTreeMap::new();
        for (name, default) in &definition.arguments {
            let value = match default {
                Some(default) => self.value(default, scope)?,
                None => Value::nil(),
            };
            names.insert(name.clone(), value);
        }
        if given.len() > definition.arguments.len() {
            return Err(too_many(definition, given.len()));
        }
        for ((name, _), value) in definition.arguments.iter().zip(given) {
            let datum = value.datum.clone();
            names.insert(name.clone(), datum.into());
        }
        self.render_macro(number, scope, names)
    }

    fn render_macro(
        &self,
        number: usize,
        scope: usize,
        names: BTreeMap<String, Value>,
    ) -> Result<Vec<u8>, Failure> {
        let tera = self.tera.upgrade().ok_or_else(mixed_up)?;
        let _deeper = self.depth.enter(MACRO_DEPTH)?;
        let outside = {
            let mut run = self.run();
            let outside = run.scopes.len();
            run.enter(scope, names);
            outside
        };
        let written = self.render(&tera, &macro_source(number));
        self.run().scopes.truncate(outside);
        written
    }
}

fn too_many(definition: &Macro, given: usize) -> Failure {
    let message = format!(
        "Macro '{}' called with too many arguments ({given} instead of {}).",
        definition.name,
        definition.arguments.len()
    );
    Failure::execution(Some(&definition.mark), message)
}

/// What a step leads to inside a value.
fn inside(value: &Value, step: &Step, variable: &Variable) -> Result<Option<Value>, Failure> {
    match (step, &value.datum) {
        (Step::Name(name), Datum::Map(map)) => Ok(map.entries.get(name.as_bytes()).cloned()),
        (Step::Name(name), Datum::Loop(state)) => Ok(state.get().field(name.as_bytes())),
        (Step::Name(name), Datum::Block) => {
            let is_super = name == "Super";
            Ok(is_super.then(|| Datum::Function(Function::Super).into()))
        }
        (Step::Name(_), Datum::Cycle(_)) => Ok(None),
        (Step::Place(place), Datum::Text(text)) => {
            // LXD: in Go, a part of a string is a number.
            let byte = usize::try_from(*place)
                .ok()
                .and_then(|at| text.bytes.get(at));
            Ok(byte.map(|byte| i64::from(*byte).into()))
        }
        (Step::Place(place), Datum::List(items)) => {
            let place = usize::try_from(*place).ok();
            Ok(place.and_then(|at| items.get(at)).cloned())
        }
        (step, datum) => {
            let what = match step {
                Step::Name(_) => "a field by name",
                Step::Place(_) => "an index",
            };
            let kind = match datum {
                Datum::Loop(_) | Datum::Cycle(_) => "struct",
                other => other.kind(),
            };
            let name = variable.name();
            let message = format!("Can't access {what} on type {kind} (variable {name})");
            Err(Failure::execution(Some(&variable.mark), message))
        }
    }
}
