//! The language, as the real LXD 5.0.2 renders it.

use super::*;

#[test]
fn what_lxd_tells_a_template_is_there_under_its_names() {
    check(&[
        (
            "{{ instance.name }} {{ container.type }} {{ path }} {{ trigger }}",
            "c1 container /etc/file start",
        ),
        ("{{ properties.key }}{{ devices.root.path }}", "value/"),
        (
            "{{ config_get(\"user.foo\", \"x\") }}{{ config_get(\"user.none\", 5) }}",
            "bar5",
        ),
        ("[{{ config_get(\"user.empty\", \"dflt\") }}]", "[dflt]"),
        (
            "[{{ nothing }}{{ nothing.at.all }}{{ instance.nope }}{{ config.user.foo }}]",
            "[]",
        ),
        (
            "{{ pongo2.version }} {{ devices }}",
            "4.0.2 <config.Devices Value>",
        ),
    ]);
}

#[test]
fn a_trigger_is_no_string_and_privileged_is_one() {
    check(&[
        (
            "{% if trigger == \"start\" %}a{% else %}b{% endif %}{{ trigger|upper }}",
            "bSTART",
        ),
        (
            "{% if trigger|lower == \"start\" %}a{% endif %}{% if trigger in \"start\" %}b{% endif %}",
            "ab",
        ),
        (
            "{% if instance.privileged %}a{% endif %}{% if instance.privileged == \"false\" %}b{% endif %}",
            "ab",
        ),
    ]);
}

#[test]
fn and_and_or_group_to_the_right_and_not_binds_tighter() {
    check(&[
        (
            "{{ true or false and false }}{{ false && true || true }}",
            "TrueFalse",
        ),
        (
            "{{ not \"a\" == false }}{{ !\"\" }}{{ not 5 }}{{ not 0.0 }}",
            "TrueTrue01.100000",
        ),
        ("{% if not \"z\" in \"cat\" %}a{% else %}b{% endif %}", "b"),
    ]);
}

#[test]
fn numbers_are_go_numbers() {
    check(&[
        (
            "{{ 7 / 2 }} {{ 2 ^ 3 }} {{ 1.5 + 1 }} {{ 2 * 3 + 4 }} {{ -5 }}",
            "3 8.000000 2.500000 10 -5",
        ),
        (
            "{{ \"3\" + \"4\" }} {{ \"a\" + \"b\" }} {{ 9223372036854775807 + 1 }}",
            "7 0 -9223372036854775808",
        ),
        ("{{ properties.key.0 }}{{ 1.0 / 0 }}", "118+Inf"),
    ]);
    check_errors(&[(
        "{{ 1 / 0 }}",
        "execution) in <string>] runtime error: integer divide by zero",
    )]);
}

#[test]
fn loops_know_where_they_are_and_what_is_around_them() {
    check(&[
        (
            "{% for k, v in properties sorted %}{{ k }}={{ v }};{% endfor %}",
            "html=<b>x</b>;key=value;n=7;",
        ),
        (
            "{% for x in \"c,a\"|split:\",\" reversed %}{{ forloop.Counter }}{{ x }}{% endfor %}",
            "1a2c",
        ),
        (
            "{% for x in \"ab\" %}{% for y in \"12\" %}{{ forloop.Parentloop.Counter }}{{ y }}{% endfor %}{% endfor %}",
            "11122122",
        ),
        ("{% for x in nothing %}x{% empty %}none{% endfor %}", "none"),
        (
            "{% for x in \"abc\" %}{{ y }}{% set y = x %}{% endfor %}[{{ y }}]",
            "ab[]",
        ),
        (
            "{% for x in \"ab\" reversed %}{{ x }}{{ forloop.Counter }}{{ forloop.Last }} {% endfor %}",
            "b2True a1True ",
        ),
    ]);
}

#[test]
fn a_loop_over_a_string_goes_byte_by_byte() {
    let expected = [
        b"[",
        "ż".as_bytes().split_at(1).0,
        b"][",
        "ż".as_bytes().split_at(1).1,
        b"]",
    ];
    assert_eq!(
        bytes("{% for x in \"ż\" %}[{{ x }}]{% endfor %}"),
        expected.concat()
    );
    assert_eq!(text("{% for x in \"ż\" %}{{ x }}{% endfor %}"), "ż");
    assert_eq!(
        text("{% filter upper %}{% for x in \"ż\" %}{{ x }}{% endfor %}{% endfilter %}"),
        "Ż"
    );
}

#[test]
fn names_live_as_long_as_their_tags() {
    check(&[
        (
            "{% with a=1 b=\"x\" %}{{ a }}{{ b }}{% endwith %}[{{ a }}]",
            "1x[]",
        ),
        (
            "{% with properties.key as k %}{{ k }}{% endwith %}",
            "value",
        ),
        (
            "{% if true %}{% set a = 1 %}{% endif %}{{ a }}{% with b=2 %}{% set a = 5 %}{{ a }}{% endwith %}{{ a }}",
            "151",
        ),
        (
            "{% set instance = \"x\" %}{{ instance }}{{ container.name }}",
            "xc1",
        ),
    ]);
}

#[test]
fn macros_know_the_scope_they_were_defined_in() {
    check(&[
        (
            "{% macro m(a, b=\"d\") %}<{{ a }}{{ b }}>{% endmacro %}{{ m(\"x\") }}{{ m(\"x\", \"y\")|upper }}",
            "<xd><XY>",
        ),
        (
            "{% macro m() %}{{ x }}{% endmacro %}{% for x in \"ab\" %}{{ m() }}{% endfor %}.",
            ".",
        ),
        (
            "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}",
            "543210",
        ),
        (
            "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m(\"s\") }}",
            "[Error (where: execution) in <string> | Line 1 Col 40 near 'a'] Can't access a field by name on type string (variable a.x)",
        ),
    ]);
}

