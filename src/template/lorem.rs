//! Filler text: what `{% lorem %}` writes.

/// The usual text; every line is a paragraph.
const TEXT: &str = include_str!("lorem.txt");

/// The most that a tag may ask for.
pub(super) const COUNT_MAX: i64 = 1_000;

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    /// Words, on a line.
    Words,
    /// Paragraphs in `<p>`.
    Paragraphs,
    /// Paragraphs as lines.
    Lines,
}

impl Unit {
    /// By the letter that a tag names it with.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "w" => Some(Self::Words),
            "p" => Some(Self::Paragraphs),
            "b" => Some(Self::Lines),
            _ => None,
        }
    }
}

/// That much filler text, unless it is too much.
pub(super) fn text(count: i64, unit: Unit) -> Option<Vec<u8>> {
    let count = usize::try_from(count.max(0)).ok()?;
    if count > usize::try_from(COUNT_MAX).ok()? {
        return None;
    }
    let lines = TEXT.lines().cycle().take(count);
    let text = match unit {
        Unit::Words => {
            let words = TEXT.split_whitespace().cycle().take(count);
            words.collect::<Vec<_>>().join(" ")
        }
        Unit::Paragraphs => {
            let paragraphs = lines.map(|line| format!("<p>{line}</p>"));
            paragraphs.collect::<Vec<_>>().join("\n")
        }
        Unit::Lines => lines.collect::<Vec<_>>().join("\n"),
    };
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filler_text_is_counted_and_goes_round() {
        let words = text(2, Unit::Words).unwrap();
        assert_eq!(words, b"Lorem ipsum");
        let lines = String::from_utf8(text(8, Unit::Lines).unwrap()).unwrap();
        assert_eq!(lines.lines().next(), lines.lines().last());
        assert!(text(1, Unit::Paragraphs).unwrap().starts_with(b"<p>Lorem"));
        assert_eq!(text(-5, Unit::Words).unwrap(), b"");
        assert!(text(COUNT_MAX + 1, Unit::Words).is_none());
    }
}
