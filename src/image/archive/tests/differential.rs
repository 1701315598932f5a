//! The reader beside GNU tar, bsdtar and Python: what it takes, all of them take for the same.
//!
//! `LXIMAGED_TEST_TARS` is how many archives are made; unset, some seconds' worth.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use regex::bytes::Regex;

use super::{
    super::{
        header::Kind,
        tar::{Entry, Tar},
    },
    mutate,
};

/// An entry as every reader can tell it.
#[derive(Clone, PartialEq, Eq)]
struct Line {
    kind: char,
    size_bytes: u64,
    name: Vec<u8>,
    link: Vec<u8>,
}

impl Line {
    /// Readers end the names of directories with a slash, or with none.
    fn new(kind: char, size: &str, name: Vec<u8>, link: Vec<u8>) -> Self {
        let kind = match kind {
            'C' => '-',
            'b' | 'c' | 'p' => 's',
            kind => kind,
        };
        let mut line = Self {
            kind,
            size_bytes: size.parse().unwrap_or(0),
            name,
            link,
        };
        while line.kind == 'd' && line.name.ends_with(b"/") {
            line.name.pop();
        }
        line
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, link) = (self.name.escape_ascii(), self.link.escape_ascii());
        write!(f, "{} {} \"{name}\" \"{link}\"", self.kind, self.size_bytes)
    }
}

type Listing = Result<Vec<Line>, String>;

fn ours(archive: &[u8]) -> Listing {
    let mut tar = Tar::new(archive);
    let mut lines = Vec::new();
    while let Some(entry) = tar.next().map_err(|error| error.to_string())? {
        lines.push(line(entry));
    }
    Ok(lines)
}

fn line(entry: Entry) -> Line {
    let kind = match entry.kind {
        Kind::Regular | Kind::Sparse => '-',
        Kind::HardLink => 'h',
        Kind::SymbolicLink => 'l',
        Kind::Directory => 'd',
        Kind::Special(_) => 's',
    };
    let size = entry.size_bytes.to_string();
    Line::new(kind, &size, entry.name, entry.link)
}

fn gnu_tar(path: &Path) -> Listing {
    let mut command = Command::new("tar");
    command.args(["--list", "--verbose", "--numeric-owner"]);
    command.args(["--absolute-names", "--quoting-style=escape", "--file"]);
    command.env("LC_ALL", "C");
    let columns = r"^(.)\S+ \S+ +([0-9,]+) -?[0-9]+-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} (.*)$";
    listed(command.arg(path), columns)
}

fn bsdtar(path: &Path) -> Listing {
    let mut command = Command::new("bsdtar");
    command
        .args(["--numeric-owner", "-tvf"])
        .env("LC_ALL", "C.UTF-8");
    let columns = r"^(.)\S+ +[0-9]+ .*? +([0-9,]+) [A-Z][a-z]{2} [ 0-9]{2}  ?[-0-9:]+ (.*)$";
    listed(command.arg(path), columns)
}

/// Runs a program that lists an archive, a line for each entry.
fn listed(command: &mut Command, columns: &str) -> Listing {
    let output = command.env("TZ", "UTC").output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let columns = Regex::new(&format!("(?s-u){columns}")).unwrap();
    let lines = output.stdout.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| listed_line(line, &columns))
        .collect()
}

fn listed_line(line: &[u8], columns: &Regex) -> Result<Line, String> {
    let found = columns.captures(line);
    let found = found.ok_or_else(|| format!("{:?}", String::from_utf8_lossy(line)))?;
    let size = String::from_utf8_lossy(&found[2]).into_owned();
    let (kind, rest) = (char::from(found[1][0]), &found[3]);
    let arrow: &[u8] = match kind {
        'h' => b" link to ",
        'l' => b" -> ",
        _ => return Ok(Line::new(kind, &size, unescaped(rest), Vec::new())),
    };
    let at = rest.windows(arrow.len()).rposition(|part| part == arrow);
    let (name, link) = rest.split_at(at.ok_or("no link")?);
    Ok(Line::new(
        kind,
        &size,
        unescaped(name),
        unescaped(&link[arrow.len()..]),
    ))
}

