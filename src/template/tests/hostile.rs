//! Templates that want more than they may have.

use std::{thread, time::Instant};

use super::*;

/// With this, one that is not bounded fails the test, and a busy machine does not.
const SECONDS_MAX: u64 = 20;

/// Renders on the stack of a worker and says why that failed.
fn refused(template: String) -> String {
    let begun = Instant::now();
    let small = thread::Builder::new().stack_size(2 << 20);
    let rendered = small.spawn(move || render(&case(&template))).unwrap();
    let error = rendered
        .join()
        .expect("a template does not panic")
        .unwrap_err();
    assert!(
        begun.elapsed().as_secs() < SECONDS_MAX,
        "{}",
        error.message()
    );
    error.message().to_owned()
}

fn repeated(text: &str, times: usize) -> String {
    text.repeat(times)
}

#[test]
fn files_and_other_templates_are_out_of_reach_in_every_place() {
    for tag in ["include", "import", "extends", "ssi"] {
        for place in [
            format!("{{% {tag} \"/etc/passwd\" %}}"),
            format!("{{%- {tag} \"/etc/passwd\" parsed -%}}"),
            format!("{{% if false %}}{{% {tag} x %}}{{% endif %}}"),
            format!("{{% filter upper %}}{{% {tag} \"x\" %}}{{% endfilter %}}"),
            format!("{{% macro m() %}}{{% {tag} \"x\" %}}{{% endmacro %}}"),
        ] {
            let why = format!("Usage of tag '{tag}' is not allowed (sandbox restriction active).");
            assert!(error(&place).ends_with(&why), "{place}: {}", error(&place));
        }
    }
}

#[test]
fn a_trillion_turns_are_too_many() {
    let begin = repeated("{% for x in \"0123456789\" %}", 12);
    let why = refused(begin + &repeated("{% endfor %}", 12));
    assert!(why.ends_with("The template takes too many steps."), "{why}");
}

#[test]
fn nesting_ends_before_the_stack_does() {
    for (begin, end) in [
        ("{% if true %}", "{% endif %}"),
        ("{% for x in \"a\" %}", "{% endfor %}"),
        ("{% filter upper %}", "{% endfilter %}"),
        ("{% with a=1 %}", "{% endwith %}"),
        ("{% spaceless %}", "{% endspaceless %}"),
        ("{% macro m() %}", "{% endmacro %}"),
    ] {
        let deep = repeated(begin, 10_000) + &repeated(end, 10_000);
        let why = refused(deep);
        assert!(
            why.contains("too deeply") || why.contains("tokens"),
            "{why}"
        );
        assert!(refused(repeated(begin, 31)).contains("too deeply"));
        let fits = repeated(begin, 29) + &repeated(end, 29);
        render(&case(&fits)).unwrap_or_else(|error| panic!("{begin}: {error}"));
    }
}

#[test]
fn expressions_end_before_the_stack_does() {
    for (begin, middle, end) in [
        ("(", "1", ")"),
        ("config_get(", "1", ", 2)"),
        ("1 ^ ", "1", ""),
        ("1 == ", "1", ""),
        ("1 + ", "1", ""),
    ] {
        let times = 5_000;
        let inside = repeated(begin, times) + middle + &repeated(end, times);
        let why = refused(format!("{{{{ {inside} }}}}"));
        assert!(
            why.contains("too deeply") || why.contains("too long"),
            "{why}"
        );
    }
    // Wide in every bracket, and so deep as a tree that dropping it needs a stack.
    let (products, sums) = (repeated(" * 1", 200), repeated(" + 1", 200));
    let tree = (0..29).fold("1".to_owned(), |inside, _| {
        format!("({inside}{products}{sums})")
    });
    refused(format!("{{{{ {tree} }}}}"));
    assert_eq!(
        text(&format!("{{{{ {}true }}}}", repeated("false or ", 500))),
        "True"
    );
    let chain = format!("{{{{ \"a\"{} }}}}", repeated("|upper", 500));
    assert_eq!(text(&chain), "A");
}

#[test]
fn a_long_row_is_no_deep_nesting() {
    let row = format!(
        "{{% if 0 %}}{}{{% else %}}x{{% endif %}}",
        repeated("{% elif 0 %}", 4_000)
    );
    let small = thread::Builder::new().stack_size(2 << 20);
    let rendered = small
        .spawn(move || render(&case(&row)))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(rendered.unwrap(), b"x");
    assert_eq!(
        text(&repeated("{% if 1 %}a{% endif %}", 2_000)).len(),
        2_000
    );
}

