//! The Tera functions that a template's steps are.

use std::collections::BTreeMap;

use crate::template::{
    failure::Failure,
    filters::Filter,
    layout, number,
    program::Step,
    spaceless, text,
    tree::{BlockFilter, Expression, Mark},
    value::{Cycle, Datum, Function, Shared, Value},
};

use super::{Call, Machine, Operation, silence};

/// All of them, by the names that the translation calls them.
pub(super) const OPERATIONS: &[(&str, Operation)] = &[
    ("assign", assign),
    ("block", block),
    ("changed", changed),
    ("choose", choose),
    ("cycle", cycle),
    ("define", define),
    ("differs", differs),
    ("each", Machine::each),
    ("enter", enter),
    ("equal", equal),
    ("escape", escape),
    ("escape_again", escape_again),
    ("fail", fail),
    ("filter", filter),
    ("first", first),
    ("leave", Machine::leave),
    ("next", Machine::next),
    ("now", now),
    ("ratio", ratio),
    ("show", show),
    ("spaceless", without_space),
    ("text", plain),
];

/// A step of another kind than its function is for.
pub(super) fn mixed_up() -> Failure {
    Failure::fatal("A step does not go with its function")
}

fn plain(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Text(text)) = call.step else {
        return Err(mixed_up());
    };
    machine.write(text)
}

fn show(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Show(expression)) = call.step else {
        return Err(mixed_up());
    };
    let value = machine.value(expression, machine.here())?;
    let escapes = machine.escapes() && value.is_text() && !value.safe && !expression.is_safe();
    machine.write_value(&value, escapes)
}

fn first(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::First(expressions)) = call.step else {
        return Err(mixed_up());
    };
    for expression in expressions {
        let value = machine.value(expression, machine.here())?;
        if value.truth() {
            let escapes = machine.escapes() && !expression.is_safe();
            return machine.write_value(&value, escapes);
        }
    }
    Ok(silence())
}

fn choose(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Choose(conditions)) = call.step else {
        return Err(mixed_up());
    };
    for (at, condition) in conditions.iter().enumerate() {
        if machine.value(condition, machine.here())?.truth() {
            return Ok(at.into());
        }
    }
    Ok(conditions.len().into())
}

fn equal(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Compare(pair, wanted)) = call.step else {
        return Err(mixed_up());
    };
    let one = machine.value(&pair.0, machine.here())?;
    let two = machine.value(&pair.1, machine.here())?;
    Ok((one.equals(&two)? == *wanted).into())
}

fn differs(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Differs(watched)) = call.step else {
        return Err(mixed_up());
    };
    let values = machine.values(watched)?;
    let before = machine.run().watched.insert(call.number, values.clone());
    let Some(before) = before else {
        return Ok(true.into());
    };
    for (old, new) in before.iter().zip(&values) {
        if !old.equals(new)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn changed(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let now = Value::from(call.body.as_slice());
    let before = machine.run().watched.insert(call.number, vec![now]);
    let before = before.unwrap_or_default();
    let before = before.first().map(Value::text).unwrap_or_default();
    if before == call.body {
        return Ok(silence());
    }
    machine.write(&call.body)
}

fn fail(_: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Fail(why)) = call.step else {
        return Err(mixed_up());
    };
    Err(Failure::fatal(*why))
}

fn enter(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Enter(names)) = call.step else {
        return Err(mixed_up());
    };
    let here = machine.here();
    let mut values = BTreeMap::new();
    for (name, expression) in names {
        values.insert(name.clone(), machine.value(expression, here)?);
    }
    machine.run().enter(here, values);
    Ok(silence())
}

fn assign(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Assign(name, expression)) = call.step else {
        return Err(mixed_up());
    };
    let value = machine.value(expression, machine.here())?;
    machine.assign(name, value);
    Ok(silence())
}

fn define(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Define(number)) = call.step else {
        return Err(mixed_up());
    };
    let Some(definition) = machine.program.macros.get(*number) else {
        return Err(mixed_up());
    };
    let function = Function::Macro(*number, machine.here());
    machine.assign(&definition.name, Datum::Function(function).into());
    Ok(silence())
}

#[expect(clippy::unnecessary_wraps, reason = "operations may fail")]
fn block(machine: &Machine, _: &Call<'_>) -> Result<tera::Value, Failure> {
    machine.assign("block", Datum::Block.into());
    Ok(silence())
}

