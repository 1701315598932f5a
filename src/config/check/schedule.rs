//! When snapshots are taken.

use super::Checked;

/// Words that stand for a schedule.
const ALIASES: &[&str] = &[
    "@hourly",
    "@daily",
    "@midnight",
    "@weekly",
    "@monthly",
    "@annually",
    "@yearly",
    "@startup",
    "@never",
];

/// The least and greatest value of each field.
const FIELDS: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];

/// Five fields as in a crontab, or aliases, or several of either with commas between.
pub(crate) fn schedule(text: &str) -> Checked {
    let are_aliases = text.split(',').all(|word| ALIASES.contains(&word.trim()));
    if text.is_empty() || are_aliases || is_cron(text) {
        return Ok(());
    }
    let form = "<minute> <hour> <day-of-month> <month> <day-of-week>";
    Err(format!("Schedule must be of the form: {form}"))
}

fn is_cron(text: &str) -> bool {
    let fields: Vec<_> = text.split_whitespace().collect();
    fields.len() == FIELDS.len()
        && fields
            .iter()
            .zip(FIELDS)
            .all(|(f, range)| is_field(f, range))
}

fn is_field(field: &str, (least, greatest): (u32, u32)) -> bool {
    let is_value = |text: &str| {
        let is_name = text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic());
        is_name
            || text
                .parse()
                .is_ok_and(|value: u32| (least..=greatest).contains(&value))
    };
    field.split(',').all(|item| {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let is_range =
            range == "*" || range.split('-').count() <= 2 && range.split('-').all(is_value);
        is_range && step.parse::<u32>().is_ok_and(|step| step > 0)
    })
}
