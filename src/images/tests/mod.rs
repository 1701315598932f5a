//! The image service in process: its clock stands still until a test moves it.

mod ensure;
mod expire;
mod update;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use serde_json::Value;
use time::{Duration, OffsetDateTime, macros::datetime};

use super::{Images, admit::Candidate, ensure::RemoteSource, origin::Behalf};
use crate::{
    access::{Caller, Edit, Projects, Scope},
    api::{Timestamp, objects::Requestor, requests::ProjectPut},
    clock::Clock,
    config::keys::{Change, Scalar},
    db::{
        self, Db,
        images::{ImageRow, SourceRow},
    },
    error::Result,
    image::{Fingerprint, ImageType, Part, host_architectures},
    instances::Profiles,
    operations::{Events, Operations, Spec},
    remote::{Outbound, Proxies, Setup, Streams},
    settings::Settings,
    store::Store,
    tasks::Tasks,
};

/// When every test begins.
const NOON: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);

/// A server that refuses every connection.
const NOBODY: &str = "https://127.0.0.1:1";

/// A service, and what a test turns and looks at.
struct Bench {
    images: Images,
    settings: Settings,
    operations: Operations,
    projects: Projects,
    db: Db,
    hand: Arc<Mutex<OffsetDateTime>>,
    home: tempfile::TempDir,
}

/// An image as a test wants it.
struct Wanted {
    content: &'static str,
    project: &'static str,
    cached: bool,
    auto_update: bool,
    restricted: bool,
    created_at: OffsetDateTime,
    expires_at: Timestamp,
    last_used_at: Timestamp,
    architecture: &'static str,
    source: Option<&'static str>,
}

/// A cached image of the alias `a` that is kept up to date.
fn cached(content: &'static str) -> Wanted {
    Wanted {
        content,
        project: "default",
        cached: true,
        auto_update: true,
        restricted: false,
        created_at: NOON,
        expires_at: Timestamp::ZERO,
        last_used_at: NOON.into(),
        architecture: host_architectures()[0],
        source: Some("a"),
    }
}

/// What a request for an alias of the server that is not there names.
fn alias(reference: &str) -> RemoteSource {
    RemoteSource {
        server: NOBODY.to_owned(),
        protocol: "simplestreams".to_owned(),
        reference: reference.to_owned(),
        ..RemoteSource::default()
    }
}

impl Bench {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let hand = Arc::new(Mutex::new(NOON));
        let (clock, tasks) = (Clock::Manual(Arc::clone(&hand)), Tasks::default());
        let events = Events::new(clock.clone());
        let operations = Operations::new(clock.clone(), events, tasks.clone());
        let db = Db::open(&home.path().join("test.db")).await.unwrap();
        let mut transaction = db.write().await.unwrap();
        let project = Projects::ensure_default(&mut transaction).await.unwrap();
        Profiles::ensure_default(&mut transaction, project)
            .await
            .unwrap();
        Db::commit(transaction).await.unwrap();
        let move_listener = Arc::new(
            |_| -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>> {
                Box::pin(std::future::ready(Ok(())))
            },
        );
        let settings = Settings::load(db.clone(), move_listener, tasks.clone())
            .await
            .unwrap();
        let outbound = Outbound::new(Setup {
            user_agent: "test".to_owned(),
            identity: Arc::new(|| panic!("nobody is told who asks")),
            proxies: Arc::new(Proxies::default),
            idle: std::time::Duration::from_secs(5),
        });
        let cache = home.path().join("cache");
        let streams = Streams::new(outbound.clone(), cache, tasks.clone(), clock.clone());
        let images = Images::new(
            db.clone(),
            Store::open(home.path()).unwrap(),
            tasks,
            (operations.clone(), settings.clone()),
            clock,
            (outbound, streams),
        );
        Self {
            images,
            settings,
            projects: Projects::new(db.clone(), operations.clone()),
            operations,
            db,
            hand,
            home,
        }
    }

    /// Time passes.
    fn wait(&self, time: Duration) {
        self.jump(time);
        self.images.doubts.pass(time);
    }

    /// The clock moves, and no time passes.
    fn jump(&self, time: Duration) {
        *self.hand.lock().unwrap() += time;
    }

    async fn set(&self, key: &str, value: &str) {
        let body = BTreeMap::from([(key.to_owned(), Scalar::String(value.to_owned()))]);
        let edit = Edit::new(requestor(), None);
        self.settings
            .change(Change::Patch, body, &edit)
            .await
            .unwrap();
    }

    async fn project(&self, name: &str, config: &[(&str, &str)]) {
        let config = config.iter();
        let config = config.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let project = ProjectPut {
            description: String::new(),
            config: config.collect(),
        };
        self.projects
            .create(name, project, requestor())
            .await
            .unwrap();
    }

    async fn scope(&self, project: &str) -> Scope {
        self.images.scope(project).await.unwrap()
    }

    /// Lets an image in.
    async fn admit(&self, wanted: Wanted) -> Fingerprint {
        let scope = self.scope(wanted.project).await;
        let candidate = self.candidate(wanted).await;
        self.images.admit(&scope, candidate, None).await.unwrap()
    }

    /// An image that is to come in.
    async fn candidate(&self, wanted: Wanted) -> Candidate {
        let mut intake = self.images.intake(None).unwrap();
        intake.begin(Part::Image).await.unwrap();
        intake
            .push(Bytes::from_static(wanted.content.as_bytes()))
            .await
            .unwrap();
        let (received, _) = intake.finish().await.unwrap();
        Candidate {
            files: received.sync().unwrap().into(),
            kind: ImageType::Container,
            architecture: wanted.architecture,
            filename: "a.tar.gz".to_owned(),
            public: false,
            auto_update: wanted.auto_update,
            cached: wanted.cached,
            properties: BTreeMap::from([("os".to_owned(), wanted.content.to_owned())]),
            created_at: wanted.created_at.into(),
            expires_at: wanted.expires_at,
            last_used_at: wanted.last_used_at,
            source: wanted.source.map(|alias| SourceRow {
                server: NOBODY.to_owned(),
                protocol: "simplestreams".to_owned(),
                certificate: String::new(),
                alias: alias.to_owned(),
                restricted: wanted.restricted,
                by_alias: true,
                properties: format!("{{\"os\":\"{}\"}}", wanted.content),
                expires_at: wanted.expires_at.to_string(),
            }),
            claim: None,
            replaces: None,
        }
    }

    async fn row(&self, project: &str, fingerprint: &Fingerprint) -> Option<ImageRow> {
        let scope = self.scope(project).await;
        let mut session = self.db.read().await.unwrap();
        db::images::find(&mut session, scope.images, fingerprint)
            .await
            .unwrap()
    }

    async fn has(&self, project: &str, fingerprint: &Fingerprint) -> bool {
        self.row(project, fingerprint).await.is_some()
    }

    /// Runs a job's pass, which must succeed, and gives what it told.
    async fn told<W>(
        &self,
        pass: impl FnOnce(crate::operations::Operation) -> W + Send + 'static,
    ) -> Value
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let operation = self.operations.watched_task(Spec::default(), pass);
        let ended = operation.wait(None).await;
        assert_eq!((ended.status, ended.err.as_str()), ("Success", ""));
        Value::Object(ended.metadata.unwrap_or_default())
    }
}

fn requestor() -> Requestor {
    Caller::unix("root".to_owned()).requestor
}

fn admin() -> Behalf {
    Behalf::own()
}
