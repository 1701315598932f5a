//! The texts of LXD 5.0.2, as its operations show them.

use std::fmt::Write;

use super::Metadata;

fn error(text: &str) -> String {
    Metadata::parse(text.as_bytes())
        .unwrap_err()
        .message()
        .to_owned()
}

fn good(rest: &str) -> Metadata {
    let text = format!("architecture: x86_64\ncreation_date: 1424284563\n{rest}");
    Metadata::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{rest}: {error}"))
}

#[test]
fn the_example_of_the_documentation_is_read_whole() {
    let metadata = good(
        "properties:\n  os: Ubuntu\n  release: jammy 22.04\ntemplates:\n  /etc/hosts:\n    when:\n\
         \x20     - create\n      - rename\n    template: hosts.tpl\n    properties:\n      foo: bar\n",
    );
    assert_eq!(metadata.properties["release"], "jammy 22.04");
    let template = &metadata.templates["/etc/hosts"];
    assert_eq!(template.when.as_deref().unwrap(), ["create", "rename"]);
    assert_eq!(
        (template.template.as_str(), template.create_only),
        ("hosts.tpl", false)
    );
    assert_eq!(template.properties.as_ref().unwrap()["foo"], "bar");
}

#[test]
fn scalars_keep_their_spelling() {
    let metadata = good(
        "properties: {a: 1.50, b: 0x10, c: 010, d: yes, e: 2020-01-01, f: ~, 7: x, g: !!binary aGk=}",
    );
    let values: Vec<_> = metadata
        .properties
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let expected = [
        "7=x",
        "a=1.50",
        "b=0x10",
        "c=010",
        "d=yes",
        "e=2020-01-01",
        "f=",
        "g=hi",
    ];
    assert_eq!(values, expected);
}

#[test]
fn dates_are_numbers_however_they_are_written() {
    for (text, date) in [
        ("1.5", 1),
        ("1e3", 1000),
        ("0x10", 16),
        ("010", 8),
        ("1_000", 1000),
        ("-5", -5),
    ] {
        let metadata =
            Metadata::parse(format!("architecture: amd64\ncreation_date: {text}").as_bytes());
        assert_eq!(metadata.unwrap().creation_date, date, "{text}");
    }
}

#[test]
fn what_is_missing_is_told() {
    assert_eq!(error(""), "EOF");
    assert_eq!(error("~"), "Architecture isn't supported: ");
    assert_eq!(
        error("Architecture: x86_64"),
        "Architecture isn't supported: "
    );
    assert_eq!(
        error("architecture: z80"),
        "Architecture isn't supported: z80"
    );
    assert_eq!(error("architecture: x86_64"), "Missing creation date");
    assert_eq!(
        error("architecture: x86_64\ncreation_date: ~"),
        "Missing creation date"
    );
    assert!(
        error("architecture: x86_64\ncreation_date: 253402300800").contains("years 1 and 9999")
    );
}

#[test]
fn wrong_types_are_told_with_their_lines() {
    let begins = "yaml: unmarshal errors:\n  line ";
    let cases = [
        ("- a\n", "1: cannot unmarshal !!seq into api.ImageMetadata"),
        (
            "foo",
            "1: cannot unmarshal !!str `foo` into api.ImageMetadata",
        ),
        ("5", "1: cannot unmarshal !!int `5` into api.ImageMetadata"),
        (
            "creation_date: \"123\"",
            "1: cannot unmarshal !!str `123` into int64",
        ),
        (
            "creation_date: 2020-01-01",
            "1: cannot unmarshal !!timestamp `2020-01-01` into int64",
        ),
        (
            "creation_date: 99999999999999999999",
            "1: cannot unmarshal !!float `9999999...` into int64",
        ),
        (
            "\narchitecture: [x]",
            "2: cannot unmarshal !!seq into string",
        ),
        (
            "properties: {a: {b: c}}",
            "1: cannot unmarshal !!map into string",
        ),
        (
            "properties: aaaaaaaaaaaa",
            "1: cannot unmarshal !!str `aaaaaaa...` into map[string]string",
        ),
        (
            "templates: {a: {when: create}}",
            "1: cannot unmarshal !!str `create` into []string",
        ),
        (
            "templates: {a: {create_only: \"yes\"}}",
            "1: cannot unmarshal !!str `yes` into bool",
        ),
        (
            "templates: x",
            "1: cannot unmarshal !!str `x` into map[string]*api.ImageMetadataTemplate",
        ),
        (
            "templates: {a: 5}",
            "1: cannot unmarshal !!int `5` into api.ImageMetadataTemplate",
        ),
    ];
    for (text, said) in cases {
        assert_eq!(error(text), format!("{begins}{said}"), "{text}");
    }
    let two = error("architecture: [x]\ncreation_date: soon\n");
    assert_eq!(two.lines().count(), 3, "{two}");
}

#[test]
fn syntax_is_told_in_the_librarys_words() {
    let cases = [
        ("a: &x 1\nb: *y", "yaml: unknown anchor 'y' referenced"),
        (
            "architecture: !!int x86_64",
            "yaml: cannot decode !!str `x86_64` as a !!int",
        ),
        (
            "a: b\n  c: [1\n",
            "yaml: line 2: mapping values are not allowed in this context",
        ),
        ("a: @", "yaml: found character that cannot start any token"),
        (
            "%YAML 3.0\n---\na",
            "yaml: found incompatible YAML document",
        ),
        ("\u{1}", "yaml: control characters are not allowed"),
    ];
    for (text, said) in cases {
        assert_eq!(error(text), said, "{text}");
    }
    let invalid = Metadata::parse(b"a: \xff").unwrap_err();
    assert_eq!(invalid.message(), "yaml: invalid leading UTF-8 octet");
}

#[test]
fn odd_but_good_documents_are_taken() {
    good("---\nsecond: [");
    good("properties: &p {a: b}\ntemplates: {x: {properties: *p}}");
    assert_eq!(
        good("x: &b {properties: {a: c}}\n<<: *b").properties["a"],
        "c"
    );
    assert_eq!(good("properties: {a: 1, a: 2}").properties["a"], "2");
    Metadata::parse(b"{\"architecture\":\t\"x86_64\", \"creation_date\": 1}").unwrap();
    Metadata::parse(b"\xef\xbb\xbfarchitecture: x86_64\r\ncreation_date: 1\r\n").unwrap();
}

#[test]
fn bombs_end_quickly() {
    let mut bomb = "a0: &a0 {k: v}\n".to_owned();
    for level in 1..20 {
        let previous = format!("*a{}", level - 1);
        let pairs: Vec<_> = (0..9).map(|i| format!("k{i}: {previous}")).collect();
        writeln!(bomb, "a{level}: &a{level} {{{}}}", pairs.join(", ")).unwrap();
    }
    bomb += "properties: *a19\n";
    assert!(error(&bomb).starts_with("yaml: "));
    assert!(error(&"[".repeat(100_000)).starts_with("yaml: exceeded max depth"));
    assert!(error("a: &a [*a]").contains("value contains itself"));
    assert!(error(&"- a\n".repeat(300_000)).contains("more than"));
}