/// Takes `\n`, `\\` and `\123` back, which both programs write alike.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            plain.push(first);
            continue;
        }
        let octal = rest.get(..3).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        let letter = rest.first().copied().unwrap_or(b'\\');
        let letters = b"abtnvfr".iter().zip(7_u8..);
        let known = [7, 8, 9, 10, 11, 12, 13];
        let named = letters.zip(known).find(|((l, _), _)| **l == letter);
        let (byte, length) = match (octal, named) {
            (Some(byte), _) => (byte, 3),
            (None, Some((_, byte))) => (byte, 1),
            (None, None) => (letter, 1),
        };
        plain.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    plain
}

/// Lists every archive named on standard input; a line of JSON for each.
const PYTHON: &str = r#"
import json, sys, tarfile

def plain(text):
    return text.encode("utf-8", "surrogateescape").hex()

def kind(m):
    if m.issym(): return "l"
    if m.islnk(): return "h"
    if m.isdir(): return "d"
    if m.isdev(): return "c"
    return "-"

for path in sys.stdin.read().splitlines():
    try:
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
            lines = [[kind(m), str(m.size), plain(m.name),
                      plain(m.linkname) if m.issym() or m.islnk() else ""] for m in archive]
        print(json.dumps({"Ok": lines}))
    except Exception as error:
        print(json.dumps({"Err": repr(error)}))
"#;

fn python(paths: &[PathBuf]) -> Vec<Listing> {
    let list: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let input = tempfile::NamedTempFile::new().unwrap();
    fs::write(&input, list.join("\n")).unwrap();
    let mut command = Command::new("python3");
    command.args(["-W", "ignore", "-c", PYTHON]);
    command.stdin(Stdio::from(fs::File::open(&input).unwrap()));
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(python_listing).collect()
}

fn python_listing(line: &str) -> Listing {
    let listing: Result<Vec<[String; 4]>, String> = serde_json::from_str(line).unwrap();
    let entry = |[kind, size, name, link]: [String; 4]| {
        let bytes = |text: String| hex::decode(text).unwrap();
        Line::new(
            kind.chars().next().unwrap(),
            &size,
            bytes(name),
            bytes(link),
        )
    };
    Ok(listing?.into_iter().map(entry).collect())
}

/// Where a program's listing is another than ours.
fn difference(ours: &[Line], theirs: &Listing) -> Option<String> {
    let theirs = match theirs {
        Ok(theirs) if theirs == ours => return None,
        Ok(theirs) => theirs,
        Err(error) => return Some(error.trim_end().to_owned()),
    };
    let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let shown = |lines: &[Line]| lines.get(same).map_or("end".to_owned(), Line::to_string);
    Some(format!("{} instead of {}", shown(theirs), shown(ours)))
}

/// What the programs say of an archive that not all of them take as we do.
fn differences(path: &Path, ours: &[Line], python: &Listing) -> Vec<String> {
    [
        ("GNU tar", &gnu_tar(path)),
        ("bsdtar", &bsdtar(path)),
        ("Python", python),
    ]
    .into_iter()
    .filter_map(|(who, theirs)| Some((who, difference(ours, theirs)?)))
    .map(|(who, difference)| format!("{who}: {difference}"))
    .collect()
}

/// Compares each archive with its listing, on all processors.
#[expect(
    clippy::needless_collect,
    reason = "all start before the first is waited for"
)]
fn disagreements(accepted: &[(PathBuf, Vec<Line>)]) -> Vec<String> {
    let compare = |part: &[(PathBuf, Vec<Line>)]| {
        let paths: Vec<_> = part.iter().map(|(path, _)| path.clone()).collect();
        let mut found = Vec::new();
        for ((path, ours), python) in part.iter().zip(python(&paths)) {
            let differences = differences(path, ours, &python);
            if !differences.is_empty() {
                let differences = differences.join("\n  ");
                found.push(format!("{}\n  {differences}", path.display()));
            }
        }
        found
    };
    let size = accepted.len().div_ceil(4).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = accepted
            .chunks(size)
            .map(|part| scope.spawn(move || compare(part)))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap())
            .collect()
    })
}

