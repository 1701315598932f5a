//! From words to clauses.

use super::{Clause, Join, Wanted};

/// Reads the clauses of a filter, or says in LXD's words what is wrong.
pub(super) fn clauses(text: &str) -> Result<Vec<(Join, Clause)>, &'static str> {
    let mut words = text.split_whitespace().peekable();
    let mut clauses = Vec::new();
    let mut join = Join::And;
    while words.peek().is_some() {
        clauses.push((join, clause(&mut words)?));
        let Some(word) = words.next() else { break };
        join = match word {
            "and" => Join::And,
            "or" => Join::Or,
            _ => return Err("invalid clause composition"),
        };
        if words.peek().is_none() {
            return Err("unterminated compound clause");
        }
    }
    Ok(clauses)
}

fn clause<'t>(words: &mut impl Iterator<Item = &'t str>) -> Result<Clause, &'static str> {
    let mut field = words.next().ok_or("clause has no field")?;
    let is_not = field.eq_ignore_ascii_case("not");
    if is_not {
        field = words.next().ok_or("incomplete not clause")?;
    }
    let operator = words.next().ok_or("clause has no operator")?;
    let first = words.next().ok_or("clause has no value")?;
    let is_ne = operator.eq_ignore_ascii_case("ne");
    let value = Wanted::new(value(first, words)?);
    // LXD: any operator but `ne` means equal.
    Ok(Clause {
        is_negated: is_not != is_ne,
        field: field.to_owned(),
        value,
    })
}

/// A word, or several between quotes.
fn value<'t>(
    first: &str,
    words: &mut impl Iterator<Item = &'t str>,
) -> Result<String, &'static str> {
    let Some(opened) = first.strip_prefix('"') else {
        return Ok(first.to_owned());
    };
    if let Some(only) = opened.strip_suffix('"') {
        return Ok(only.to_owned());
    }
    let mut text = opened.to_owned();
    for word in words {
        text.push(' ');
        match word.strip_suffix('"') {
            Some(last) => return Ok(text + last),
            None => text.push_str(word),
        }
    }
    Err("unterminated quote")
}
