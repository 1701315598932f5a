//! What most tests do with images: upload, wait, read back.

use std::io;

use serde_json::Value;

use super::{
    clients::Client,
    http::{Answer, Request},
    multipart::{CONTENT_TYPE, Multipart},
};

/// An image as the API gives it out.
pub(crate) struct Exported {
    /// The answer with its headers.
    pub(crate) answer: Answer,
    /// The files in it: one for a unified image, two for a split one.
    pub(crate) files: Vec<Vec<u8>>,
}

impl Client {
    /// Uploads a unified image and gives the reply at once.
    #[track_caller]
    pub(crate) fn upload(&self, image: &[u8], headers: &[(&str, &str)]) -> Answer {
        self.send(&Self::upload_request(image, headers))
    }

    /// The upload as `lxc` sends it: chunked, of no particular type.
    pub(crate) fn upload_request(image: &[u8], headers: &[(&str, &str)]) -> Request {
        let request = Request::new("POST", "/1.0/images")
            .headers(headers)
            .body(image)
            .chunked();
        if headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            return request;
        }
        request.header("Content-Type", "application/octet-stream")
    }

    /// Uploads a unified image and gives its finished operation.
    #[track_caller]
    pub(crate) fn import_with(&self, image: &[u8], headers: &[(&str, &str)]) -> Value {
        self.finished(&self.upload(image, headers))
    }

    /// Uploads a unified image, which must succeed, and gives its fingerprint.
    #[track_caller]
    pub(crate) fn import(&self, image: &[u8]) -> String {
        fingerprint_of(&self.import_with(image, &[]))
    }

    /// Uploads a unified public image, which must succeed, and gives its fingerprint.
    #[track_caller]
    pub(crate) fn import_public(&self, image: &[u8]) -> String {
        fingerprint_of(&self.import_with(image, &[("X-LXD-public", "true")]))
    }

    /// Uploads a unified image, which must fail, and gives the operation's error.
    #[track_caller]
    pub(crate) fn refuses(&self, image: &[u8]) -> String {
        refusal(&self.import_with(image, &[]))
    }

    /// Uploads a multipart body and gives its finished operation.
    #[track_caller]
    pub(crate) fn import_parts(&self, parts: &Multipart) -> Value {
        let request = Request::new("POST", "/1.0/images")
            .body(parts.body())
            .chunked();
        self.finished(&self.send(&request.header("Content-Type", CONTENT_TYPE)))
    }

    /// Waits for the operation in a 202 answer and gives it as it ended.
    #[track_caller]
    pub(crate) fn finished(&self, answer: &Answer) -> Value {
        let id = answer.operation()["id"].as_str().unwrap().to_owned();
        self.get(&format!("/1.0/operations/{id}/wait?timeout=60"))
            .metadata()
            .clone()
    }

    /// As [`Self::finished`], for a daemon that may die meanwhile.
    pub(crate) fn try_finished(&self, answer: &Answer) -> io::Result<Value> {
        let path = format!(
            "{}/wait?timeout=60",
            answer.json["operation"].as_str().unwrap_or("/")
        );
        let answer = self.try_send(&Request::new("GET", &path))?;
        Ok(answer.json["metadata"].clone())
    }

    /// The image object.
    #[track_caller]
    pub(crate) fn image(&self, fingerprint: &str) -> Value {
        self.get(&format!("/1.0/images/{fingerprint}"))
            .metadata()
            .clone()
    }

    /// All image objects of a project.
    #[track_caller]
    pub(crate) fn images(&self, project: &str) -> Vec<Value> {
        let answer = self.get(&format!("/1.0/images?recursion=1&project={project}"));
        answer.metadata().as_array().unwrap().clone()
    }

    /// Exports an image.
    #[track_caller]
    pub(crate) fn export(&self, fingerprint: &str) -> Exported {
        let answer = self.get(&format!("/1.0/images/{fingerprint}/export"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let content_type = answer.header("content-type").unwrap();
        let files = match content_type.strip_prefix("multipart/form-data; boundary=") {
            None => vec![answer.body.clone()],
            Some(boundary) => Multipart::parse(&answer.body, boundary)
                .into_iter()
                .map(|part| part.bytes)
                .collect(),
        };
        Exported { answer, files }
    }

    /// Deletes an image, which must succeed.
    #[track_caller]
    pub(crate) fn remove_image(&self, fingerprint: &str) {
        let operation = self.finished(&self.delete(&format!("/1.0/images/{fingerprint}")));
        assert_eq!(operation["status"], "Success", "{operation}");
    }

    /// Gives an image an alias.
    #[track_caller]
    pub(crate) fn alias(&self, name: &str, fingerprint: &str) {
        let body = serde_json::json!({"name": name, "target": fingerprint});
        let answer = self.post("/1.0/images/aliases", &body);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

/// The fingerprint in an operation that must have succeeded.
#[track_caller]
pub(crate) fn fingerprint_of(operation: &Value) -> String {
    assert_eq!(operation["status"], "Success", "{operation}");
    operation["metadata"]["fingerprint"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The error of an operation that must have failed.
#[track_caller]
pub(crate) fn refusal(operation: &Value) -> String {
    assert_eq!(
        (&operation["status"], &operation["status_code"]),
        (&"Failure".into(), &400.into())
    );
    operation["err"].as_str().unwrap().to_owned()
}
