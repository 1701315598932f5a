//! What the room must not have.

use std::fs;

/// Everything in this room but tests, by file.
fn sources() -> Vec<(String, String)> {
    let mut directories = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/src/template").to_owned()];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().and_then(|end| end.to_str());
            let (is_code, is_text) = (ending == Some("rs"), ending == Some("txt"));
            let path = path.to_str().unwrap().to_owned();
            if path.ends_with("/tests") {
            } else if is_code {
                let source = fs::read_to_string(&path).unwrap();
                let code = source.split("#[cfg(test)]").next().unwrap().to_owned();
                sources.push((path, code));
            } else if !is_text {
                directories.push(path);
            }
        }
    }
    sources
}

#[test]
fn there_is_one_engine_and_it_reaches_no_file() {
    let sources = sources();
    let engines = sources
        .iter()
        .map(|(_, code)| code.matches("Tera::").count());
    assert_eq!(engines.sum::<usize>(), 1, "one place makes an engine");
    for (path, code) in &sources {
        for word in [
            "std::fs",
            "File",
            "Path",
            "OpenOptions",
            "tokio",
            "rustix",
            "std::env",
            "std::net",
            "Command",
            "add_template_file",
            "load_from_glob",
            "full_reload",
            "register_from",
        ] {
            assert!(!code.contains(word), "{path} has {word}");
        }
    }
}
