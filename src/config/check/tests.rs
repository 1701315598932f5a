//! Each check with what it takes and what it refuses.

use super::*;

fn refusal(check: Check, text: &str) -> String {
    check(text).unwrap_err()
}

#[test]
fn numbers_and_words() {
    for word in ["true", "Yes", "0", "OFF"] {
        assert!(boolean(word).is_ok());
    }
    assert_eq!(
        refusal(boolean, "maybe"),
        "Invalid value for a boolean \"maybe\""
    );
    assert_eq!(
        refusal(integer, "1.5"),
        "Invalid value for an integer \"1.5\""
    );
    assert!(integer("-7").is_ok());
    assert_eq!(
        refusal(uint32, "x"),
        "Invalid value for uint32 \"x\": strconv.ParseUint: parsing \"x\": invalid syntax"
    );
    assert!(uint32("4294967295").is_ok() && uint32("4294967296").is_err() && uint32("-1").is_err());
    assert!(refusal(priority, "11").contains("Must be between 0 and 10"));
}

#[test]
fn sizes_have_whole_numbers_and_known_suffixes() {
    for (text, bytes) in [
        ("1", 1),
        ("1GB", 1_000_000_000),
        ("2KiB", 2048),
        ("5kB", 5000),
    ] {
        assert_eq!(parse_size(text), Some(bytes), "{text}");
    }
    for text in [
        "x",
        "-1",
        "1.5GB",
        "10 GiB",
        "1XB",
        "50%",
        "",
        "99999999EiB",
    ] {
        assert_eq!(refusal(size, text), format!("Invalid value: {text}"));
    }
    assert!(size_or_percent("50%").is_ok());
}

#[test]
fn compression_is_a_known_algorithm_with_harmless_arguments() {
    for text in [
        "none",
        "gzip",
        "xz -T0 -9",
        "zstd -19 --long",
        "squashfs -c gzip",
        "gzip '-9'",
        "pigz -p 1",
    ] {
        assert!(compression(text).is_ok(), "{text}");
    }
    let unknown = [
        ("lz4", "lz4"),
        ("/usr/bin/gzip", "/usr/bin/gzip"),
        ("sh -c id", "sh"),
        ("gzip;id", "gzip;id"),
        ("gzip; ls", "gzip;"),
        ("$(id)", "$(id)"),
    ];
    for (text, named) in unknown {
        assert_eq!(
            refusal(compression, text),
            format!("Invalid compression algorithm {named:?}")
        );
    }
    for text in [
        "xz --files=x",
        "gzip -S x",
        "squashfs --pack-file x",
        "zstd -o x",
        "zstd --patch-from=x",
        "none -9",
        "pigz -p",
    ] {
        assert_eq!(
            refusal(compression, text),
            format!("Invalid compression algorithm {text:?}")
        );
    }
    assert_eq!(
        refusal(compression, " "),
        "No compression algorithm specified"
    );
    assert_eq!(
        refusal(compression, "gzip 'x"),
        "Unterminated single-quoted string"
    );
}

#[test]
fn times() {
    for text in ["1d", "3H 30M", "1y 2m 3w", ""] {
        assert!(expiry(text).is_ok(), "{text}");
    }
    for text in ["soon", "1", "d", "1x", "1d  2H"] {
        assert_eq!(refusal(expiry, text), "Invalid expiry expression", "{text}");
    }
    for text in [
        "@daily",
        "@hourly, @startup",
        "0 6 * * *",
        "*/5 0-4 1,15 jan sun",
    ] {
        assert!(schedule(text).is_ok(), "{text}");
    }
    for text in ["x", "* * * *", "60 * * * *", "@nope", "*/0 * * * *"] {
        assert!(
            refusal(schedule, text).starts_with("Schedule must be of the form"),
            "{text}"
        );
    }
}

#[test]
fn lists_and_addresses() {
    assert!(absolute_paths("/a,/b").is_ok());
    assert_eq!(
        refusal(absolute_paths, "x"),
        "Item \"x\": Must be absolute file path"
    );
    assert!(ranges("1,5-10").is_ok());
    assert_eq!(refusal(ranges, "x"), "Item \"x\": Invalid number \"x\"");
    assert!(mac_address("00:16:3e:aa:bb:cc").is_ok() && mac_address("0:1:2:3:4:5").is_err());
    assert!(octal_mode("0644").is_ok() && octal_mode("9").is_err());
    assert_eq!(refusal(mtu, "x"), "Invalid MTU \"x\"");
    assert!(architecture("x86_64").is_ok() && architecture("amd64").is_err());
}
