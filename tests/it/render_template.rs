//! `lximaged debug render-template`: cases as their authors write them.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

fn ran(input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lximaged"))
        .args(["debug", "render-template"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn case(template: &str) -> Value {
    json!({
        "id": "a", "template": template, "trigger": "create", "path": "/etc/x",
        "config": {"user.foo": "bar", "user.empty": "", "user.network_mode": "link-local"},
        "properties": {"default": "#cloud-config\n{}", "n": "7"},
        "instance": {"name": "c1", "architecture": "x86_64", "privileged": false,
            "ephemeral": true, "type": "container"},
        "devices": {"root": {"type": "disk", "path": "/", "pool": "default"}},
        "files": {"other.tpl": "other"}
    })
}

fn rendered(template: &str) -> String {
    let output = ran(case(template).to_string().as_bytes());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), error.as_str()),
        (Some(0), ""),
        "{template}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn refused(template: &str) -> String {
    let output = ran(case(template).to_string().as_bytes());
    assert_eq!(output.status.code(), Some(1), "{template}");
    assert_eq!(output.stdout, b"", "{template}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_images_of_distributions_have_is_rendered() {
    for (template, text) in [
        ("{{ container.name }}\n", "c1\n"),
        (
            "127.0.1.1\t{{ instance.name }}\n{# names #}",
            "127.0.1.1\tc1\n",
        ),
        (
            "{{ config_get(\"user.user-data\", properties.default) }}\n",
            "#cloud-config\n{}\n",
        ),
        (
            "{% if config_get(\"user.network_mode\", \"\") == \"link-local\" %}manual{% else %}dhcp{% endif %}",
            "manual",
        ),
        (
            "{% if instance.type == \"virtual-machine\" %}enp5s0{% else %}eth0{% endif %}",
            "eth0",
        ),
        (
            "{%- if config_get(\"user.foo\", \"\") != \"bar\" %}\nno\n{%- else %}\nyes\n{%- endif %}\n",
            "\nyes\n",
        ),
        (
            "{% for k, v in config sorted %}{{ k }}={{ v }};{% endfor %}",
            "user.foo=bar;user.network_mode=link-local;",
        ),
        (
            "{% for k, v in devices %}{% if v.type == \"disk\" && v.path == \"/\" %}{{ k }}{% endif %}{% endfor %}",
            "root",
        ),
        (
            "{{ trigger }} {{ path }} {{ instance.ephemeral }}{{ instance.privileged }}",
            "create /etc/x truefalse",
        ),
        (
            "{% if trigger == \"create\" %}a{% else %}LXD's trigger is no string{% endif %}",
            "LXD's trigger is no string",
        ),
        (
            "{% if nothing || !nothing.at.all %}x{% endif %}{{ nothing|default:\"d\"|upper }}",
            "xD",
        ),
        ("[{{ config_get(\"user.empty\", \"none\") }}]", "[none]"),
        (
            "{% set a = properties.n|add:\"1\" %}{% with b=a %}{{ b }}{% endwith %}[{{ b }}]",
            "71[]",
        ),
        (
            "<{{ \"<&>\" }}>{% autoescape on %}{{ \"<&>\" }}{% endautoescape %}",
            "<<&>>&lt;&amp;&gt;",
        ),
        (
            "{% for x in \"a b\"|split:\" \" %}{{ forloop.Counter }}{{ x }}{% if not forloop.Last %},{% endif %}{% endfor %}",
            "1a,2b",
        ),
        (
            "{{ 7 / 2 }} {{ 1.5 }} {{ true }} {{ 2 * 3 == 6 and \"a\" in \"cat\" }}",
            "3 1.500000 True True",
        ),
        ("${SHELL} {x} } %} }} \\n", "${SHELL} {x} } %} }} \\n"),
        ("{% verbatim %}{{ x }}{% endverbatim %}", "{{ x }}"),
        ("zażółć ☃ {{ \"☃\" }}\r\n", "zażółć ☃ ☃\r\n"),
        (
            "{% macro m(a, b=\"d\") %}<{{ a }}{{ b }}>{% endmacro %}{{ m(\"x\") }}",
            "<xd>",
        ),
        ("", ""),
    ] {
        assert_eq!(rendered(template), text, "{template}");
    }
}

#[test]
fn what_is_no_template_fails_with_a_reason() {
    for (template, reason) in [
        (
            "{% include \"other.tpl\" %}",
            "Line 1 Col 24 near 'include'] Usage of tag 'include' is not allowed (sandbox restriction active).",
        ),
        (
            "{%- ssi \"/etc/passwd\" -%}",
            "Usage of tag 'ssi' is not allowed (sandbox restriction active).",
        ),
        (
            "{% if false %}{% extends x %}{% endif %}",
            "Usage of tag 'extends' is not allowed (sandbox restriction active).",
        ),
        (
            "{{ x|nosuch }}",
            "Line 1 Col 26 near 'nosuch'] Filter 'nosuch' does not exist.",
        ),
        (
            "{% if true %}",
            "Tag 'endautoescape' not found (or beginning tag not provided)",
        ),
        (
            "{{ \"a\\n\" }}",
            "(where: lexer) in <string> | Line 1 Col 24] Unknown escape sequence: \\n",
        ),
        (
            "{{ config_get(\"a\") }}",
            "must be equal to the calling argument count (1).",
        ),
        ("{{ 1 / 0 }}", "integer divide by zero"),
        ("{{ \"x\"|center:99999999 }}", "wider than 10000"),
    ] {
        let said = refused(template);
        assert!(
            said.starts_with("Error: Failed to render template: [Error (where: "),
            "{said}"
        );
        assert!(said.trim_end().ends_with(reason), "{template}: {said}");
    }
    let nested = "{% for x in \"0123456789\" %}".repeat(12) + &"{% endfor %}".repeat(12);
    assert!(refused(&nested).contains("too many steps"));
    assert!(refused(&"{% if 1 %}".repeat(100_000)).contains("[Error"));
}

#[test]
fn what_is_no_case_is_refused() {
    for input in [
        "",
        "{",
        "[]",
        "{\"config\": {}}",
        "{\"template\": \"x\", \"unknown\": 1}",
    ] {
        let output = ran(input.as_bytes());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{input}: {said}");
        assert!(
            said.starts_with("Error: No template's case"),
            "{input}: {said}"
        );
    }
}

#[test]
fn a_template_alone_is_a_case() {
    let output = ran(br#"{"template": "{{ instance.name }} {{ trigger }}"}"#);
    assert_eq!(output.stdout, b"example start");
}

#[test]
fn bytes_come_out_as_they_are() {
    let case = case("{% for x in \"\u{17c}\" reversed %}{{ x }}{% endfor %}");
    assert_eq!(ran(case.to_string().as_bytes()).stdout, [0xbc, 0xc5]);
}
