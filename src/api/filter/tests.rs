//! The filters that were tried on LXD, and the ones it gets wrong.

use serde_json::json;

use super::Filter;

fn passes(filter: &str) -> bool {
    let image = json!({
        "public": true,
        "size": 1_031_964,
        "type": "container",
        "profiles": ["default", "web"],
        "aliases": [{"name": "bb"}],
        "update_source": null,
        "properties": {"os": "Ubuntu", "description": "Ubuntu focal amd64", "user.a": "x"},
    });
    Filter::parse(filter).unwrap().unwrap().passes(&image)
}

#[test]
fn text_is_matched_as_a_whole_by_a_pattern_in_any_capitals() {
    assert!(passes("properties.os eq ubuntu"));
    assert!(passes("properties.os = Ub.*"));
    assert!(passes("properties.os EQ ^ub"));
    assert!(!passes("properties.os eq Ubu"));
    assert!(!passes("properties.os eq ("));
    assert!(passes("properties.user.a eq x"));
}

#[test]
fn flags_numbers_and_lists_are_compared_as_what_they_are() {
    assert!(passes("public eq true"));
    assert!(passes("public eq 1"));
    assert!(!passes("public ne true"));
    assert!(!passes("public eq maybe"));
    assert!(passes("size eq 1031964"));
    assert!(passes("size ne 1"));
    assert!(passes("profiles eq web"));
    assert!(!passes("profiles eq we"));
}

#[test]
fn what_is_not_there_equals_nothing() {
    for absent in [
        "nothing",
        "properties.none",
        "type.foo",
        "aliases.name",
        "update_source.server",
    ] {
        assert!(!passes(&format!("{absent} eq x")), "{absent}");
        assert!(passes(&format!("{absent} ne x")), "{absent}");
    }
}

#[test]
fn clauses_are_taken_from_left_to_right() {
    assert!(passes(
        "public eq false and type eq container or properties.os eq ubuntu"
    ));
    assert!(!passes(
        "properties.os eq ubuntu or public eq false and type eq vm"
    ));
    assert!(passes("NOT public eq false"));
    assert!(passes("not public ne true"));
}

#[test]
fn quotes_hold_words_together() {
    assert!(passes("properties.description eq \"Ubuntu focal amd64\""));
    assert!(passes("properties.os eq \"Ubuntu\""));
}

#[test]
fn errors_are_told_in_lxds_words() {
    let cases = [
        ("not", "incomplete not clause"),
        ("eq", "clause has no operator"),
        ("a eq", "clause has no value"),
        ("a eq \"b c", "unterminated quote"),
        ("a eq b xor c eq d", "invalid clause composition"),
        ("a eq b AND c eq d", "invalid clause composition"),
        ("not not a eq b", "invalid clause composition"),
        ("a eq b and", "unterminated compound clause"),
    ];
    for (filter, reason) in cases {
        let error = Filter::parse(filter).unwrap_err();
        assert_eq!(
            error.message(),
            format!("Invalid filter: {reason}"),
            "{filter}"
        );
    }
    assert!(Filter::parse("").unwrap().is_none());
    assert!(Filter::parse("  ").unwrap().is_none());
    assert!(Filter::parse(&"x".repeat(5000)).is_err());
}
