//! `stringformat`: Go's `fmt.Sprintf` with one operand.

mod number;
mod operand;
mod quote;

use crate::template::{
    failure::Failure,
    limits::{Budget, PADDING_MAX},
    text,
    value::Value,
};

use super::Input;

pub(super) fn string_format(input: &Input<'_>) -> Result<Value, Failure> {
    let format = input.argument_text();
    let mut printer = Printer {
        rest: &format,
        operand: input.value,
        budget: input.budget,
        used: false,
        reordered: false,
        written: Vec::new(),
    };
    while let Some((byte, after)) = printer.rest.split_first() {
        printer.rest = after;
        if *byte == b'%' {
            printer.directive()?;
        } else {
            printer.written.push(*byte);
        }
        // One verb may write the whole operand.
        input.budget.pay_for_text(printer.written.len() / 16)?;
    }
    printer.extra();
    Ok(printer.written.into())
}

/// How a verb writes.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "these are Go's five flags")]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'a> {
    rest: &'a [u8],
    operand: &'a Value,
    budget: &'a Budget,
    used: bool,
    reordered: bool,
    written: Vec<u8>,
}

/// Which operand a verb is about.
enum Index {
    Next,
    First,
    Bad,
}

impl Printer<'_> {
    fn directive(&mut self) -> Result<(), Failure> {
        let mut flags = self.flags();
        let mut index = self.index();
        if self.accept(b'*') {
            flags.width = self.star(&mut flags.minus, b"%!(BADWIDTH)")?;
            index = self.index();
        } else {
            flags.width = self.digits()?;
        }
        if self.accept(b'.') {
            index = self.index_after(index);
            flags.precision = if self.accept(b'*') {
                self.star(&mut false, b"%!(BADPREC)")?
            } else {
                Some(self.digits()?.unwrap_or(0))
            };
        }
        index = self.index_after(index);
        let Some((verb, length)) = text::decode(self.rest) else {
            self.written.extend(b"%!(NOVERB)");
            return Ok(());
        };
        self.rest = self.rest.get(length..).unwrap_or_default();
        self.verb(verb, flags, &index)
    }

    fn verb(&mut self, verb: char, flags: Flags, index: &Index) -> Result<(), Failure> {
        let bad = |why: &str| format!("%!{verb}({why})").into_bytes();
        let written = match index {
            _ if verb == '%' => b"%".to_vec(),
            Index::Bad => bad("BADINDEX"),
            Index::Next if self.used => bad("MISSING"),
            Index::Next | Index::First => {
                self.used = true;
                let padded = operand::leaves(self.operand).saturating_mul(flags.padding());
                self.budget.pay_for_text(padded)?;
                operand::print(self.operand, verb, flags)
            }
        };
        self.written.extend(written);
        Ok(())
    }

    /// What is said of an operand that no verb wrote.
    fn extra(&mut self) {
        if self.used || self.reordered {
            return;
        }
        self.written.extend(b"%!(EXTRA ");
        let typed = operand::typed(self.operand);
        self.written.extend(typed);
        self.written.push(b')');
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let Some((byte, after)) = self.rest.split_first() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = !flags.minus,
                b'+' => flags.plus = true,
                b'-' => {
                    flags.minus = true;
                    flags.zero = false;
                }
                b' ' => flags.space = true,
                _ => break,
            }
            self.rest = after;
        }
        flags
    }

    fn accept(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn digits(&mut self) -> Result<Option<usize>, Failure> {
        let length = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, after) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = after;
        if digits.is_empty() {
            return Ok(None);
        }
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        bounded(number.unwrap_or(usize::MAX)).map(Some)
    }

    /// A width or precision that the operand gives.
    fn star(&mut self, minus: &mut bool, bad: &[u8]) -> Result<Option<usize>, Failure> {
        use crate::template::value::Datum;
        let given = match self.operand.datum {
            Datum::Int(number) if !self.used => Some(number),
            _ => None,
        };
        self.used = true;
        let Some(number) = given else {
            self.written.extend(bad);
            return Ok(None);
        };
        *minus |= number < 0;
        bounded(usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)).map(Some)
    }

    fn index_after(&mut self, index: Index) -> Index {
        match self.index() {
            Index::Next => index,
            other => other,
        }
    }

    /// `[1]`; there is one operand only.
    fn index(&mut self) -> Index {
        let Some(inside) = self.rest.strip_prefix(b"[") else {
            return Index::Next;
        };
        self.reordered = true;
        let Some(end) = inside.iter().position(|byte| *byte == b']') else {
            self.rest = inside;
            return Index::Bad;
        };
        let (number, after) = inside.split_at_checked(end).unwrap_or_default();
        self.rest = after.get(1..).unwrap_or_default();
        if number == b"1" {
            Index::First
        } else {
            Index::Bad
        }
    }
}

fn bounded(number: usize) -> Result<usize, Failure> {
    if number > PADDING_MAX {
        let message = format!("wider than {PADDING_MAX}");
        return Err(Failure::filter("stringformat", message));
    }
    Ok(number)
}

impl Flags {
    /// The most that filling up may write.
    fn padding(&self) -> usize {
        let (width, precision) = (self.width.unwrap_or(0), self.precision.unwrap_or(0));
        width.max(precision)
    }

    /// Fills up to the width, with spaces unless the zeros are asked for.
    fn pad(&self, text: &[u8]) -> Vec<u8> {
        let missing = self.width.unwrap_or(0).saturating_sub(text::count(text));
        let filling = vec![if self.zero { b'0' } else { b' ' }; missing];
        if self.minus {
            [text, &vec![b' '; missing]].concat()
        } else {
            [&filling, text].concat()
        }
    }
}
