//! What expressions come to.

use crate::template::{
    failure::Failure,
    tree::{Call, Expression, Junction, Operator},
    value::Value,
};

use super::Machine;

impl Machine {
    /// The value of an expression, with the names of a scope.
    pub(super) fn value(&self, expression: &Expression, scope: usize) -> Result<Value, Failure> {
        self.budget.spend(1)?;
        let _deeper = self.depth.enter(1)?;
        match expression {
            Expression::Literal(_, value) => Ok(value.clone()),
            Expression::Variable(variable) => self.variable(variable, scope),
            Expression::Filtered(_, value, calls) => {
                let mut value = self.value(value, scope)?;
                for call in calls {
                    value = self.apply(&value, call, scope)?;
                }
                Ok(value)
            }
            Expression::Signed {
                negative,
                inverted,
                term,
            } => {
                let mut value = self.value(term, scope)?;
                if *inverted {
                    value = value.negated();
                }
                if *negative {
                    minus(&value, term)
                } else {
                    Ok(value)
                }
            }
            Expression::Binary(operator, pair) => {
                let one = self.value(&pair.0, scope)?;
                let two = self.value(&pair.1, scope)?;
                self.budget.pay_for(&one)?;
                self.budget.pay_for(&two)?;
                operate(*operator, &one, &two)
            }
            Expression::Logic(first, rest) => self.logic(first, rest, scope),
        }
    }

    fn apply(&self, value: &Value, call: &Call, scope: usize) -> Result<Value, Failure> {
        self.budget.spend(1)?;
        let argument = match &call.argument {
            Some(argument) => self.value(argument, scope)?,
            None => Value::nil(),
        };
        let applied = call.filter.apply(value, &argument, &self.budget);
        applied.map_err(|failure| failure.or_at(&call.mark))
    }

    /// `a and b or c` is `a and (b or c)`: the first value that decides ends it all.
    fn logic(
        &self,
        first: &Expression,
        rest: &[(Junction, Expression)],
        scope: usize,
    ) -> Result<Value, Failure> {
        let mut truth = self.value(first, scope)?.truth();
        for (junction, value) in rest {
            if truth == (*junction == Junction::Or) {
                break;
            }
            truth = self.value(value, scope)?.truth();
        }
        Ok(truth.into())
    }
}

fn minus(value: &Value, term: &Expression) -> Result<Value, Failure> {
    if value.is_float() {
        return Ok((-value.float()).into());
    }
    if value.is_number() {
        return Ok(value.integer().wrapping_neg().into());
    }
    let message = "Negative sign on a non-number expression";
    Err(Failure::execution(Some(term.mark()), message))
}

fn operate(operator: Operator, one: &Value, two: &Value) -> Result<Value, Failure> {
    Ok(match operator {
        Operator::Equal => one.equals(two)?.into(),
        Operator::Unequal => (!one.equals(two)?).into(),
        Operator::In => two.contains(one)?.into(),
        Operator::Less => compare(one, two, |one, two| one < two, |one, two| one < two),
        Operator::LessOrEqual => compare(one, two, |one, two| one <= two, |one, two| one <= two),
        Operator::Greater => compare(one, two, |one, two| one > two, |one, two| one > two),
        Operator::GreaterOrEqual => compare(one, two, |one, two| one >= two, |one, two| one >= two),
        Operator::Plus => calculate(one, two, i64::wrapping_add, |one, two| one + two),
        Operator::Minus => calculate(one, two, i64::wrapping_sub, |one, two| one - two),
        Operator::Times => calculate(one, two, i64::wrapping_mul, |one, two| one * two),
        Operator::Over if one.is_float() || two.is_float() => (one.float() / two.float()).into(),
        Operator::Over => divisor(two)
            .map(|two| one.integer().wrapping_div(two))?
            .into(),
        Operator::Modulo => divisor(two)
            .map(|two| one.integer().wrapping_rem(two))?
            .into(),
        Operator::Power => one.float().powf(two.float()).into(),
    })
}

/// Floats if one of both is, integers otherwise: strings are read as integers.
fn calculate(
    one: &Value,
    two: &Value,
    integers: fn(i64, i64) -> i64,
    floats: fn(f64, f64) -> f64,
) -> Value {
    if one.is_float() || two.is_float() {
        return floats(one.float(), two.float()).into();
    }
    integers(one.integer(), two.integer()).into()
}

fn compare(
    one: &Value,
    two: &Value,
    integers: fn(&i64, &i64) -> bool,
    floats: fn(&f64, &f64) -> bool,
) -> Value {
    if one.is_float() || two.is_float() {
        return floats(&one.float(), &two.float()).into();
    }
    integers(&one.integer(), &two.integer()).into()
}

fn divisor(value: &Value) -> Result<i64, Failure> {
    match value.integer() {
        0 => Err(Failure::fatal("runtime error: integer divide by zero")),
        divisor => Ok(divisor),
    }
}
