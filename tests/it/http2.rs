//! HTTP/2 clients that want the server to work or remember without end. Frames are written by
//! hand, because no client library sends such things.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
};

use crate::support::{
    Lximaged, beyond_lxd, images,
    stream::{Stream, tls_h2},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// As much as a client may say that it takes.
const WINDOW: u32 = (1 << 31) - 1;

/// How much the daemon may grow while one client does its worst.
const MAX_GROWTH_KIB: u64 = 48 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET` of a path, in HPACK's plainest form.
fn get(path: &str) -> Vec<u8> {
    let literal = |index: u8, text: &str| {
        let mut field = vec![index, u8::try_from(text.len()).unwrap()];
        field.extend(text.as_bytes());
        field
    };
    [vec![0x82, 0x87], literal(0x41, "x"), literal(0x04, path)].concat()
}

/// A connection past its preface, from a client that takes whatever comes.
fn connect(address: SocketAddr) -> Box<dyn Stream> {
    let mut stream = tls_h2(address).unwrap();
    stream.write_all(PREFACE).unwrap();
    let settings = [&[0, 4][..], &WINDOW.to_be_bytes()].concat();
    stream.write_all(&frame(SETTINGS, 0, 0, &settings)).unwrap();
    let more = (WINDOW - 65_535).to_be_bytes();
    stream
        .write_all(&frame(WINDOW_UPDATE, 0, 0, &more))
        .unwrap();
    stream
}

/// Whether the server has ended the connection, or said that it will.
fn is_sent_away(stream: &mut dyn Read) -> bool {
    loop {
        let mut head = [0_u8; 9];
        if stream.read_exact(&mut head).is_err() || head[3] == GOAWAY {
            return true;
        }
        let length = u64::from(u32::from_be_bytes([0, head[0], head[1], head[2]]));
        if io::copy(&mut stream.take(length), &mut io::sink()).is_err() {
            return true;
        }
    }
}

/// Sends these frames again and again until the server has had enough; it must have before
/// `limit` times.
#[track_caller]
fn flood(daemon: &Lximaged, limit: u32, frames: impl Fn(u32) -> Vec<u8>) {
    let address = daemon.listen();
    let other = Lximaged::anonymous(address);
    assert_eq!(other.get("/1.0").status, 200);
    daemon.peak_memory_kib();
    let before = daemon.peak_memory_kib();
    let mut stream = connect(address);
    let sent = (0..limit).take_while(|number| stream.write_all(&frames(*number)).is_ok());
    let sent = sent.count();
    assert_eq!(other.get("/1.0").status, 200, "others are served");
    assert!(is_sent_away(&mut *stream), "after {sent}");
    let grown = daemon.peak_memory_kib().saturating_sub(before);
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB after {sent}");
}

#[test]
fn streams_that_are_opened_and_reset_without_end_are_ended() {
    if !beyond_lxd("it serves them") {
        return;
    }
    let daemon = Lximaged::start();
    let request = get("/1.0/images");
    flood(&daemon, 100_000, |number| {
        let stream = 2 * number + 1;
        let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request);
        [open, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    });
}

#[test]
fn headers_that_go_on_without_end_are_ended() {
    if !beyond_lxd("it has limits of its own") {
        return;
    }
    let daemon = Lximaged::start();
    let request = get("/1.0/images");
    flood(&daemon, 10_000, |number| match number {
        0 => frame(HEADERS, END_STREAM, 1, &request),
        // A field that nobody has, again and again.
        _ => frame(CONTINUATION, 0, 1, &[0, 1, b'a', 1, b'b'].repeat(3000)),
    });
}

#[test]
fn a_client_that_asks_for_much_and_reads_nothing_is_given_little() {
    if !beyond_lxd("it is no yardstick") {
        return;
    }
    let daemon = Lximaged::start();
    let address = daemon.listen();
    let found = daemon.import_public(&images::container_of_size("a", 8 << 20));
    let request = get(&format!("/1.0/images/{found}/export"));
    let warm = Lximaged::anonymous(address);
    assert_eq!(warm.get(&format!("/1.0/images/{found}/export")).status, 200);
    daemon.peak_memory_kib();
    let before = daemon.peak_memory_kib();
    let mut stream = connect(address);
    for number in 0..200 {
        let open = frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &request);
        stream.write_all(&open).unwrap();
    }
    for _ in 0..20 {
        assert_eq!(warm.get("/1.0/images").status, 200);
    }
    let grown = daemon.peak_memory_kib().saturating_sub(before);
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB");
}

#[test]
fn empty_frames_and_questions_without_end_cost_nobody_else() {
    if !beyond_lxd("it is no yardstick") {
        return;
    }
    let daemon = Lximaged::start();
    let address = daemon.listen();
    let other = Lximaged::anonymous(address);
    assert_eq!(other.get("/1.0").status, 200);
    daemon.peak_memory_kib();
    let before = daemon.peak_memory_kib();
    let ping = frame(PING, 0, 0, &[0; 8]).repeat(1000);
    let settings = frame(SETTINGS, 0, 0, &[]).repeat(1000);
    let empty = frame(DATA, 0, 1, &[]).repeat(1000);
    for flood in [&ping, &settings, &empty] {
        let mut stream = connect(address);
        let request = frame(HEADERS, END_HEADERS, 1, &get("/1.0/images"));
        stream.write_all(&request).unwrap();
        // Until the server takes no more, or has taken a hundred thousand.
        let sent = (0..100).take_while(|_| stream.write_all(flood).is_ok());
        assert!(sent.count() > 0);
        assert_eq!(other.get("/1.0").status, 200);
    }
    let grown = daemon.peak_memory_kib().saturating_sub(before);
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB");
}
