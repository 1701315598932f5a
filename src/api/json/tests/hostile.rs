//! Bodies made to hurt: what matters is that every one gets an answer.

use std::iter;

use super::refusal;
use crate::api::{
    json::{Jmap, Json, decode, scan::MAX_DEPTH},
    requests::{ImagesPost, ProfilesPost, ServerPut},
};

/// Numbers that look random and are the same in every run (xorshift).
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    }
}

/// Decodes `body` as each sort of request; returns how many of them took it.
fn decode_as_everything(body: &[u8]) -> usize {
    let taken = [
        decode::<Json>(body).is_ok(),
        decode::<Jmap>(body).is_ok(),
        decode::<ImagesPost>(body).is_ok(),
        decode::<ProfilesPost>(body).is_ok(),
        decode::<ServerPut>(body).is_ok(),
        decode::<Json>(body).is_ok(),
    ];
    taken.into_iter().filter(|taken| *taken).count()
}

#[test]
fn a_hundred_thousand_levels_are_refused() {
    for open in ["[", "{\"a\":", "{\"source\":", "[{\"config\":["] {
        let text = refusal::<ImagesPost>(open.repeat(100_000));
        assert!(text.ends_with("exceeded max depth"), "{text}");
    }
}

#[test]
fn the_deepest_value_is_read_stepped_over_and_dropped_on_a_small_stack() {
    let deep = [b"[{\"a\":".repeat(MAX_DEPTH / 2 - 2), b"0".to_vec()].concat();
    let deep = [deep, b"}]".repeat(MAX_DEPTH / 2 - 2)].concat();
    let body = [br#"{"config":{"x":"#.to_vec(), deep, b"}}".to_vec()].concat();
    let thread = std::thread::Builder::new().stack_size(128 * 1024);
    let taken = thread
        .spawn(move || decode_as_everything(&body))
        .unwrap()
        .join()
        .unwrap();
    // All but the instance, whose configuration holds text only.
    assert_eq!(taken, 5);
}

#[test]
fn a_megabyte_of_noise_made_of_json_never_panics() {
    const PIECES: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"\"",
        b"\\",
        b"\\u",
        b"d800",
        b"\\ud83d\\ude00",
        b"-",
        b"0",
        b"1.5",
        b"e9",
        b"E+999",
        b"true",
        b"false",
        b"null",
        b" ",
        b"\n",
        b"\"source\":",
        b"\"config\":{",
        b"\"expires_at\":\"2030-01-01T00:00:00Z\",",
        b"\"aliases\":[{",
        b"\"name\":\"x\",",
        b"\"devices\":{\"a\":{",
        b"\x00",
        b"\xff",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ];
    let mut number = numbers(0x9e37_79b9_7f4a_7c15);
    let mut made = 0;
    while made < 1024 * 1024 {
        let count = 1 + number(40);
        let mut body = if number(2) == 0 {
            b"{\"a\":".to_vec()
        } else {
            vec![]
        };
        iter::repeat_with(|| PIECES[number(PIECES.len())])
            .take(count)
            .for_each(|piece| body.extend(piece));
        made += body.len();
        decode_as_everything(&body);
    }
}

#[test]
fn a_good_body_with_any_byte_changed_or_cut_never_panics() {
    let good = br#"{"source":{"type":"image","alias":"\u00e9\ud83d\ude00"},"public":true,
        "expires_at":"2030-01-01T00:00:00.5+02:00","properties":{"a":"b"},"aliases":[{"name":"x"}],
        "config":{"n":-1.5e+3},"profiles":["default"]}"#;
    assert_eq!(decode_as_everything(good), 5);
    for at in 0..good.len() {
        decode_as_everything(&good[..at]);
        for byte in *b"\0\n \"\\{}[],:-+.0e1tfnu\x7f\x80\xe2\xff" {
            let mut body = good.to_vec();
            body[at] = byte;
            decode_as_everything(&body);
        }
    }
}

#[test]
fn large_bodies_of_one_sort_are_read_in_a_straight_line() {
    let size = 256 * 1024;
    let list = |item: &[u8]| {
        [
            b"[".to_vec(),
            item.repeat(size / item.len()),
            b"0]".to_vec(),
        ]
        .concat()
    };
    for item in [
        &b"0,"[..],
        b"[],",
        b"{},",
        b"\"\",",
        b"\"\\u0000\",",
        b"{\"a\":0},",
    ] {
        assert_eq!(decode_as_everything(&list(item)), 2);
    }
    let members = [
        b"{".to_vec(),
        b"\"a\":{},".repeat(size / 7),
        b"\"a\":0}".to_vec(),
    ]
    .concat();
    assert_eq!(decode_as_everything(&members), 6);
    let text = [b"\"".to_vec(), b"\\n\xff".repeat(size / 3), b"\"".to_vec()].concat();
    assert_eq!(
        decode::<String>(&text).unwrap().chars().count(),
        size / 3 * 2
    );
    let digits = b"9".repeat(size);
    assert!(refusal::<i64>(&digits).starts_with("json: cannot unmarshal number 999"));
}