#[test]
fn white_space_goes_where_a_dash_says_so() {
    check(&[
        ("a \n{%- if true -%}\n b \n{%- endif %}\nc", "ab\nc"),
        ("a {{- 5 -}} b", "a5b"),
        ("{% if true %}\r\nx\r\n{% endif %}\n", "\r\nx\r\n\n"),
        ("x\n", "x\n"),
        ("", ""),
    ]);
}

#[test]
fn text_that_looks_like_our_own_or_teras_is_text() {
    check(&[
        (
            "{ x } %} }} ${X} \\ \u{1b}\u{2}",
            "{ x } %} }} ${X} \\ \u{1b}\u{2}",
        ),
        (
            "{% verbatim %}{{ show(n=1) }}{% raw %}{# #}{% endverbatim %}",
            "{{ show(n=1) }}{% raw %}{# #}",
        ),
        (
            "{% templatetag openblock %} set x = 1 {% templatetag closeblock %}",
            "{% set x = 1 %}",
        ),
        (
            "a{# b #}c{% comment %}{{ d }}{% if %}{% endcomment %}e",
            "ace",
        ),
        (
            "{{ \"{{ text(n=0) }}\" }}{{ __tera_context }}",
            "{{ text(n=0) }}",
        ),
        (
            "\u{10ff41}\u{10fffd}{{ \"\u{10ff41}\"|length }}",
            "\u{10ff41}\u{10fffd}1",
        ),
    ]);
}

#[test]
fn tags_do_what_pongo2_does() {
    check(&[
        (
            "{% ifequal 1 1 %}a{% else %}b{% endifequal %}{% ifnotequal 1 1 %}a{% else %}b{% endifnotequal %}",
            "ab",
        ),
        (
            "{% for x in \"abc\" %}{% cycle \"1\" \"2\" as c %}{% endfor %}{% cycle \"a\" \"b\" as d silent %}{{ d }}{% cycle d %}{{ d }}",
            "121ab",
        ),
        (
            "{% firstof nothing 0 properties.key %}{% filter upper|cut:\"B\" %}abc{% endfilter %}",
            "valueAC",
        ),
        (
            "{% spaceless %}<a>  <b> x </b>\n</a>{% endspaceless %}",
            "<a><b> x </b></a>",
        ),
        (
            "{% autoescape on %}{{ properties.html }}{{ \"<\"|safe }}{% endautoescape %}{{ \"<\" }}",
            "&lt;b&gt;x&lt;/b&gt;<<",
        ),
        (
            "{% for x in \"aab\" %}{% ifchanged x %}{{ x }}{% else %}-{% endifchanged %}{% ifchanged %}{{ x }}{% endifchanged %}{% endfor %}",
            "aa-bb",
        ),
        (
            "{% widthratio 5 10 100 %}{% widthratio 1 2 10 as w %}{{ w }}",
            "516",
        ),
        (
            "{% now \"2006-01-02 15:04:05\" %} {% now \"2006\" fake %} {% lorem 2 w %}",
            "2026-11-27 09:08:07 2014 Lorem ipsum",
        ),
        ("{% block b %}in{{ block.Super }}{% endblock b %}", "in"),
        ("{% if false %}1{% else %}2{% elif true %}3{% endif %}", "2"),
    ]);
}

#[test]
fn errors_name_their_place_as_lxd_does() {
    check_errors(&[
        (
            "{{ \"x\"|nosuch }}",
            "parser) in <string> | Line 1 Col 28 near 'nosuch'] Filter 'nosuch' does not exist.",
        ),
        (
            "{% nosuch %}",
            "parser) in <string> | Line 1 Col 24 near 'nosuch'] Tag 'nosuch' not found (or beginning tag not provided)",
        ),
        (
            "{{ config[\"a.b\"] }}",
            "parser) in <string> | Line 1 Col 30 near '[\"a.b\"] }}'] '}}' expected",
        ),
        (
            "{{ \"a\\n\" }}",
            "lexer) in <string> | Line 1 Col 24] Unknown escape sequence: \\n",
        ),
        (
            "a\n\n  {{ x",
            "parser) in <string> | Line 3 Col 7 near '{%'] '}}' expected",
        ),
        (
            "{{ config_get(\"a\") }}",
            "execution) in <string> | Line 1 Col 24 near 'config_get'] Function input argument count (2) of 'config_get' must be equal to the calling argument count (1).",
        ),
        (
            "{{ instance.name() }}",
            "execution) in <string> | Line 1 Col 24 near 'instance'] 'instance.name' is not a function (it is string)",
        ),
        (
            "{{ 0|date:\"2006\" }}",
            "filter:date) | Line 1 Col 26 near 'date'] filter input argument must be of type 'time.Time'",
        ),
        (
            "{% filter nosuch %}x{% endfilter %}",
            "execution) in <string> | Line 1 Col 24 near 'filter'] [Error (where: applyfilter)] Filter with name 'nosuch' not found.",
        ),
        (
            "{% if true %}x",
            "parser) in <string> | Line 1 Col 38 near 'endautoescape'] Tag 'endautoescape' not found (or beginning tag not provided)",
        ),
    ]);
}
