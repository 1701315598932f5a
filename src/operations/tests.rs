//! Operations without HTTP.

use super::*;

fn operations() -> (Operations, Events) {
    let events = Events::new(Clock::System);
    let operations = Operations::new(Clock::System, events.clone(), Tasks::default());
    (operations, events)
}

fn spec() -> Spec {
    Spec {
        description: "Testing",
        project: Some("default".to_owned()),
        ..Spec::default()
    }
}

#[tokio::test]
async fn a_task_is_told_pending_running_and_how_it_ended() {
    let (operations, events) = operations();
    let mut listener = events.subscribe();
    let announced = operations.task(spec(), |_| async { Err(Error::failed("no luck")) });
    assert_eq!(announced.status, "Running");
    let done = operations.find(&announced.id).unwrap().wait(None).await;
    assert_eq!((done.status, done.err.as_str()), ("Failure", "no luck"));
    let mut states = Vec::new();
    while let Ok(message) = listener.try_recv() {
        let message: serde_json::Value = serde_json::from_str(&message.text).unwrap();
        states.push(message["metadata"]["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(states, ["Pending", "Running", "Failure"]);
}

#[tokio::test]
async fn a_task_that_panics_fails_and_is_not_left_running() {
    let (operations, _) = operations();
    let announced = operations.task(spec(), |_| async { panic!("on purpose") });
    let done = operations.find(&announced.id).unwrap().wait(None).await;
    assert_eq!(
        (done.status, done.err.as_str()),
        ("Failure", "Internal error")
    );
}

#[tokio::test]
async fn a_token_is_used_once() {
    let (operations, _) = operations();
    let token = operations.token(spec());
    assert!(operations.use_up(&token));
    assert!(!operations.use_up(&token));
    assert_eq!(token.status(), Status::Cancelled);
    assert_eq!(operations.tokens("default").len(), 1);
}

#[tokio::test]
async fn a_task_cannot_be_cancelled_unless_it_says_so() {
    let (operations, _) = operations();
    let announced = operations.task(spec(), |_| std::future::pending());
    let task = operations.find(&announced.id).unwrap();
    let error = operations.cancel(&task).unwrap_err();
    assert_eq!(error.message(), "This operation can't be cancelled");
    let still = task.wait(Some(Duration::from_millis(1))).await;
    assert_eq!(still.status, "Running");
}

#[tokio::test]
async fn only_new_metadata_counts_as_an_update() {
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let hand = Arc::new(Mutex::new(now));
    let clock = Clock::Manual(Arc::clone(&hand));
    let events = Events::new(clock.clone());
    let token = Operations::new(clock, events, Tasks::default()).token(spec());
    *hand.lock().unwrap() += Duration::from_mins(1);
    token.advance(Status::Cancelled, "");
    assert_eq!(token.object().updated_at, now.into());
    token.set_metadata(Metadata::new());
    assert_eq!(
        token.object().updated_at,
        (now + Duration::from_mins(1)).into()
    );
    assert_eq!(token.object().created_at, now.into());
}

#[test]
fn a_timeout_is_seconds_or_for_ever() {
    assert_eq!(timeout(None).unwrap(), None);
    assert_eq!(timeout(Some("-1")).unwrap(), None);
    assert_eq!(timeout(Some("3")).unwrap(), Some(Duration::from_secs(3)));
    let error = timeout(Some("x")).unwrap_err();
    assert_eq!(
        error.message(),
        "strconv.Atoi: parsing \"x\": invalid syntax"
    );
}
