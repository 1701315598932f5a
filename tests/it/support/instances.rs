//! What most tests do with instances.

use serde_json::{Value, json};

use super::{clients::Client, http::Answer, image_api::refusal};

/// Where the instances are.
pub(crate) const INSTANCES: &str = "/1.0/instances";

impl Client {
    /// Asks for an instance and gives its finished operation.
    #[track_caller]
    pub(crate) fn create(&self, body: &Value) -> Value {
        self.finished(&self.post("/1.0/instances", body))
    }

    /// Makes an instance from an image, which must succeed.
    #[track_caller]
    pub(crate) fn init(&self, name: &str, fingerprint: &str) {
        let source = json!({"type": "image", "fingerprint": fingerprint});
        self.succeeds(&self.post("/1.0/instances", &json!({"name": name, "source": source})));
    }

    /// Makes an empty instance, which must succeed.
    #[track_caller]
    pub(crate) fn init_empty(&self, name: &str) {
        let body = json!({"name": name, "source": {"type": "none"}});
        self.succeeds(&self.post("/1.0/instances", &body));
    }

    /// Waits for an operation that must succeed.
    #[track_caller]
    pub(crate) fn succeeds(&self, answer: &Answer) -> Value {
        let operation = self.finished(answer);
        assert_eq!(operation["status"], "Success", "{operation}");
        operation
    }

    /// Waits for an operation that must fail, and gives its reason.
    #[track_caller]
    pub(crate) fn fails(&self, answer: &Answer) -> String {
        refusal(&self.finished(answer))
    }

    /// Lets virtual machines be made, whatever the host can run.
    #[track_caller]
    pub(crate) fn allow_machines(&self) {
        let config = json!({"config": {"lximaged.virtual_machines": "true"}});
        self.patch("/1.0", &config).is_done();
    }

    /// The instance object.
    #[track_caller]
    pub(crate) fn instance(&self, name: &str) -> Value {
        self.get(&format!("/1.0/instances/{name}"))
            .metadata()
            .clone()
    }

    /// The names of a project's instances.
    #[track_caller]
    pub(crate) fn instance_names(&self, project: &str) -> Vec<String> {
        let path = format!("/1.0/instances?recursion=1&project={project}");
        let found = self.get(&path).metadata().clone();
        let found = found.as_array().unwrap().iter();
        found
            .map(|instance| instance["name"].as_str().unwrap().to_owned())
            .collect()
    }
}
