//! What somebody may have meant.

/// How many names are suggested.
const SUGGESTED: usize = 3;

/// How unlike a suggestion may be.
const MIN_LIKENESS: f64 = 0.7;

/// The names that are most like `name`, best first.
pub(in crate::remote) fn nearest<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> Vec<&'a str> {
    let mut near: Vec<_> = names
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness >= MIN_LIKENESS)
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    near.dedup_by_key(|(_, known)| *known);
    near.into_iter()
        .take(SUGGESTED)
        .map(|(_, known)| known)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn likely_names_come_first_and_strangers_not_at_all() {
        let names = ["alpine/3.18", "alpine/3.17", "debian/12", "alpine/3.18"];
        assert_eq!(
            nearest("alpine/3.1", names.into_iter())[..1],
            ["alpine/3.17"]
        );
        assert_eq!(nearest("debain/12", names.into_iter()), ["debian/12"]);
        assert!(nearest("xyz", names.into_iter()).is_empty());
    }
}
