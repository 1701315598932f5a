use super::refusal;
use crate::api::json::{Jmap, Json, decode};

fn text(body: impl AsRef<[u8]>) -> String {
    decode(body.as_ref()).unwrap()
}

#[test]
fn escapes_are_resolved() {
    assert_eq!(
        text(r#""\"\\\/\b\f\n\r\t\u00e9\u20AC""#),
        "\"\\/\u{8}\u{c}\n\r\té€"
    );
    assert_eq!(text(r#""\u0000""#), "\0");
    assert_eq!(text(r#""\ud83d\ude00x""#), "😀x");
}

#[test]
fn what_is_no_unicode_becomes_replacement_characters() {
    assert_eq!(text(r#""a\ud800b""#), "a\u{fffd}b");
    assert_eq!(text(r#""\ude00\ud83d""#), "\u{fffd}\u{fffd}");
    assert_eq!(text(r#""\ud83d\u0041""#), "\u{fffd}A");
    assert_eq!(text(r#""\ud83d\ud83d\ude00""#), "\u{fffd}😀");
    assert_eq!(text(b"\"a\xffb\""), "a\u{fffd}b");
    assert_eq!(
        text(b"\"\xe2\x82A\\n\xf0\x9f\x98\""),
        "\u{fffd}\u{fffd}A\n\u{fffd}\u{fffd}\u{fffd}"
    );
}

#[test]
fn an_unknown_value_keeps_its_order_its_duplicates_and_the_spelling_of_numbers() {
    let json: Json = decode(br#"{"b":[1.50,{"x":null}],"a":true,"b":"last"}"#).unwrap();
    let Json::Object(members) = &json else {
        panic!("{json:?}")
    };
    let keys: Vec<_> = members.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["b", "a", "b"]);
    let Json::Array(items) = &members[0].1 else {
        panic!("{json:?}")
    };
    assert!(matches!(&items[0], Json::Number(number) if number == "1.50"));
    assert!(matches!(items[1].get("x"), Some(Json::Null)));
    assert_eq!(json.get("b").and_then(Json::as_str), Some("last"));
    assert_eq!(json.get("a").and_then(Json::as_bool), Some(true));
    assert!(json.get("c").is_none() && items[0].get("c").is_none());
}

#[test]
fn kinds_have_the_names_of_go() {
    let kinds = ["null", "true", "1e-999", "\"s\"", "[]", "{}"]
        .map(|body| decode::<Json>(body.as_bytes()).unwrap().go_kind());
    assert_eq!(
        kinds,
        ["invalid", "bool", "float64", "string", "slice", "map"]
    );
}

#[test]
fn a_string_is_moved_out_without_a_copy() {
    assert_eq!(
        decode::<Json>(b"\"s\"").unwrap().into_string().as_deref(),
        Some("s")
    );
    assert_eq!(decode::<Json>(b"5").unwrap().into_string(), None);
}

#[test]
fn a_jmap_knows_which_keys_the_body_has_exactly() {
    let jmap: Jmap = decode(br#"{"a":null,"B":"x","c":false,"B":"y"}"#).unwrap();
    assert!(jmap.contains("a") && jmap.contains("B") && !jmap.contains("b"));
    assert_eq!(jmap.get_string("B").unwrap(), "y");
    assert!(jmap.find("a").is_some() && jmap.find("d").is_none());
}

#[test]
fn a_jmap_tells_what_is_missing_or_of_another_type() {
    let jmap: Jmap = decode(br#"{"description":null,"target":5}"#).unwrap();
    let text = |key| jmap.get_string(key).unwrap_err().message().to_owned();
    assert_eq!(text("description"), "`description` was not a string");
    assert_eq!(text("target"), "`target` was not a string");
    assert_eq!(text("name"), "Response was missing `name`");
}

#[test]
fn a_jmap_is_an_object_or_null() {
    assert!(!decode::<Jmap>(b"null").unwrap().contains("a"));
    assert_eq!(
        refusal::<Jmap>("[1e999]"),
        "json: cannot unmarshal array into Go value of type shared.Jmap"
    );
    assert_eq!(
        refusal::<Jmap>(r#"{"x":[1e999]}"#),
        "json: cannot unmarshal number 1e999 into Go value of type float64"
    );
}

#[test]
fn the_debug_output_of_a_jmap_shows_no_values() {
    let jmap: Jmap = decode(br#"{"a":"secret","b":[1]}"#).unwrap();
    assert_eq!(
        format!("{jmap:?}"),
        r#"Jmap({"a": string, "b": [1 items]})"#
    );
}
