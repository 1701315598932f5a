//! Jobs without a daemon around them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::*;
use crate::{db::Db, operations::Events};

/// A pass that goes on as long as the test wants, and what it notes.
#[derive(Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    open: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    most_inside: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self {
            begun: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
            inside: Arc::default(),
            most_inside: Arc::default(),
        }
    }

    async fn pass(self) -> Result<()> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        self.begun.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    async fn wait_for_begin(&self) {
        self.begun.acquire().await.unwrap().forget();
    }

    fn job(&self, name: &'static str) -> Job {
        let gate = self.clone();
        Job::new(name, "Testing", every(Duration::from_hours(1)), move |_| {
            gate.clone().pass()
        })
    }
}

struct Bench {
    jobs: Jobs,
    operations: Operations,
    _home: tempfile::TempDir,
}

impl Bench {
    async fn new(rows: Vec<Job>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (clock, tasks) = (Clock::System, Tasks::default());
        let events = Events::new(clock.clone());
        let operations = Operations::new(clock.clone(), events, tasks.clone());
        let db = Db::open(&home.path().join("test.db")).await.unwrap();
        let move_listener = Arc::new(
            |_| -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>> {
                Box::pin(std::future::ready(Ok(())))
            },
        );
        let settings = Settings::load(db, move_listener, tasks.clone())
            .await
            .unwrap();
        let services = (operations.clone(), settings);
        Self {
            jobs: Jobs::new(rows, services, clock, tasks),
            operations,
            _home: home,
        }
    }

    async fn ended(&self, begun: &OperationObject) -> OperationObject {
        let operation = self.operations.find(&begun.id).unwrap();
        operation.wait(None).await
    }

    fn last(&self, index: usize) -> Last {
        self.jobs.list()[index].last_run.clone().unwrap()
    }
}

#[tokio::test]
async fn a_job_runs_once_at_a_time() {
    let gate = Gate::new();
    let bench = Bench::new(vec![gate.job("one")]).await;
    let first = bench.jobs.run("one").unwrap();
    gate.wait_for_begin().await;
    let second = bench.jobs.run("one").unwrap();
    assert_eq!(first.id, second.id);
    let listed = &bench.jobs.list()[0];
    assert_eq!(listed.operation, format!("/1.0/operations/{}", first.id));
    gate.open.add_permits(1);
    assert_eq!(bench.ended(&first).await.status, "Success");
    assert_eq!(bench.last(0).status, "Success");
    assert_eq!(bench.jobs.list()[0].operation, "");
    let third = bench.jobs.run("one").unwrap();
    assert_ne!(first.id, third.id);
    gate.open.add_permits(1);
    bench.ended(&third).await;
}

#[tokio::test]
async fn jobs_that_are_alone_wait_for_each_other() {
    let gate = Gate::new();
    let rows = vec![gate.job("one").alone(), gate.job("two").alone()];
    let bench = Bench::new(rows).await;
    let begun = ["one", "two"].map(|name| bench.jobs.run(name).unwrap());
    gate.wait_for_begin().await;
    gate.open.add_permits(2);
    for operation in &begun {
        assert_eq!(bench.ended(operation).await.status, "Success");
    }
    assert_eq!(gate.most_inside.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_pass_that_panics_is_over_and_the_next_one_runs() {
    let row = Job::new("one", "Testing", every(Duration::ZERO), |_| async {
        panic!("on purpose")
    });
    let bench = Bench::new(vec![row]).await;
    for _ in 0..2 {
        let begun = bench.jobs.run("one").unwrap();
        assert_eq!(bench.ended(&begun).await.err, "Internal error");
        let last = bench.last(0);
        assert_eq!(
            (last.status, last.error.as_str()),
            ("Failure", "Interrupted")
        );
    }
}

#[tokio::test]
async fn everything_is_due_when_somebody_runs_it_and_only_then() {
    let gate = Gate::new();
    gate.open.add_permits(10);
    let made_due = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made_due);
    let row = gate.job("one").by_hand(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let bench = Bench::new(vec![row]).await;
    bench.jobs.nudge("one");
    bench.jobs.nudge("two");
    gate.wait_for_begin().await;
    assert_eq!(made_due.load(Ordering::SeqCst), 0);
    let begun = bench.jobs.run("one").unwrap();
    bench.ended(&begun).await;
    assert_eq!(made_due.load(Ordering::SeqCst), 1);
    let error = bench.jobs.run("two").unwrap_err();
    assert_eq!(error.message(), "Task \"two\" not found");
}

#[tokio::test]
async fn what_is_due_at_the_start_runs_in_order() {
    let gate = Gate::new();
    let rows = vec![
        gate.job("first").at_start(),
        gate.job("never"),
        gate.job("second").at_start(),
    ];
    let bench = Bench::new(rows).await;
    bench.jobs.start();
    gate.wait_for_begin().await;
    assert!(bench.jobs.list()[2].operation.is_empty());
    gate.open.add_permits(2);
    gate.wait_for_begin().await;
    assert_eq!(bench.last(0).status, "Success");
    assert!(bench.jobs.list()[1].last_run.is_none());
}
