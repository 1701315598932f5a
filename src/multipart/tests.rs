//! The table of what LXD accepts and refuses, for the body in one piece and cut at every position.

use futures_util::{StreamExt, stream};

use super::*;

const METADATA: &str = "Content-Disposition: form-data; name=\"metadata\"; filename=\"m\"";
const ROOTFS: &str = "Content-Disposition: form-data; name=\"rootfs\"; filename=\"/etc/../r.x\"";

/// A body with LF as line end; `crlf` makes it the usual one.
fn form(parts: &[(&str, &str)]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|(head, data)| format!("--b\n{head}\n\n{data}\n"))
        .collect();
    let parts = parts.concat();
    format!("{parts}--b--\n")
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn full() -> String {
    crlf(&form(&[(METADATA, "META"), (ROOTFS, "ROOT")]))
}

fn body(pieces: Vec<Vec<u8>>) -> impl Stream<Item = Result<Bytes, Error>> + Unpin + Send {
    stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))))
}

async fn data<S: Stream<Item = Result<Bytes>> + Unpin>(mut part: S) -> Result<String> {
    let mut all = Vec::new();
    while let Some(piece) = part.next().await {
        let piece = piece?;
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    assert!(part.next().await.is_none());
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// `metadata|name filename|rootfs`.
async fn receive(pieces: Vec<Vec<u8>>, boundary: &str) -> Result<String> {
    let mut multipart = Multipart::new(body(pieces), boundary.as_bytes());
    let metadata = data(multipart.metadata().await?).await?;
    let rootfs = multipart.rootfs().await?;
    let names = format!("{} {}", rootfs.name(), rootfs.filename());
    let received = format!("{metadata}|{names}|{}", data(rootfs).await?);
    multipart.finish().await?;
    Ok(received)
}

/// The outcome, which has to be the same however the body is cut.
async fn outcome(text: impl AsRef<[u8]>, boundary: &str) -> String {
    let text = text.as_ref();
    let whole = flat(receive(vec![text.to_vec()], boundary).await);
    let bytes = text.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(flat(receive(bytes, boundary).await), whole, "byte by byte");
    if text.len() < 1000 {
        for at in 0..text.len() {
            let pieces = vec![text[..at].to_vec(), Vec::new(), text[at..].to_vec()];
            assert_eq!(flat(receive(pieces, boundary).await), whole, "cut at {at}");
        }
    }
    whole
}

fn flat(result: Result<String>) -> String {
    result.unwrap_or_else(|error| error.message().to_owned())
}

async fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(outcome(text, "b").await, *expected, "{text:?}");
    }
}

#[tokio::test]
async fn a_split_image_is_received_however_its_body_is_cut() {
    assert_eq!(outcome(full(), "b").await, "META|rootfs r.x|ROOT");
}

#[tokio::test]
async fn two_cuts_anywhere_change_nothing() {
    let text = full().into_bytes();
    for first in 0..text.len() {
        for second in (first..text.len()).step_by(3) {
            let pieces =
                [&text[..first], &text[first..second], &text[second..]].map(<[u8]>::to_vec);
            let received = flat(receive(pieces.to_vec(), "b").await);
            assert_eq!(received, "META|rootfs r.x|ROOT", "{first} {second}");
        }
    }
}

#[test]
fn only_form_data_with_a_well_formed_header_is_a_split_image() {
    for (header, expected) in [
        ("multipart/form-data; boundary=b", Some("b")),
        ("Multipart/Form-Data; BOUNDARY=\"b c\"", Some("b c")),
        ("multipart/form-data; boundary=b--;", Some("b--")),
        ("multipart/form-data; boundary*=utf-8''b", Some("b")),
        ("multipart/form-data", Some("")),
        ("multipart/form-data; boundary=\"\"", Some("")),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=b@", None),
        ("multipart/form-data; boundary=b; boundary=b", None),
        ("multipart / form-data; boundary=b", None),
        ("multipart/mixed; boundary=b", None),
        ("application/octet-stream", None),
        ("application/json; boundary=b", None),
        ("", None),
    ] {
        let expected = expected.map(|text| text.as_bytes().to_vec());
        assert_eq!(boundary(header.as_bytes()), expected, "{header}");
    }
}

#[tokio::test]
async fn without_a_boundary_nothing_is_read() {
    assert_eq!(outcome(full(), "").await, "multipart: boundary is empty");
}

#[tokio::test]
async fn what_is_not_multipart_data_is_refused() {
    check(&[
        ("", "multipart: NextPart: EOF"),
        ("garbage", "multipart: NextPart: EOF"),
        ("only\r\na preamble\r\n", "multipart: NextPart: EOF"),
        ("--b", "multipart: NextPart: EOF"),
        ("--b--\r\n", "EOF"),
        ("--b--", "EOF"),
        ("--b-- \t\r\n", "EOF"),
    ])
    .await;
}

