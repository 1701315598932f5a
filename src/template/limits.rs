//! What a template may cost. Everything that is evaluated, repeated or written is paid for, so
//! that the dearest template ends after a few hundredths of a second.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{
    failure::Failure,
    value::{Datum, Value},
};

/// The longest template, in bytes.
pub(super) const SOURCE_MAX: usize = 1 << 20;

/// The longest text, rendered or on the way there, in bytes.
pub(super) const TEXT_MAX: usize = 1 << 20;

/// The longest list.
pub(super) const LIST_MAX: usize = 20_000;

/// The widest that a filter pads, and the most digits that one writes.
pub(super) const PADDING_MAX: usize = 10_000;

/// How deep macros and expressions may go while a template is rendered. What this is made of
/// costs stack, of which a worker's thread has 2 MiB.
const DEPTH_MAX: usize = 480;

/// How much deeper a macro is than a value in an expression.
pub(super) const MACRO_DEPTH: usize = 40;

/// Steps that a template may take: an operation is one.
const FUEL: u64 = 50_000;

/// How much text is worth a step, in bytes.
const BYTES_A_STEP: usize = 256;

/// How many list items are worth a step.
const ITEMS_A_STEP: usize = 8;

/// What is left to spend.
#[derive(Debug)]
pub(super) struct Budget(AtomicU64);

impl Budget {
    /// All of it.
    pub(super) fn full() -> Self {
        Self(AtomicU64::new(FUEL))
    }

    /// Spends so many steps.
    pub(super) fn spend(&self, steps: usize) -> Result<(), Failure> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        let spent = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(steps)
            });
        if spent.is_err() {
            return Err(Failure::fatal("The template takes too many steps."));
        }
        Ok(())
    }

    /// Spends what text of this length is worth, unless it is too long.
    pub(super) fn pay_for_text(&self, bytes: usize) -> Result<(), Failure> {
        if bytes > TEXT_MAX {
            let message = format!("The template makes more than {TEXT_MAX} bytes.");
            return Err(Failure::fatal(message));
        }
        self.spend(bytes / BYTES_A_STEP)
    }

    /// Spends what a list of this length is worth, unless it is too long.
    pub(super) fn pay_for_items(&self, items: usize) -> Result<(), Failure> {
        if items > LIST_MAX {
            let message = format!("The template makes a list of more than {LIST_MAX}.");
            return Err(Failure::fatal(message));
        }
        self.spend(items / ITEMS_A_STEP)
    }

    /// Spends what a value of its size is worth.
    pub(super) fn pay_for(&self, value: &Value) -> Result<(), Failure> {
        match &value.datum {
            Datum::Text(text) => self.pay_for_text(text.bytes.len()),
            Datum::List(items) => self.pay_for_items(items.len()),
            _ => Ok(()),
        }
    }
}

/// How deep it goes now.
#[derive(Debug, Default)]
pub(super) struct Depth(AtomicUsize);

/// Some of the depth, until this is dropped.
#[derive(Debug)]
pub(super) struct Deeper<'a>(&'a Depth, usize);

impl Depth {
    /// Goes deeper.
    pub(super) fn enter(&self, by: usize) -> Result<Deeper<'_>, Failure> {
        let before = self.0.fetch_add(by, Ordering::Relaxed);
        let deeper = Deeper(self, by);
        if before + by > DEPTH_MAX {
            return Err(Failure::fatal("The template goes too deep."));
        }
        Ok(deeper)
    }
}

impl Drop for Deeper<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_can_be_spent_and_no_further() {
        let budget = Budget::full();
        budget.spend(usize::try_from(FUEL).unwrap() - 1).unwrap();
        budget.spend(1).unwrap();
        assert!(budget.spend(1).unwrap_err().is_fatal());
    }

    #[test]
    fn text_and_lists_are_bounded_by_themselves() {
        let budget = Budget::full();
        budget.pay_for_text(TEXT_MAX).unwrap();
        budget.pay_for_text(TEXT_MAX + 1).unwrap_err();
        budget.pay_for_items(LIST_MAX).unwrap();
        budget.pay_for_items(LIST_MAX + 1).unwrap_err();
    }

    #[test]
    fn depth_is_given_back() {
        let depth = Depth::default();
        let whole = depth.enter(DEPTH_MAX).unwrap();
        depth.enter(1).unwrap_err();
        drop(whole);
        let _whole = depth.enter(DEPTH_MAX).unwrap();
    }
}
