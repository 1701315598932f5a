//! How images are compressed when they are made: a known algorithm and a few harmless arguments.
//! No program is run with them.

use super::Checked;

/// The algorithms there are.
const ALGORITHMS: &[&str] = &[
    "bzip2", "gzip", "lzma", "none", "pigz", "squashfs", "xz", "zstd",
];

/// Compressors that squashfs can use.
const SQUASHFS_COMPRESSORS: &[&str] = &["gzip", "lzo", "lz4", "lzma", "xz", "zstd"];

/// An algorithm and its arguments.
pub(crate) fn compression(text: &str) -> Checked {
    let words = words(text)?;
    let Some((algorithm, arguments)) = words.split_first() else {
        return Err("No compression algorithm specified".to_owned());
    };
    let is_known = ALGORITHMS.contains(&algorithm.as_str());
    let are_harmless = match algorithm.as_str() {
        "squashfs" => is_squashfs(arguments),
        "none" => arguments.is_empty(),
        _ => are_harmless_arguments(arguments),
    };
    // Beyond LXD, which takes any arguments: some write files or run programs.
    if is_known && are_harmless {
        return Ok(());
    }
    Err(format!("Invalid compression algorithm {text:?}"))
}

fn are_harmless_arguments(arguments: &[String]) -> bool {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let is_threads = matches!(argument.as_str(), "-p" | "-T");
        let is_good = if is_threads {
            arguments.next().is_some_and(|count| is_number(count))
        } else {
            is_harmless(argument)
        };
        if !is_good {
            return false;
        }
    }
    true
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit())
}

/// A level, a number of threads, or one of the options that only trade time for space.
fn is_harmless(argument: &str) -> bool {
    let plain = [
        "--best",
        "--fast",
        "--long",
        "--rsyncable",
        "--ultra",
        "-e",
        "--extreme",
    ];
    plain.contains(&argument)
        || argument.strip_prefix("-T").is_some_and(is_number)
        || argument.strip_prefix("-p").is_some_and(is_number)
        || argument.strip_prefix('-').is_some_and(is_number)
}

fn is_squashfs(arguments: &[String]) -> bool {
    arguments.chunks(2).all(|pair| match pair {
        [option, value] if option == "-c" => SQUASHFS_COMPRESSORS.contains(&value.as_str()),
        [option, value] if option == "-b" => super::parse_size(value).is_some(),
        _ => false,
    })
}

/// The words of a command line, as a shell would split it.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                let quoted: String = chars.by_ref().take_while(|c| *c != '\'').collect();
                if !text.ends_with('\'') && chars.as_str().is_empty() {
                    return Err("Unterminated single-quoted string".to_owned());
                }
                word.push_str(&quoted);
            }
            '"' => {
                let quoted: String = chars.by_ref().take_while(|c| *c != '"').collect();
                if !text.ends_with('"') && chars.as_str().is_empty() {
                    return Err("Unterminated double-quoted string".to_owned());
                }
                word.get_or_insert_default().push_str(&quoted);
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}