#[tokio::test]
async fn a_line_has_at_most_four_kilobytes_with_its_end() {
    for (length, end, expected) in [
        (4094, "\r\n", "META|rootfs r.x|ROOT"),
        (4095, "\n", "META|rootfs r.x|ROOT"),
        (4095, "\r\n", "multipart: NextPart: bufio: buffer full"),
        (4096, "\n", "multipart: NextPart: bufio: buffer full"),
    ] {
        let text = format!("{}{end}{}", "x".repeat(length), full());
        assert_eq!(outcome(text, "b").await, expected, "{length} {end:?}");
    }
    assert_eq!(
        outcome("x".repeat(4095), "b").await,
        "multipart: NextPart: EOF"
    );
    assert_eq!(
        outcome("x".repeat(4096), "b").await,
        "multipart: NextPart: bufio: buffer full"
    );
    assert_eq!(
        outcome("x\n".repeat(5000), "b").await,
        "multipart: NextPart: EOF"
    );
}

#[tokio::test]
async fn a_long_boundary_works_while_its_line_is_short_enough() {
    for (length, expected) in [
        (4092, "META|rootfs r.x|ROOT"),
        (4093, "multipart: NextPart: bufio: buffer full"),
    ] {
        let long = "x".repeat(length);
        let text = full().replace("--b", &format!("--{long}"));
        assert_eq!(
            flat(receive(vec![text.into_bytes()], &long).await),
            expected,
            "{length}"
        );
    }
}

