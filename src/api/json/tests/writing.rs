use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::json::{Html, etag, to_go_json};

fn write(value: &impl Serialize, html: Html) -> String {
    String::from_utf8(to_go_json(value, html)).unwrap()
}

#[test]
fn control_characters_are_escaped_as_go_does() {
    let text = "\"\\/\u{0}\u{8}\u{9}\u{a}\u{b}\u{c}\u{d}\u{1f}\u{7f}é€😀";
    let written = r#""\"\\/\u0000\u0008\t\n\u000b\u000c\r\u001f"#.to_owned() + "\u{7f}é€😀\"";
    assert_eq!(write(&text, Html::Plain), written);
    assert_eq!(write(&text, Html::Escaped), written);
}

#[test]
fn html_is_escaped_on_request_and_line_separators_always() {
    let text = "a<b>&c\u{2028}d\u{2029}";
    assert_eq!(write(&text, Html::Plain), r#""a<b>&c\u2028d\u2029""#);
    assert_eq!(
        write(&text, Html::Escaped),
        r#""a\u003cb\u003e\u0026c\u2028d\u2029""#
    );
}

#[test]
fn keys_are_escaped_too_and_everything_is_compact() {
    let map = BTreeMap::from([("b", vec![1, 2]), ("<a>", vec![])]);
    assert_eq!(
        write(&map, Html::Escaped),
        r#"{"\u003ca\u003e":[],"b":[1,2]}"#
    );
    assert_eq!(write(&(None::<u8>, true), Html::Plain), "[null,true]");
}

#[test]
fn the_etag_is_the_hash_of_the_escaped_json_and_a_line_end() {
    let image = (true, false, BTreeMap::from([("os", "<X>")]));
    // printf '[true,false,{"os":"\\u003cX\\u003e"}]\n' | sha256sum
    assert_eq!(
        etag(&image),
        "f1f6991174a5d313428ba62759155c82eea79de0b2c7e1d675c185f4fa93bd21"
    );
}
