//! What the encoders write is read back by the programs it is meant for.

use std::{
    process::{Command, Stdio},
    thread,
};

use super::*;

/// Bytes that do not compress, the same each time.
pub(super) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Something like what is in images: words over and over, and noise.
fn sample(count: usize) -> Vec<u8> {
    let noise = noise(count / 3 + 1);
    let words = [
        &b"#!/bin/sh\n"[..],
        b"exec /usr/lib/",
        b"\0\0\0\0\0\0\0\0",
        b"systemd ",
    ];
    let mut sample = Vec::with_capacity(count + 64);
    for (at, byte) in noise.iter().enumerate() {
        sample.extend_from_slice(words[usize::from(*byte) % words.len()]);
        if at % 3 == 0 {
            sample.push(*byte);
        }
        if sample.len() >= count {
            break;
        }
    }
    sample.truncate(count);
    sample
}

fn threads(count: usize) -> Workers {
    Workers::new(count, |job| drop(thread::spawn(job)))
}

fn encode(algorithm: &str, workers: usize, input: &[u8], piece: usize) -> Vec<u8> {
    let compression = Compression::parse(algorithm).unwrap();
    let mut encoder = Encoder::new(&compression, &threads(workers), Vec::new()).unwrap();
    for piece in input.chunks(piece) {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}

/// What a program makes of `input`.
fn through(program: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program[0]));
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program:?}");
        output.stdout
    })
}

/// Every algorithm and the programs that read it.
const READERS: &[(&str, &[&[&str]])] = &[
    ("none", &[&["cat"]]),
    ("gzip", &[&["gzip", "-dc"], &["pigz", "-dc"]]),
    ("gzip -1", &[&["gzip", "-dc"]]),
    ("pigz -9", &[&["gzip", "-dc"]]),
    ("bzip2 -1", &[&["bzip2", "-dc"]]),
    ("xz -0", &[&["xz", "-dc"]]),
    ("xz -1 -e", &[&["xz", "-dc"]]),
    ("lzma -0", &[&["xz", "--format=lzma", "-dc"]]),
    ("zstd", &[&["zstd", "-dqc"]]),
    ("zstd -9", &[&["zstd", "-dqc"]]),
];

#[test]
fn every_algorithm_is_read_back_by_its_programs() {
    for size in [0, 1, 1000, 300_000, 2_500_000] {
        let input = sample(size);
        for (algorithm, readers) in READERS {
            let output = encode(algorithm, 2, &input, 100_000);
            for reader in *readers {
                let back = through(reader, &output);
                assert!(back == input, "{algorithm}, {size} bytes, by {reader:?}");
            }
        }
    }
}

#[test]
fn the_bytes_are_the_same_whatever_the_threads_and_the_pieces() {
    let input = sample(2_500_000);
    for (algorithm, _) in READERS {
        let once = encode(algorithm, 1, &input, input.len());
        assert!(encode(algorithm, 3, &input, 4096) == once, "{algorithm}");
        assert!(encode(algorithm, 8, &input, 65_537) == once, "{algorithm}");
    }
}

/// Compressors remember what they compressed before, in ways that show on real files only.
#[test]
fn the_bytes_are_the_same_for_real_files_too() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let input = &program[..4_000_000];
    for algorithm in ["gzip", "zstd"] {
        let once = encode(algorithm, 1, input, input.len());
        for workers in [2, 3, 4] {
            assert!(
                encode(algorithm, workers, input, 65_536) == once,
                "{algorithm}"
            );
        }
    }
}

#[test]
fn gzip_is_one_member_without_name_or_time() {
    let output = encode("gzip", 2, &sample(1_000_000), 4096);
    assert_eq!(output[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    let mut one = flate2::read::GzDecoder::new(&output[..]);
    assert_eq!(io::copy(&mut one, &mut io::sink()).unwrap(), 1_000_000);
}

#[test]
fn gzip_is_hardly_larger_for_being_cut() {
    let input = sample(5_000_000);
    let (ours, theirs) = (
        encode("gzip", 2, &input, 4096).len(),
        through(&["gzip", "-nc"], &input).len(),
    );
    assert!(ours * 100 < theirs * 103, "{ours} bytes, {theirs} by gzip");
}

#[test]
fn a_byte_put_in_early_leaves_most_of_what_is_compressed_as_it_was() {
    for algorithm in ["gzip", "zstd"] {
        let old = sample(9_000_000);
        let mut new = old.clone();
        new.insert(1000, b'!');
        let (old, new) = (
            encode(algorithm, 2, &old, 65_536),
            encode(algorithm, 2, &new, 65_536),
        );
        assert_ne!(old, new);
        // Not the checksum and the length behind it all.
        let (old, new) = (&old[..old.len() - 8], &new[..new.len() - 8]);
        let same = new.iter().rev().zip(old.iter().rev());
        let same = same.take_while(|(new, old)| new == old).count();
        assert!(
            same * 10 > old.len() * 6,
            "{algorithm}: {same} of {}",
            old.len()
        );
    }
}

/// Takes a few bytes, then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from_raw_os_error(28));
        }
        let taken = buffer.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_the_output_says_is_what_the_writer_hears() {
    let input = noise(2_000_000);
    for (algorithm, _) in READERS {
        let compression = Compression::parse(algorithm).unwrap();
        let mut encoder = Encoder::new(&compression, &threads(2), Full(1000)).unwrap();
        let written = encoder.write_all(&input);
        let finished = written.and_then(|()| encoder.finish().map(drop));
        assert_eq!(
            finished.unwrap_err().raw_os_error(),
            Some(28),
            "{algorithm}"
        );
    }
}

#[test]
fn a_thread_that_dies_is_told() {
    let workers = Workers::new(2, drop);
    let mut encoder = Encoder::new(&Compression::Gzip(6), &workers, Vec::new()).unwrap();
    let written = encoder.write_all(&noise(1_000_000));
    let error = written.and_then(|()| encoder.finish().map(drop));
    assert_eq!(error.unwrap_err().to_string(), "Compression interrupted");
}

#[test]
fn what_is_given_up_ends_soon() {
    let input = noise(3_000_000);
    for algorithm in ["xz -9", "gzip", "lzma -0"] {
        let given_up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&given_up);
        let is_given_up = move || seen.load(std::sync::atomic::Ordering::Relaxed);
        let workers = threads(2).until(is_given_up);
        let compression = Compression::parse(algorithm).unwrap();
        let mut encoder = Encoder::new(&compression, &workers, Vec::new()).unwrap();
        encoder.write_all(&input).unwrap();
        given_up.store(true, std::sync::atomic::Ordering::Relaxed);
        let error = encoder.finish().map(drop).unwrap_err();
        assert_eq!(error.to_string(), "Compression interrupted", "{algorithm}");
    }
}