fn cycle(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Cycle { name, silent, .. }) = call.step else {
        return Err(mixed_up());
    };
    let value = machine.turn(call.number)?;
    if let Datum::Cycle(other) = &value.datum {
        return machine.turn_other(other);
    }
    if let Some(name) = name {
        let cycle = Shared::new(Cycle {
            tag: call.number,
            shown: value.clone(),
        });
        machine.assign(name, Datum::Cycle(cycle).into());
    }
    machine.write_value_unless(*silent, &value)
}

fn filter(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Filter(mark, filters)) = call.step else {
        return Err(mixed_up());
    };
    let mut value = Value::from(call.body.as_slice());
    for filter in filters {
        value = machine.filtered(&value, filter, mark)?;
    }
    machine.write_value(&value, false)
}

fn without_space(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    machine.write(&spaceless::between_tags(&call.body, &machine.budget)?)
}

fn escape(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Escape(on)) = call.step else {
        return Err(mixed_up());
    };
    if let Some(scope) = machine.run().scope() {
        scope.escapes.push(*on);
    }
    Ok(silence())
}

#[expect(clippy::unnecessary_wraps, reason = "operations may fail")]
fn escape_again(machine: &Machine, _: &Call<'_>) -> Result<tera::Value, Failure> {
    if let Some(scope) = machine.run().scope() {
        scope.escapes.pop();
    }
    Ok(silence())
}

fn now(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Now(format)) = call.step else {
        return Err(mixed_up());
    };
    machine.write(&layout::format(format, machine.now))
}

fn ratio(machine: &Machine, call: &Call<'_>) -> Result<tera::Value, Failure> {
    let Some(Step::Ratio(numbers, name)) = call.step else {
        return Err(mixed_up());
    };
    let here = machine.here();
    let [value, most, width] = &**numbers;
    let value = machine.value(value, here)?.float();
    let most = machine.value(most, here)?.float();
    let width = machine.value(width, here)?.float();
    // LXD: what should be rounded is made larger first, and then rounded up.
    let ratio = Value::from(number::integer((value / most * width + 0.5).ceil()));
    match name {
        Some(name) => machine.assign(name, ratio),
        None => return machine.write_value(&ratio, false),
    }
    Ok(silence())
}

impl Machine {
    fn write_value(&self, value: &Value, escapes: bool) -> Result<tera::Value, Failure> {
        if escapes {
            return self.write(&text::escape(&value.text()));
        }
        self.write(&value.text())
    }

    fn write_value_unless(&self, silent: bool, value: &Value) -> Result<tera::Value, Failure> {
        if silent {
            return Ok(silence());
        }
        self.write_value(value, false)
    }

    fn values(&self, expressions: &[Expression]) -> Result<Vec<Value>, Failure> {
        let here = self.here();
        let values = expressions.iter();
        values.map(|value| self.value(value, here)).collect()
    }

    /// The next value of the cycle of this number.
    fn turn(&self, number: usize) -> Result<Value, Failure> {
        let Some(Step::Cycle { items, .. }) = self.program.steps.get(number) else {
            return Err(mixed_up());
        };
        let at = {
            let mut run = self.run();
            let turns = run.turns.entry(number).or_default();
            *turns += 1;
            *turns - 1
        };
        let item = at.checked_rem(items.len()).and_then(|at| items.get(at));
        let item = item.ok_or_else(|| Failure::fatal("runtime error: integer divide by zero"))?;
        self.value(item, self.here())
    }

    /// Goes on with a cycle that has a name.
    fn turn_other(&self, cycle: &Shared<Cycle>) -> Result<tera::Value, Failure> {
        let tag = cycle.get().tag;
        let value = self.turn(tag)?;
        cycle.get().shown = value.clone();
        let silent = matches!(
            self.program.steps.get(tag),
            Some(Step::Cycle { silent: true, .. })
        );
        self.write_value_unless(silent, &value)
    }

    /// What a filter of a filter block makes of a value.
    fn filtered(&self, value: &Value, filter: &BlockFilter, mark: &Mark) -> Result<Value, Failure> {
        let argument = match &filter.argument {
            Some(argument) => self.value(argument, self.here())?,
            None => Value::nil(),
        };
        let applied = match Filter::named(&filter.name) {
            Some(found) => found.apply(value, &argument, &self.budget),
            None => Err(Failure::no_filter(&filter.name)),
        };
        applied.map_err(|failure| failure.inside(mark))
    }
}