#[test]
fn text_that_grows_is_stopped() {
    let doubled = "{% set x = x|add:x %}";
    for template in [
        "{% set x = \"0123456789\" %}".to_owned() + &repeated(doubled, 60),
        repeated("{% filter escapejs %}", 20) + "'''" + &repeated("{% endfilter %}", 20),
        "{{ \"x\"|center:1000000000 }}".to_owned(),
        "{{ \"x\"|ljust:9000000000 }}".to_owned(),
        "{{ \"x\"|stringformat:\"%999999999d\" }}".to_owned(),
        "{{ 1.5|floatformat:2000000000 }}".to_owned(),
        "{% lorem 1000000000 w %}".to_owned(),
        "{% set x = \"x\"|center:9999 %}{% set y = x|make_list|join:x %}{{ y }}".to_owned(),
        "{% for i in \"0123456789\" %}{% for j in \"0123456789\" %}{{ \"x\"|center:9999 }}{{ \"x\"|center:9999 }}{% endfor %}{% endfor %}".to_owned(),
    ] {
        refused(template);
    }
}

#[test]
fn what_is_written_may_have_a_mebibyte_and_no_more() {
    let line = repeated("x", 1 << 10);
    assert_eq!(bytes(&repeated(&line, 1_000)).len(), 1_000 << 10);
    let why = refused(repeated("x", (1 << 20) + 1));
    assert!(
        why.ends_with("The template has more than 1048576 bytes."),
        "{why}"
    );
    let written = "{% set x = \"x\"|center:9999 %}".to_owned() + &repeated("{{ x }}", 104);
    assert_eq!(bytes(&written).len(), 104 * 9_999);
    refused("{% set x = \"x\"|center:9999 %}".to_owned() + &repeated("{{ x }}", 105));
}

#[test]
fn macros_do_not_call_themselves_for_ever() {
    let why = refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned());
    assert!(why.ends_with("The template goes too deep."), "{why}");
    let deep = repeated("config_get(1, ", 30) + "m()" + &repeated(")", 30);
    refused(format!(
        "{{% macro m() %}}{{{{ {deep} }}}}{{% endmacro %}}{{{{ m() }}}}"
    ));
    let deep = repeated("(1 + ", 30) + "m()" + &repeated(")", 30);
    refused(format!(
        "{{% macro m() %}}{{{{ {deep} }}}}{{% endmacro %}}{{{{ m() }}}}"
    ));
    refused("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned());
}

#[test]
fn searches_do_not_take_for_ever() {
    let brackets = repeated("<", 1_000_000);
    for template in [
        format!("{{% spaceless %}}{brackets}{{% endspaceless %}}"),
        format!("{{% filter removetags:\"(((a*)*)*)*,(.*){{999}}\" %}}{brackets}{{% endfilter %}}"),
    ] {
        refused(template);
    }
    let begun = Instant::now();
    let striped = render(&case(&format!(
        "{{% filter striptags %}}{brackets}{{% endfilter %}}"
    )));
    assert!(striped.is_err() || begun.elapsed().as_secs() < SECONDS_MAX);
}

#[test]
fn what_is_done_for_each_match_is_paid_for() {
    let (opened, closed) = (repeated("<a>", 75_000), repeated("</b>", 131_000));
    let tags = repeated("<a>", 300_000);
    for template in [
        format!("{{% filter removetags:\"(.*y|a)\" %}}{tags}{{% endfilter %}}"),
        format!("{{% filter truncatechars_html:9 %}}{opened}{closed}{{% endfilter %}}"),
        format!("{{% filter truncatewords_html:9 %}}{opened}{closed}{{% endfilter %}}"),
    ] {
        let why = refused(template);
        assert!(why.ends_with("The template takes too many steps."), "{why}");
    }
}

#[test]
fn every_item_of_a_list_pays_for_its_padding() {
    let letters = repeated("x", 20_000);
    for format in ["%9999s", "%.9999d", "%9999v"] {
        let why = refused(format!(
            "{{% set x = \"{letters}\" %}}{{{{ x|make_list|stringformat:\"{format}\" }}}}"
        ));
        assert!(
            why.ends_with("The template makes more than 1048576 bytes."),
            "{why}"
        );
    }
    let padded = text("{{ \"abc\"|make_list|stringformat:\"%3s\" }}");
    assert_eq!(padded, "[  a   b   c]");
}

#[test]
fn no_rubbish_makes_it_panic() {
    let pieces = [
        "{{", "}}", "{%", "%}", "{#", "#}", "-", "|", ":", "\"", "'", "\\", "(", ")", "x", "1",
        ".", "for", " in ", "if ", "endif", "else", "set ", "=", "macro ", "endmacro", "with ",
        "as ", "not ", "^", "ż", "\n", "\u{1}", " ",
    ];
    let mut state = 7_u64;
    for _ in 0..2_000 {
        let mut template = String::new();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            template.push_str(pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]);
        }
        let _rendered = render(&case(&template));
    }
}
