use super::refusal;
use crate::api::json::{Jmap, Json, decode, scan::MAX_DEPTH};

/// Bodies, and the text each one is refused with.
const BROKEN: &[(&[u8], &str)] = &[
    (b"", "EOF"),
    (b" \t\r\n", "EOF"),
    (b"{", "unexpected EOF"),
    (b"{\"a\"", "unexpected EOF"),
    (b"{\"a\":1", "unexpected EOF"),
    (b"{\"a\":1,", "unexpected EOF"),
    (b"nul", "unexpected EOF"),
    (b"[1", "unexpected EOF"),
    (b"[", "unexpected EOF"),
    (b"-", "unexpected EOF"),
    (b"1.", "unexpected EOF"),
    (b"1e+", "unexpected EOF"),
    (b"\"", "unexpected EOF"),
    (b"\"\\", "unexpected EOF"),
    (b"\"\\u00", "unexpected EOF"),
    (b"x", "invalid character 'x' looking for beginning of value"),
    (b"<", "invalid character '<' looking for beginning of value"),
    (
        b"\\",
        "invalid character '\\\\' looking for beginning of value",
    ),
    (
        b"\x7f",
        "invalid character '\\x7f' looking for beginning of value",
    ),
    (
        b"\x1f\x8b",
        "invalid character '\\x1f' looking for beginning of value",
    ),
    (
        b"\x07",
        "invalid character '\\a' looking for beginning of value",
    ),
    (
        b"\x0b",
        "invalid character '\\v' looking for beginning of value",
    ),
    (
        b"\xef\xbb\xbf{}",
        "invalid character 'ï' looking for beginning of value",
    ),
    (
        b"\xc2\xa0",
        "invalid character 'Â' looking for beginning of value",
    ),
    (
        b"{\"a\":\x80",
        "invalid character '\\u0080' looking for beginning of value",
    ),
    (
        b"\xa0",
        "invalid character '\\u00a0' looking for beginning of value",
    ),
    (
        b"\xad",
        "invalid character '\\u00ad' looking for beginning of value",
    ),
    (
        b"[,",
        "invalid character ',' looking for beginning of value",
    ),
    (
        b"[1,]",
        "invalid character ']' looking for beginning of value",
    ),
    (
        b"{\"a\":}",
        "invalid character '}' looking for beginning of value",
    ),
    (
        b"{\"config\":{},}",
        "invalid character '}' looking for beginning of object key string",
    ),
    (
        b"{'a':1}",
        "invalid character '\\'' looking for beginning of object key string",
    ),
    (
        b"{1",
        "invalid character '1' looking for beginning of object key string",
    ),
    (
        b"{\"a\":1 \"b\":2}",
        "invalid character '\"' after object key:value pair",
    ),
    (
        b"{\"a\":1]",
        "invalid character ']' after object key:value pair",
    ),
    (
        b"{\"a\":01}",
        "invalid character '1' after object key:value pair",
    ),
    (b"{\"a\" 1}", "invalid character '1' after object key"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b"[1}", "invalid character '}' after array element"),
    (
        b"{\"a\":1.}",
        "invalid character '}' after decimal point in numeric literal",
    ),
    (
        b"{\"a\":1e}",
        "invalid character '}' in exponent of numeric literal",
    ),
    (
        b"{\"a\":1e+x",
        "invalid character 'x' in exponent of numeric literal",
    ),
    (b"{\"a\":-}", "invalid character '}' in numeric literal"),
    (
        b"{\"a\":truX}",
        "invalid character 'X' in literal true (expecting 'e')",
    ),
    (
        b"fXlse",
        "invalid character 'X' in literal false (expecting 'a')",
    ),
    (
        b"none",
        "invalid character 'o' in literal null (expecting 'u')",
    ),
    (
        b"{\"a\":\"\x01\"}",
        "invalid character '\\x01' in string literal",
    ),
    (
        b"{\"a\":\"\n\"}",
        "invalid character '\\n' in string literal",
    ),
    (b"{\"a\":\"\t", "invalid character '\\t' in string literal"),
    (
        b"{\"a\":\"\\q\"}",
        "invalid character 'q' in string escape code",
    ),
    (
        b"{\"a\":\"\\'\"}",
        "invalid character '\\'' in string escape code",
    ),
    (
        b"{\"a\":\"\\u12\"}",
        "invalid character '\"' in \\u hexadecimal character escape",
    ),
    (
        b"{\"a\":\"\\u00g0\"}",
        "invalid character 'g' in \\u hexadecimal character escape",
    ),
];

#[test]
fn each_way_to_break_the_syntax_has_the_text_of_go() {
    for (body, text) in BROKEN {
        assert_eq!(refusal::<Jmap>(body), *text, "{}", body.escape_ascii());
    }
}

#[test]
fn what_follows_the_first_value_is_ignored() {
    for body in [
        "{\"a\":\"b\"} trailing",
        "{\"a\":\"b\"}{\"a\":5}",
        " \n{\"a\":\"b\"}}",
    ] {
        assert_eq!(
            decode::<Jmap>(body.as_bytes())
                .unwrap()
                .get_string("a")
                .unwrap(),
            "b"
        );
    }
    assert!(matches!(&decode(b"5x").unwrap(), Json::Number(text) if text == "5"));
    assert_eq!(decode::<Json>(b"\"a\"x").unwrap().as_str(), Some("a"));
    assert_eq!(decode::<Json>(b"truex").unwrap().as_bool(), Some(true));
}

#[test]
fn ten_thousand_levels_are_read_and_one_more_is_refused() {
    let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    assert_eq!(
        decode::<Json>(&nested(MAX_DEPTH)).unwrap().go_kind(),
        "slice"
    );
    assert_eq!(
        refusal::<Json>(nested(MAX_DEPTH + 1)),
        "invalid character '[' exceeded max depth"
    );
    assert_eq!(refusal::<Json>(b"[".repeat(MAX_DEPTH)), "unexpected EOF");
    let members = b"{\"a\":".repeat(MAX_DEPTH + 1);
    assert_eq!(
        refusal::<Json>(members),
        "invalid character '{' exceeded max depth"
    );
}
