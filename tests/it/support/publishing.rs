//! What tests of publishing do over and over.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    clients::Client,
    http::Answer,
    image_api::fingerprint_of,
    images::{metadata, noise},
    tar::Tar,
};

impl Client {
    /// Asks for an image of an instance, with more to it than its source.
    #[track_caller]
    pub(crate) fn publish_with(&self, instance: &str, more: &Value) -> Answer {
        let kind = if instance.contains('/') {
            "snapshot"
        } else {
            "instance"
        };
        let mut body = json!({"source": {"type": kind, "name": instance}});
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        self.post("/1.0/images", &body)
    }

    /// Publishes an instance, which must succeed, and gives the image's fingerprint.
    #[track_caller]
    pub(crate) fn publish(&self, instance: &str, more: &Value) -> String {
        fingerprint_of(&self.finished(&self.publish_with(instance, more)))
    }

    /// Publishes an instance, which must succeed, and gives the image as a plain tar archive.
    #[track_caller]
    pub(crate) fn published(&self, instance: &str) -> Vec<u8> {
        let found = self.publish(instance, &json!({"compression_algorithm": "none"}));
        self.export(&found).files.remove(0)
    }

    /// Begins a publish that goes on until it is cancelled.
    #[track_caller]
    pub(crate) fn publish_for_long(&self, instance: &str) -> Answer {
        let slowly = json!({"compression_algorithm": "xz -9 -e"});
        self.publish_with(instance, &slowly)
    }

    /// Ends an operation.
    #[track_caller]
    pub(crate) fn cancel(&self, answer: &Answer) -> Value {
        let path = answer.json["operation"].as_str().unwrap().to_owned();
        self.delete(&path).is_done();
        self.finished(answer)
    }

    /// What an operation tells now.
    #[track_caller]
    pub(crate) fn told(&self, answer: &Answer) -> Value {
        let path = answer.json["operation"].as_str().unwrap();
        self.get(path).metadata()["metadata"].clone()
    }
}

/// A container image that takes a slow compressor minutes.
pub(crate) fn large() -> Vec<u8> {
    Tar::new()
        .file("metadata.yaml", metadata("large"))
        .directory("rootfs/")
        .file("rootfs/noise", noise("large", 48 * 1024 * 1024))
        .build()
}

/// What a program makes of `input`.
pub(crate) fn through(program: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs {}: {error}", program[0]));
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that has enough does not read the rest.
        scope.spawn(move || drop(stdin.write_all(input)));
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program:?}");
        output.stdout
    })
}

/// The names in a tar archive, in their order.
pub(crate) fn names_in(archive: &[u8]) -> Vec<String> {
    let listed = through(&["tar", "-t"], archive);
    let listed = String::from_utf8(listed).unwrap();
    listed.lines().map(str::to_owned).collect()
}

/// The text of one file of a tar archive.
pub(crate) fn file_in(archive: &[u8], name: &str) -> String {
    String::from_utf8(through(&["tar", "-xO", name], archive)).unwrap()
}
