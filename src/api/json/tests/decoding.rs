use std::collections::BTreeMap;

use super::refusal;
use crate::api::json::{Json, decode, decode::decode_into, go_struct};

go_struct! {
    /// A struct with a field of each sort.
    struct test.Outer embeds base: Base {
        /// A bool.
        flag: bool,
        /// A Go `int`.
        count: isize,
        /// A Go `int64`.
        size: i64,
        /// A list.
        items: Vec<Inner>,
        /// A pointer.
        inner: Option<Inner>,
        /// A list that may be absent.
        words: Option<Vec<String>>,
        /// Anything.
        any: BTreeMap<String, Json>,
    }
}

go_struct! {
    /// An embedded struct.
    struct test.Base {
        /// A string, with letters that fold oddly.
        task: String,
        /// A map.
        config: BTreeMap<String, String>,
        /// A map of maps.
        devices: BTreeMap<String, BTreeMap<String, String>>,
    }
}

go_struct! {
    /// A nested struct.
    struct test.Inner {
        /// A key that is a Rust keyword.
        kind as "type": String,
        /// A second field.
        note: String,
    }
}

fn read(body: &str) -> Outer {
    decode(body.as_bytes()).unwrap()
}

fn map(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    map.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// Bodies, and what is wrong with them.
const MISMATCHES: &[(&str, &str)] = &[
    ("[]", "array into Go value of type test.Outer"),
    ("5.5", "number into Go value of type test.Outer"),
    ("true", "bool into Go value of type test.Outer"),
    ("\"s\"", "string into Go value of type test.Outer"),
    (
        r#"{"task":5}"#,
        "number into Go struct field Outer.task of type string",
    ),
    (
        r#"{"task":{}}"#,
        "object into Go struct field Outer.task of type string",
    ),
    (
        r#"{"task":[]}"#,
        "array into Go struct field Outer.task of type string",
    ),
    (
        r#"{"TASK":true}"#,
        "bool into Go struct field Outer.task of type string",
    ),
    (
        r#"{"flag":"true"}"#,
        "string into Go struct field Outer.flag of type bool",
    ),
    (
        r#"{"count":"5"}"#,
        "string into Go struct field Outer.count of type int",
    ),
    (
        r#"{"count":1.5}"#,
        "number 1.5 into Go struct field Outer.count of type int",
    ),
    (
        r#"{"count":1e2}"#,
        "number 1e2 into Go struct field Outer.count of type int",
    ),
    (
        r#"{"size":99999999999999999999}"#,
        "number 99999999999999999999 into Go struct field Outer.size of type int64",
    ),
    (
        r#"{"size":9223372036854775808}"#,
        "number 9223372036854775808 into Go struct field Outer.size of type int64",
    ),
    (
        r#"{"config":[]}"#,
        "array into Go struct field Outer.config of type map[string]string",
    ),
    (
        r#"{"config":{"a":5}}"#,
        "number into Go struct field Outer.config of type string",
    ),
    (
        r#"{"devices":5}"#,
        "number into Go struct field Outer.devices of type map[string]map[string]string",
    ),
    (
        r#"{"devices":{"a":5}}"#,
        "number into Go struct field Outer.devices of type map[string]string",
    ),
    (
        r#"{"devices":{"a":{"b":5}}}"#,
        "number into Go struct field Outer.devices of type string",
    ),
    (
        r#"{"items":"x"}"#,
        "string into Go struct field Outer.items of type []test.Inner",
    ),
    (
        r#"{"items":[5]}"#,
        "number into Go struct field Outer.items of type test.Inner",
    ),
    (
        r#"{"items":[{"type":5}]}"#,
        "number into Go struct field Inner.items.type of type string",
    ),
    (
        r#"{"inner":5}"#,
        "number into Go struct field Outer.inner of type test.Inner",
    ),
    (
        r#"{"inner":{"type":5}}"#,
        "number into Go struct field Inner.inner.type of type string",
    ),
    (
        r#"{"words":"x"}"#,
        "string into Go struct field Outer.words of type []string",
    ),
    (
        r#"{"words":["x",5]}"#,
        "number into Go struct field Outer.words of type string",
    ),
    (
        r#"{"any":5}"#,
        "number into Go struct field Outer.any of type map[string]interface {}",
    ),
    (
        r#"{"any":{"a":{"b":-1e999}}}"#,
        "number -1e999 into Go struct field Outer.any of type float64",
    ),
];

#[test]
fn a_wrong_type_is_told_with_the_path_and_the_go_type() {
    for (body, text) in MISMATCHES {
        assert_eq!(
            refusal::<Outer>(body),
            format!("json: cannot unmarshal {text}"),
            "{body}"
        );
    }
}

#[test]
fn the_first_mismatch_is_told_and_the_rest_is_decoded() {
    let mut outer = Outer::default();
    let body = br#"{"inner":{"type":5,"note":"n"},"flag":5,"task":"t","items":[5,{"note":"m"}]}"#;
    let error = decode_into(&mut outer, body).unwrap_err();
    assert_eq!(
        error.message(),
        "json: cannot unmarshal number into Go struct field Inner.inner.type of type string"
    );
    assert_eq!(outer.base.task, "t");
    assert_eq!(outer.inner.unwrap().note, "n");
    assert_eq!(outer.items.len(), 2);
    assert_eq!(outer.items[1].note, "m");
}

#[test]
fn the_path_of_a_struct_ends_with_it() {
    let body = r#"{"inner":{"type":"x"},"items":[{"type":"x"}],"flag":5}"#;
    let text = "json: cannot unmarshal number into Go struct field Outer.flag of type bool";
    assert_eq!(refusal::<Outer>(body), text);
}

#[test]
fn keys_match_in_any_case_and_with_the_letters_that_go_folds() {
    assert_eq!(read(r#"{"TASK":"a"}"#).base.task, "a");
    assert_eq!(read(r#"{"ta\u017fk":"a"}"#).base.task, "a");
    assert_eq!(read("{\"taſ\u{212a}\":\"a\"}").base.task, "a");
    assert_eq!(read(r#"{"ta\u0073k":"a"}"#).base.task, "a");
    assert_eq!(
        read(r#"{"tasks":"a","tas":"b","":"c","täsk":"d"}"#)
            .base
            .task,
        ""
    );
    assert_eq!(read(r#"{"Task":"a","task":"b"}"#).base.task, "b");
    assert_eq!(read(r#"{"task":"a","Task":"b"}"#).base.task, "b");
}

#[test]
fn unknown_keys_of_any_shape_are_stepped_over() {
    let body =
        r#"{"x":[{"a":"]}\"\\"},[[]],"\\\\"], "y":{"z":{"task":"no"}},"w":-1.5e3 ,"task":"yes"}"#;
    assert_eq!(read(body).base.task, "yes");
}

#[test]
fn null_leaves_the_zero_value() {
    let body = r#"{"task":null,"flag":null,"count":null,"config":null,"items":null,"inner":null,
        "words":null,"any":null,"devices":{"a":null}}"#;
    let outer = read(body);
    assert_eq!(outer.base.task, "");
    assert!(outer.inner.is_none() && outer.words.is_none() && outer.items.is_empty());
    assert_eq!(outer.base.devices["a"].len(), 0);
    assert_eq!(read("null").count, 0);
    assert_eq!(
        map(&read(r#"{"config":{"k":null}}"#).base.config),
        [("k", "")]
    );
}

#[test]
fn an_empty_list_is_not_an_absent_one() {
    assert_eq!(read(r#"{"words":[]}"#).words, Some(vec![]));
    assert_eq!(
        read(r#"{"words":["a",null]}"#).words,
        Some(vec!["a".into(), String::new()])
    );
    assert_eq!(read("{}").words, None);
}

#[test]
fn a_second_scalar_wins_and_a_second_map_is_merged() {
    let body = r#"{"task":"a","task":"b","config":{"x":"1","y":"1"},"config":{"y":"2"}}"#;
    let outer = read(body);
    assert_eq!(outer.base.task, "b");
    assert_eq!(map(&outer.base.config), [("x", "1"), ("y", "2")]);
    let outer = read(r#"{"config":{"x":"1"},"config":null,"task":"a","task":null}"#);
    assert_eq!(outer.base.config.len(), 0);
    assert_eq!(outer.base.task, "a");
}

#[test]
fn an_entry_of_a_map_that_comes_again_is_replaced_and_not_merged() {
    let outer = read(r#"{"devices":{"a":{"x":"1"}},"devices":{"a":{"y":"2"}}}"#);
    assert_eq!(map(&outer.base.devices["a"]), [("y", "2")]);
}

#[test]
fn a_second_list_is_decoded_over_the_elements_of_the_first() {
    let outer = read(r#"{"items":[{"type":"a","note":"n"},{}],"items":[{"type":"b"}]}"#);
    assert_eq!(outer.items.len(), 1);
    assert_eq!(
        (outer.items[0].kind.as_str(), outer.items[0].note.as_str()),
        ("b", "n")
    );
}

#[test]
fn decoding_over_a_value_keeps_what_the_body_lacks() {
    let mut outer = read(r#"{"task":"a","count":7,"config":{"x":"1"}}"#);
    decode_into(&mut outer, br#"{"task":"b","config":{"y":"2"}}"#).unwrap();
    assert_eq!((outer.base.task.as_str(), outer.count), ("b", 7));
    assert_eq!(map(&outer.base.config), [("x", "1"), ("y", "2")]);
}

#[test]
fn the_whole_range_of_integers_is_read() {
    let outer = read(r#"{"size":-9223372036854775808,"count":-0}"#);
    assert_eq!((outer.size, outer.count), (i64::MIN, 0));
}

#[test]
fn the_debug_output_of_a_body_shows_nothing_of_it() {
    assert_eq!(
        format!("{:?}", read(r#"{"task":"secret"}"#)),
        "Outer { .. }"
    );
}
