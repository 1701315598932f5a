//! Expressions, with pongo2's precedence: `and` and `or` are alike and group to the right, `not`
//! binds tighter than a comparison, and a filter's argument is a single value.

use crate::template::{
    failure::Failure,
    filters::Filter,
    lexer::{Kind, Token},
    tree::{Call, Expression, Junction, Operator, Part, Step, Variable},
    value::Value,
};

use super::cursor::Cursor;

const RELATIONS: &[(&str, Operator)] = &[
    ("==", Operator::Equal),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("!=", Operator::Unequal),
    ("<>", Operator::Unequal),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

const SUMS: &[(&str, Operator)] = &[("+", Operator::Plus), ("-", Operator::Minus)];

const PRODUCTS: &[(&str, Operator)] = &[
    ("*", Operator::Times),
    ("/", Operator::Over),
    ("%", Operator::Modulo),
];

impl Cursor {
    /// An expression.
    pub(super) fn expression(&mut self) -> Result<Expression, Failure> {
        self.deeper(Self::logic)
    }

    fn logic(&mut self) -> Result<Expression, Failure> {
        let first = self.relation()?;
        let mut rest = Vec::new();
        while let Some(junction) = self.junction() {
            rest.push((junction, self.relation()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expression::Logic(Box::new(first), rest))
    }

    fn junction(&mut self) -> Option<Junction> {
        if self.symbol("&&") || self.keyword("and") {
            return Some(Junction::And);
        }
        (self.symbol("||") || self.keyword("or")).then_some(Junction::Or)
    }

    fn relation(&mut self) -> Result<Expression, Failure> {
        let left = self.sum()?;
        if let Some(operator) = self.one_of(RELATIONS) {
            let right = self.deeper(Self::relation)?;
            return Ok(binary(operator, left, right));
        }
        if self.keyword("in") {
            let right = self.sum()?;
            return Ok(binary(Operator::In, left, right));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expression, Failure> {
        let negative = self.symbol("-");
        if !negative {
            self.symbol("+");
        }
        let inverted = self.symbol("!") || self.keyword("not");
        let mut sum = self.product()?;
        if negative || inverted {
            sum = Expression::Signed {
                negative,
                inverted,
                term: Box::new(sum),
            };
        }
        self.chained(sum, SUMS, Self::product)
    }

    fn product(&mut self) -> Result<Expression, Failure> {
        let first = self.power()?;
        self.chained(first, PRODUCTS, Self::power)
    }

    /// Operations that group to the left. They nest, so their number is bounded, too.
    fn chained(
        &mut self,
        first: Expression,
        operators: &[(&str, Operator)],
        operand: fn(&mut Self) -> Result<Expression, Failure>,
    ) -> Result<Expression, Failure> {
        const CHAIN_MAX: usize = 200;
        let mut value = first;
        let mut length = 0;
        while let Some(operator) = self.one_of(operators) {
            length += 1;
            if length > CHAIN_MAX {
                return Err(self.failure("The expression is too long."));
            }
            value = binary(operator, value, operand(self)?);
        }
        Ok(value)
    }

    fn power(&mut self) -> Result<Expression, Failure> {
        let base = self.factor()?;
        if !self.symbol("^") {
            return Ok(base);
        }
        let exponent = self.deeper(Self::power)?;
        Ok(binary(Operator::Power, base, exponent))
    }

    fn factor(&mut self) -> Result<Expression, Failure> {
        if !self.symbol("(") {
            return self.filtered();
        }
        let inner = self.expression()?;
        if !self.symbol(")") {
            return Err(self.failure("Closing bracket expected after expression"));
        }
        Ok(inner)
    }

    fn one_of(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        let found = operators.iter().find(|(text, _)| self.symbol(text));
        found.map(|(_, operator)| *operator)
    }

    /// A value and its filters.
    fn filtered(&mut self) -> Result<Expression, Failure> {
        let value = self.value()?;
        let mut calls = Vec::new();
        while self.symbol("|") {
            calls.push(self.filter()?);
        }
        if calls.is_empty() {
            return Ok(value);
        }
        let mark = value.mark().clone().into();
        Ok(Expression::Filtered(mark, Box::new(value), calls))
    }

    fn filter(&mut self) -> Result<Call, Failure> {
        let mark = self
            .take_kind(Kind::Identifier)
            .ok_or_else(|| self.failure("Filter name must be an identifier."))?;
        let name = mark.name();
        let filter = Filter::named(&name).ok_or_else(|| {
            Failure::parser(Some(&mark), format!("Filter '{name}' does not exist."))
        })?;
        let mut argument = None;
        if self.symbol(":") {
            if self.sees(Kind::Symbol, "}}") {
                return Err(self.failure("Filter parameter required after ':'."));
            }
            argument = Some(self.value()?);
        }
        Ok(Call {
            mark,
            filter,
            argument,
        })
    }

    /// A literal or a variable, without filters.
    pub(super) fn value(&mut self) -> Result<Expression, Failure> {
        let Some(token) = self.current().cloned() else {
            let message = "Unexpected EOF, expected a number, string, keyword or identifier.";
            return Err(Failure::parser(self.last(), message));
        };
        let literal = match token.kind {
            Kind::Number => self.number()?,
            Kind::String => {
                self.take();
                Value::from(token.text.as_slice())
            }
            Kind::Keyword => self.boolean(&token)?,
            Kind::Identifier => return self.variable(),
            Kind::Symbol | Kind::Text => {
                let message = "Expected either a number, string, keyword or identifier.";
                return Err(Failure::parser(Some(&token), message));
            }
        };
        Ok(Expression::Literal(token, literal))
    }

    fn boolean(&mut self, token: &Token) -> Result<Value, Failure> {
        self.take();
        match token.text.as_slice() {
            b"true" => Ok(true.into()),
            b"false" => Ok(false.into()),
            _ => Err(self.failure("This keyword is not allowed here.")),
        }
    }

    /// Digits, or digits around a point.
    fn number(&mut self) -> Result<Value, Failure> {
        let Some(whole) = self.take() else {
            return Ok(Value::nil());
        };
        if !self.symbol(".") {
            return integer(&whole).map(Value::from);
        }
        let fraction = self
            .take_kind(Kind::Number)
            .ok_or_else(|| self.failure("Expected a number after the '.'."))?;
        let text = format!("{}.{}", whole.name(), fraction.name());
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(float.into()),
            _ => {
                let message = format!("strconv.ParseFloat: parsing \"{text}\": value out of range");
                Err(Failure::parser(Some(&whole), message))
            }
        }
    }

    fn variable(&mut self) -> Result<Expression, Failure> {
        let Some(mark) = self.take() else {
            return Err(self.failure("Expected an identifier"));
        };
        let mut last = Part {
            step: Step::Name(mark.name()),
            call: None,
        };
        let mut parts = Vec::new();
        loop {
            if self.symbol(".") {
                let next = self.step()?;
                parts.push(std::mem::replace(&mut last, next));
            } else if self.symbol("(") {
                let arguments = self.deeper(Self::call)?;
                last.call.get_or_insert_default().extend(arguments);
            } else {
                break;
            }
        }
        parts.push(last);
        Ok(Expression::Variable(Variable { mark, parts }))
    }

    fn step(&mut self) -> Result<Part, Failure> {
        let Some(token) = self.current().cloned() else {
            let message = "Unexpected EOF, expected either IDENTIFIER or NUMBER after DOT.";
            return Err(Failure::parser(self.last(), message));
        };
        let step = match token.kind {
            Kind::Identifier => Step::Name(token.name()),
            Kind::Number => Step::Place(integer(&token)?),
            _ => {
                let message = "This token is not allowed within a variable name.";
                return Err(Failure::parser(Some(&token), message));
            }
        };
        self.take();
        Ok(Part { step, call: None })
    }

    /// The arguments of a call, behind its bracket.
    fn call(&mut self) -> Result<Vec<Expression>, Failure> {
        let mut arguments = Vec::new();
        loop {
            if self.is_done() {
                let message = "Unexpected EOF, expected function call argument list.";
                return Err(Failure::parser(self.last(), message));
            }
            if self.symbol(")") {
                return Ok(arguments);
            }
            arguments.push(self.expression()?);
            if self.symbol(")") {
                return Ok(arguments);
            }
            if !self.symbol(",") {
                return Err(self.failure("Missing comma or closing bracket after argument."));
            }
        }
    }
}

fn binary(operator: Operator, left: Expression, right: Expression) -> Expression {
    Expression::Binary(operator, Box::new((left, right)))
}

fn integer(token: &Token) -> Result<i64, Failure> {
    let text = token.name();
    text.parse().map_err(|_overflow| {
        let message = format!("strconv.Atoi: parsing \"{text}\": value out of range");
        Failure::parser(Some(token), message)
    })
}
