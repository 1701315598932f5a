//! `for`.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use crate::template::{
    failure::Failure,
    program::Step,
    tree::Each,
    value::{Datum, Loop, Shared, Text, Value},
};

use super::{Call, Machine, operations::mixed_up, scopes::Item, silence};

impl Machine {
    /// Begins a loop. Tera goes through a list of nothings of the right length.
    pub(super) fn each(&self, call: &Call<'_>) -> Result<tera::Value, Failure> {
        let Some(Step::Each(each)) = call.step else {
            return Err(mixed_up());
        };
        let state = Shared::new(Loop {
            first: true,
            parent: self.around(),
            ..Loop::default()
        });
        let forloop = Value::from(Datum::Loop(Arc::clone(&state)));
        let here = self.here();
        let names = BTreeMap::from([("forloop".to_owned(), forloop)]);
        self.run().enter(here, names);
        let value = self.value(&each.items, self.here())?;
        self.budget.pay_for_items(value_items(&value))?;
        let items = items(&value, each)?;
        let nothings = vec![tera::Value::none(); items.len()];
        if let Some(scope) = self.run().scope() {
            scope.items = items.into();
            scope.state = Some(state);
        }
        Ok(nothings.into())
    }

    /// Goes on to the next item.
    pub(super) fn next(&self, _: &Call<'_>) -> Result<tera::Value, Failure> {
        let mut run = self.run();
        let scope = run.scope().ok_or_else(mixed_up)?;
        let (Some(item), Some(state)) = (scope.items.pop_front(), &scope.state) else {
            return Err(mixed_up());
        };
        state.get().advance(item.at, item.count);
        scope.names.extend(item.names);
        Ok(silence())
    }

    /// Ends a scope.
    #[expect(clippy::unnecessary_wraps, reason = "operations may fail")]
    pub(super) fn leave(&self, _: &Call<'_>) -> Result<tera::Value, Failure> {
        self.run().scopes.pop();
        Ok(silence())
    }
}

impl Loop {
    /// LXD: `First` ends at the second place, which comes early in a string from its end.
    fn advance(&mut self, at: usize, count: usize) {
        let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        self.counter = number(at + 1);
        self.left = number(count.saturating_sub(at));
        self.first &= at != 1;
        self.last |= at + 1 == count;
    }
}

/// How many times a loop would run.
fn value_items(value: &Value) -> usize {
    match &value.datum {
        Datum::Text(text) => text.bytes.len(),
        _ => value.length(),
    }
}

fn items(value: &Value, each: &Each) -> Result<Vec<Item>, Failure> {
    match &value.datum {
        Datum::Map(map) => {
            let entries = map.entries.iter();
            let mut pairs: Vec<_> = entries
                .map(|(key, value)| (Value::from(key.as_slice()), Some(value.clone())))
                .collect();
            // LXD goes through a map in no order unless it is told to.
            if each.sorted && each.reversed {
                pairs.reverse();
            }
            Ok(numbered(pairs, each))
        }
        Datum::List(list) => {
            let mut list = list.to_vec();
            if each.sorted {
                list.sort_by(order);
            }
            if each.reversed {
                list.reverse();
            }
            Ok(numbered(list.into_iter().map(|item| (item, None)), each))
        }
        Datum::Text(_) if each.sorted => {
            // pongo2 gives up here.
            Err(Failure::fatal("A string cannot be sorted"))
        }
        Datum::Text(text) => {
            let mut items = numbered(bytes(text), each);
            if each.reversed {
                items.reverse();
            }
            Ok(items)
        }
        _ => Ok(Vec::new()),
    }
}

/// LXD: a loop over a string goes byte by byte.
fn bytes(text: &Text) -> Vec<(Value, Option<Value>)> {
    let bytes = text.bytes.iter().map(|byte| Text {
        bytes: [*byte].into(),
        named: text.named,
    });
    bytes.map(|byte| (Datum::Text(byte).into(), None)).collect()
}

fn numbered(items: impl IntoIterator<Item = (Value, Option<Value>)>, each: &Each) -> Vec<Item> {
    let items: Vec<_> = items.into_iter().collect();
    let count = items.len();
    let items = items.into_iter().enumerate();
    items
        .map(|(at, (key, value))| {
            let second = each.value.clone().zip(value);
            let names = [Some((each.key.clone(), key)), second];
            Item {
                at,
                count,
                names: names.into_iter().flatten().collect(),
            }
        })
        .collect()
}

/// Numbers as numbers, everything else as text.
fn order(one: &Value, two: &Value) -> Ordering {
    match (&one.datum, &two.datum) {
        (Datum::Int(one), Datum::Int(two)) => one.cmp(two),
        (Datum::Float(one), Datum::Float(two)) => one.total_cmp(two),
        _ => one.text().cmp(&two.text()),
    }
}