#[tokio::test]
async fn a_form_without_a_second_part_ends_too_early() {
    let only = crlf(&form(&[(METADATA, "META")]));
    check(&[
        (&only, "EOF"),
        (only.trim_end(), "EOF"),
        (only.trim_end().trim_end_matches("--b--"), "unexpected EOF"),
        (
            only.trim_end().trim_end_matches("--"),
            "multipart: NextPart: EOF",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_refused_wherever_it_is_cut() {
    let (text, data) = (full().into_bytes(), full().find("ROOT").unwrap());
    let after = |more: usize| text[..data + more].to_vec();
    // LXD: a delimiter at the very end ends the part, with or without its dashes.
    for more in [4 + 5, 4 + 7, 4 + 8, 4 + 9] {
        assert_eq!(
            outcome(after(more), "b").await,
            "META|rootfs r.x|ROOT",
            "{more}"
        );
    }
    for more in [0, 1, 4, 5, 6, 7, 8, 4 + 6] {
        assert_eq!(outcome(after(more), "b").await, "unexpected EOF", "{more}");
    }
    let header = full()
        .find("Content-Disposition: form-data; name=\"rootfs\"")
        .unwrap();
    assert_eq!(outcome(&text[..header], "b").await, "EOF");
    assert_eq!(outcome(&text[..header + 30], "b").await, "EOF");
    assert_eq!(outcome(&text[..data - 2], "b").await, "EOF");
    let colon = "malformed MIME header: missing colon: ";
    assert_eq!(
        outcome(&text[..header + 5], "b").await,
        format!("{colon}\"Conte\"")
    );
    assert_eq!(
        outcome(&text[..data - 1], "b").await,
        format!("{colon}\"\\r\"")
    );
}

#[tokio::test]
async fn parts_in_another_order_or_by_another_name_are_refused() {
    for parts in [
        [(ROOTFS, "R"), (METADATA, "M")],
        [(METADATA, "M"), (METADATA, "M")],
        [(METADATA, "M"), ("X: 1", "R")],
        [
            (METADATA, "M"),
            ("Content-Disposition: attachment; name=rootfs", "R"),
        ],
        [
            (METADATA, "M"),
            ("Content-Disposition: form-data; name=\" rootfs\"", "R"),
        ],
        [
            (METADATA, "M"),
            ("Content-Disposition: form-data; name=rootfs; x", "R"),
        ],
        [
            (METADATA, "M"),
            ("Content-Disposition : form-data; name=rootfs", "R"),
        ],
    ] {
        assert_eq!(
            outcome(crlf(&form(&parts)), "b").await,
            "Invalid multipart image",
            "{parts:?}"
        );
    }
    assert_eq!(
        outcome("--b\r\n\r\nM\r\n--b--", "b").await,
        "Invalid multipart image"
    );
}

#[tokio::test]
async fn harmless_variants_are_accepted() {
    let plain = form(&[(METADATA, "META"), (ROOTFS, "ROOT")]);
    let named = |head: &str| crlf(&form(&[(METADATA, "META"), (head, "ROOT")]));
    check(&[
        (&plain, "META|rootfs r.x|ROOT"),
        (
            &format!("hello\r\nthere\r\n{}", full()),
            "META|rootfs r.x|ROOT",
        ),
        (
            &format!("{}epilogue\r\n--b\r\n", full()),
            "META|rootfs r.x|ROOT",
        ),
        (
            &full().replace("--b\r\n", "--b \t\r\n"),
            "META|rootfs r.x|ROOT",
        ),
        (
            &crlf(&form(&[
                (METADATA, "META"),
                (ROOTFS, "ROOT"),
                ("X: y", "Z"),
            ])),
            "META|rootfs r.x|ROOT",
        ),
        (
            &crlf(&form(&[(METADATA, "META"), (ROOTFS, "")])),
            "META|rootfs r.x|",
        ),
        (&full().replace("ROOT\r\n--b", "--b"), "META|rootfs r.x|"),
        (
            &crlf(&form(&[(METADATA, ""), (ROOTFS, "ROOT")])),
            "|rootfs r.x|ROOT",
        ),
        (&full().replace("META\r\n--b", "--b"), "|rootfs r.x|ROOT"),
        (
            &named("Content-Disposition: form-data; name=rootfs"),
            "META|rootfs |ROOT",
        ),
        (
            &named("content-disposition: FORM-DATA; NAME=rootfs.img"),
            "META|rootfs.img |ROOT",
        ),
        (
            &named("Content-Disposition: form-data;\n name=\"rootfs\";\n\tfilename=z"),
            "META|rootfs z|ROOT",
        ),
        (
            &named("X: a\0\u{1}\nfo(o: x\n: x\nContent-Disposition:form-data; name=rootfs"),
            "META|rootfs |ROOT",
        ),
        (
            &named("Content-Disposition: form-data; name=rootfs\nContent-Disposition: x"),
            "META|rootfs |ROOT",
        ),
        (
            &named(
                "Content-Transfer-Encoding: base64\nContent-Disposition: form-data; name=rootfs",
            ),
            "META|rootfs |ROOT",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_only_looks_like_a_delimiter_is_data() {
    for data in [
        "A\r\n--bx\r\nB",
        "A\r\n--b-x\r\nB",
        "--bx",
        "--b-",
        "\r\n--",
        "\r\n",
        "\r\n\r\n--bx",
        "-",
        "\r",
        "A\n--b--\nB",
        "A\r\r\n--",
        "x--b--",
    ] {
        let text = full().replace("ROOT", data);
        assert_eq!(
            outcome(text, "b").await,
            format!("META|rootfs r.x|{data}"),
            "{data:?}"
        );
        let text = full().replace("META", data);
        assert_eq!(
            outcome(text, "b").await,
            format!("{data}|rootfs r.x|ROOT"),
            "{data:?}"
        );
    }
}

#[tokio::test]
async fn a_delimiter_with_something_behind_it_ends_the_part_and_is_refused() {
    let expecting = "multipart: expecting a new Part; got line ";
    let unexpected = "multipart: unexpected line in Next(): ";
    let meta = |data: &str| full().replace("META", data);
    check(&[
        (
            &full().replace("ROOT", "A\r\n--b x\r\nB"),
            "META|rootfs r.x|A",
        ),
        (
            &full().replace("ROOT", "A\r\n--b--x\r\nB"),
            "META|rootfs r.x|A",
        ),
        (
            &meta("A\r\n--b x\r\nB"),
            &format!("{expecting}\"--b x\\r\\n\""),
        ),
        (
            &meta("A\r\n--b--x\r\nB"),
            &format!("{expecting}\"--b--x\\r\\n\""),
        ),
        (&meta("--b x\r\nB"), &format!("{unexpected}\"--b x\\r\\n\"")),
        (
            &full().replacen("--b\r\n", "--b\n", 1),
            &format!("{expecting}\"--b\\r\\n\""),
        ),
    ])
    .await;
    let mixed = full().replace("ROOT\r\n--b--\r\n", "ROOT\n--b--\n");
    assert_eq!(outcome(mixed, "b").await, "unexpected EOF");
}

#[tokio::test]
async fn malformed_headers_are_refused_in_gos_words() {
    check(&[
        (
            "--b\r\nfoo\r\n\r\nx",
            "malformed MIME header: missing colon: \"foo\"",
        ),
        (
            "--b\r\n foo: x\r\n\r\nx",
            "malformed MIME header initial line:  foo: x",
        ),
    ])
    .await;
    let encoded = format!("{ROOTFS}\nContent-Transfer-Encoding: Quoted-Printable");
    let text = crlf(&form(&[(METADATA, "META"), (&encoded, "R=41")]));
    assert_eq!(outcome(text, "b").await, "Invalid multipart image");
}

#[tokio::test]
async fn headers_are_bounded_in_size_and_number() {
    let ends = 3 * "\r\n".len();
    let filler = |size: usize| {
        format!(
            "{ROOTFS}\nX: {}",
            "y".repeat(size - ends - ROOTFS.len() - 3)
        )
    };
    let many = |count: usize| format!("{}{ROOTFS}", "X: y\n".repeat(count - 1));
    let limit = 64 * 1024;
    for (head, fits) in [
        (filler(limit), true),
        (filler(limit + 1), false),
        (filler(10 * limit), false),
        (many(100), true),
        (many(101), false),
    ] {
        let text = crlf(&form(&[(METADATA, "META"), (&head, "ROOT")]));
        let expected = if fits {
            "META|rootfs r.x|ROOT"
        } else {
            "multipart: message too large"
        };
        assert_eq!(
            flat(receive(vec![text.into_bytes()], "b").await),
            expected,
            "{}",
            head.len()
        );
    }
}

#[tokio::test]
async fn what_nobody_reads_is_bounded() {
    let received = async |preamble: usize, epilogue: usize| {
        let line = [&[b'x'; MAX_LINE_BYTES - 1][..], b"\n"].concat();
        let block = |count| vec![line.repeat(256); count];
        let mut pieces = block(preamble);
        pieces.push(full().into_bytes());
        pieces.extend(block(epilogue));
        flat(receive(pieces, "b").await)
    };
    assert_eq!(received(1, 62).await, "META|rootfs r.x|ROOT");
    assert_eq!(received(1, 63).await, "multipart: message too large");
    assert_eq!(received(65, 0).await, "multipart: message too large");
}

#[tokio::test]
async fn a_failing_body_fails_the_intake_with_its_own_error() {
    let text = full().into_bytes();
    for at in 0..text.len() {
        let failure = Error::conflict("reached 9 bytes, exceeding quota of 8");
        let pieces = [Ok(Bytes::from(text[..at].to_vec())), Err(failure)];
        let mut multipart = Multipart::new(stream::iter(pieces), b"b");
        let received: Result<()> = async {
            data(multipart.metadata().await?).await?;
            data(multipart.rootfs().await?).await?;
            multipart.finish().await
        }
        .await;
        let error = received.unwrap_err();
        assert_eq!(
            error.message(),
            "reached 9 bytes, exceeding quota of 8",
            "{at}"
        );
        assert_eq!(error.kind(), crate::error::Kind::Conflict);
    }
}

#[tokio::test]
async fn after_a_failure_in_a_part_there_is_no_more_of_it() {
    let mut text = full();
    text.truncate(text.find("ROOT").unwrap() + 2);
    let mut multipart = Multipart::new(body(vec![text.into_bytes()]), b"b");
    let mut metadata = multipart.metadata().await.unwrap();
    assert!(metadata.next().await.unwrap().is_ok());
    assert!(metadata.next().await.is_none());
    let mut rootfs = multipart.rootfs().await.unwrap();
    assert_eq!(rootfs.next().await.unwrap().unwrap(), "RO");
    assert_eq!(
        rootfs.next().await.unwrap().unwrap_err().message(),
        "unexpected EOF"
    );
    assert!(rootfs.next().await.is_none());
}

#[tokio::test]
async fn what_is_not_read_of_a_part_is_skipped() {
    let mut multipart = Multipart::new(body(vec![full().into_bytes()]), b"b");
    assert_eq!(multipart.metadata().await.unwrap().filename(), "m");
    assert_eq!(
        data(multipart.rootfs().await.unwrap()).await.unwrap(),
        "ROOT"
    );
    let error = multipart.next_part().await.err().unwrap();
    assert_eq!(error.message(), "EOF");
}

#[tokio::test]
async fn data_is_handed_on_as_it_arrives() {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, Error>>(9);
    let pieces = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    let mut multipart = Multipart::new(Box::pin(pieces), b"b");
    sender
        .send(Ok(Bytes::from(format!("--b\r\n{METADATA}\r\n\r\nfirst"))))
        .await
        .unwrap();
    let mut part = multipart.metadata().await.unwrap();
    assert_eq!(part.next().await.unwrap().unwrap(), "first");
    sender
        .send(Ok(Bytes::from_static(b"second\r\n-")))
        .await
        .unwrap();
    assert_eq!(part.next().await.unwrap().unwrap(), "second");
    drop(sender);
    assert_eq!(part.next().await.unwrap().unwrap(), "\r\n-");
    assert_eq!(
        part.next().await.unwrap().unwrap_err().message(),
        "unexpected EOF"
    );
}