/// A tree with everything that archives hold, packed by the real programs in every way they know.
fn seeds(directory: &Path) -> Vec<Vec<u8>> {
    let script = r#"
        set -e
        umask 022
        mkdir t && cd t
        deep=rootfs/$(printf 'd%.0s' $(seq 80))
        mkdir -p "$deep" "long/$deep/$deep/$deep"
        printf 'architecture: x86_64\n' >metadata.yaml
        printf hello >rootfs/file
        ln rootfs/file rootfs/hard
        ln -s file rootfs/soft
        mkfifo rootfs/pipe
        touch "$deep/file" "rootfs/ä b" "long/$deep/$deep/$deep/file"
        ln -s "$deep/$deep" long/link
        truncate -s 20480 rootfs/holes
        printf data | dd of=rootfs/holes bs=512 seek=16 conv=notrunc status=none
        find . -exec touch -h -d @1577836800 {} +
        short='metadata.yaml rootfs/file rootfs/hard rootfs/soft'
        for format in v7 oldgnu gnu ustar posix; do
            tar --format=$format --no-recursion -b1 -cf ../$format-short.tar $short
        done
        tar --format=ustar -cf ../ustar.tar metadata.yaml rootfs
        for format in oldgnu gnu posix; do
            tar --format=$format -cf ../$format.tar .
        done
        for version in 0.0 0.1 1.0; do
            tar --format=posix --sparse --sparse-version=$version -b1 -cf ../sparse-$version.tar \
                metadata.yaml rootfs/holes rootfs/soft
        done
        tar --format=gnu --sparse -b1 -cf ../sparse.tar metadata.yaml rootfs/holes rootfs/soft
        bsdtar --format ustar -cf ../bsd-ustar.tar metadata.yaml rootfs
        bsdtar --format pax -cf ../bsd-pax.tar .
        bsdtar --format gnutar -cf ../bsd-gnu.tar .
        for format in ustar pax gnutar; do
            bsdtar --format $format -cf ../bsd-$format-short.tar $short
        done
        python3 -c '
import tarfile
for format, names in (0, ["metadata.yaml", "rootfs"]), (1, ["."]), (2, ["."]):
    with tarfile.open("../python-%d.tar" % format, "w", format=format) as archive:
        for name in names:
            archive.add(name)
'
    "#;
    let packed = Command::new("bash")
        .args(["-c", script])
        .env("LC_ALL", "C.UTF-8")
        .current_dir(directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&packed.stderr);
    assert!(
        packed.status.success(),
        "needs tar, bsdtar, python3: {said}"
    );
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn archives_of_real_programs_are_read_as_they_read_them() {
    let directory = tempfile::tempdir().unwrap();
    let seeds = seeds(directory.path());
    let mut accepted = Vec::new();
    for (index, seed) in seeds.iter().enumerate() {
        let path = directory.path().join(format!("{index}.tar"));
        fs::write(&path, seed).unwrap();
        let listing = ours(seed).unwrap_or_else(|error| panic!("seed {index}: {error}"));
        assert!(!listing.is_empty());
        accepted.push((path, listing));
    }
    let found = disagreements(&accepted);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn archives_that_other_readers_take_differently_are_refused() {
    let count = std::env::var("LXIMAGED_TEST_TARS").map_or(2_000, |count| count.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let seeds = seeds(directory.path());
    let mut accepted = Vec::new();
    for number in 0..count {
        let archive = mutate::archive(number, &seeds);
        if let Ok(listing) = ours(&archive)
            && !listing.is_empty()
        {
            let path = directory.path().join(format!("mutated-{number}"));
            fs::write(&path, archive).unwrap();
            accepted.push((path, listing));
        }
    }
    println!("{} of {count} accepted", accepted.len());
    let found = disagreements(&accepted);
    assert!(
        found.is_empty(),
        "{} differ:\n{}",
        found.len(),
        found.join("\n")
    );
    assert!(accepted.len() as u64 > count / 10, "too few to mean much");
}
