//! From a request to its row in the table, and the answers that no row gives.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, RawPathParams, Request},
    http::{Method, Response, StatusCode, request::Parts},
    middleware::{Next, from_fn},
    routing::any,
};
use futures_util::FutureExt;

use super::{
    Services,
    answer::{Answer, failure},
    call::{Call, project_of},
    cors,
    lasting::Key,
    origin,
    peer::Peer,
    routes::{ROUTES, Route},
    unread::Unread,
};
use crate::{
    access::{Access, Caller, Trust},
    api::url::query_pairs,
    error::{Error, Kind, Result},
    image::ImageType,
    instances,
    settings::{Settings, Values},
    tasks, trust,
};

/// Where instances are.
const INSTANCES: &str = "/1.0/instances";

/// Everything the daemon answers, made from the table.
pub(crate) fn router(services: &Arc<Services>) -> Router {
    let mut by_path: BTreeMap<&'static str, Vec<&'static Route>> = BTreeMap::new();
    for route in ROUTES {
        by_path.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, rows) in by_path {
        let (services, rows) = (Arc::clone(services), Arc::from(rows));
        let answer = move |request| dispatch(Arc::clone(&services), Arc::clone(&rows), request);
        for old in legacy(path) {
            router = router.route(&old, any(answer.clone()));
        }
        router = router.route(path, any(answer));
    }
    let settings = services.settings.clone();
    let front = move |request, next| front(settings.clone(), request, next);
    router.fallback(nowhere).layer(from_fn(front))
}

/// The other names of paths of instances, by their types.
fn legacy(path: &str) -> Vec<String> {
    let rest = path.strip_prefix(INSTANCES);
    let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let names = [ImageType::Container, ImageType::VirtualMachine].map(instances::collection);
    rest.map_or_else(Vec::new, |rest| {
        names.map(|name| format!("/1.0/{name}{rest}")).to_vec()
    })
}

/// What holds for every request, whatever it asks for.
async fn front(settings: Settings, request: Request, next: Next) -> Response<Body> {
    let settings = settings.current();
    // LXD: an answer to a change of these settings still follows the old ones.
    let cors = cors::headers(&settings, cors::has_origin(request.headers()));
    let mut response = match *request.method() {
        Method::OPTIONS => Response::new(Body::empty()),
        _ => match check_origin(&request, &settings) {
            Ok(()) => next.run(request).await,
            Err(error) => failure(&error),
        },
    };
    response.headers_mut().extend(cors);
    response
}

/// Browsers do not come over the Unix socket.
fn check_origin(request: &Request, settings: &Values) -> Result<()> {
    if let Some(Peer::Unix { .. }) = request.extensions().get() {
        return Ok(());
    }
    origin::check(request.method(), request.uri(), request.headers(), settings)
}

async fn nowhere() -> Response<Body> {
    failure(&Error::not_found("not found"))
}

async fn dispatch(
    services: Arc<Services>,
    rows: Arc<[&'static Route]>,
    request: Request,
) -> Response<Body> {
    let is_head = request.method() == Method::HEAD;
    let (parts, body) = request.into_parts();
    let (headers, unread) = (parts.headers.clone(), Unread::new(body));
    let answered = answer(services, &rows, parts, unread.clone()).await;
    unread.drain(&headers).await;
    let answered = answered.map(Answer::render);
    let mut response = answered.unwrap_or_else(|error| failure(&error));
    if is_head && response.status() != StatusCode::OK {
        // The length that hyper tells is that of the error's text.
        *response.body_mut() = Body::empty();
    }
    response
}

async fn answer(
    services: Arc<Services>,
    rows: &[&'static Route],
    mut parts: Parts,
    body: Unread,
) -> Result<Answer> {
    let caller = caller(&services, &parts).await?;
    log(&caller, &parts);
    let route = choose(rows, &parts, &caller)?;
    refuse_while_stopping(&services, &parts)?;
    let segments = segments(&mut parts).await?;
    let is_change = !matches!(parts.method, Method::GET | Method::HEAD);
    let tasks = services.tasks.clone();
    let lasting = route.lasting.then(|| key(&caller, &parts)).flatten();
    let call = Call::new(Arc::clone(&services), caller, parts, body, segments);
    if is_change {
        return tasks.run_to_end("request", (route.handler)(call)).await;
    }
    let Some(key) = lasting else {
        return run(route, call).await;
    };
    let version = (services.version)();
    if let Some(kept) = services.lasting.find(version, &key) {
        return Ok(Answer::Sync(kept));
    }
    let answer = run(route, call).await?;
    if let Answer::Sync(kept) = &answer {
        services.lasting.keep(version, key, kept.clone());
    }
    Ok(answer)
}

async fn run(route: &Route, call: Call) -> Result<Answer> {
    let handled = AssertUnwindSafe((route.handler)(call)).catch_unwind().await;
    handled.unwrap_or_else(|_| Err(Error::failed("Internal error")))
}

/// By what a lasting answer is found again. A secret is used up by each question.
fn key(caller: &Caller, parts: &Parts) -> Option<Key> {
    let query = parts.uri.query().unwrap_or_default();
    let has_secret = query.split('&').any(|pair| pair.starts_with("secret"));
    (!has_secret).then(|| Key {
        view: caller.view(),
        target: parts
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
    })
}

/// Who asks, judged anew for each request: what was trusted a moment ago may not be any more.
async fn caller(services: &Services, parts: &Parts) -> Result<Caller> {
    let (address, certificate) = match parts.extensions.get::<Peer>() {
        Some(Peer::Unix { username }) => return Ok(Caller::unix(username.clone())),
        Some(Peer::Tls {
            address,
            certificate,
        }) => (address.to_string(), certificate.clone()),
        None => (String::new(), None),
    };
    let Some(der) = certificate else {
        return Ok(Caller::network(address, None, Trust::None));
    };
    let fingerprint = trust::fingerprint(&der);
    let trust = services.certificates.judge(&der, &fingerprint).await?;
    Ok(Caller::network(address, Some((der, fingerprint)), trust))
}

/// The row for this method, if the caller may use it.
fn choose(rows: &[&'static Route], parts: &Parts, caller: &Caller) -> Result<&'static Route> {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::PATCH,
    ];
    if !known.contains(&parts.method) {
        return Err(Error::not_found(format!(
            "Method {:?} not found",
            parts.method.as_str()
        )));
    }
    let row = rows
        .iter()
        .find(|route| route.method == parts.method.as_str());
    // LXD: strangers learn nothing about methods that do not exist.
    let access = row.map_or(Access::Admin, |route| route.access);
    caller.check(access, &project(parts))?;
    if !caller.is_trusted() && parts.headers.contains_key("x-lxd-authenticated") {
        return Err(Error::not_authorized());
    }
    row.copied()
        .ok_or_else(|| Error::new(Kind::NotImplemented, "not implemented"))
}

/// The project that a request names.
fn project(parts: &Parts) -> String {
    project_of(&query_pairs(parts.uri.query().unwrap_or_default())).to_owned()
}

/// While the daemon ends, clients may still look, and wait for what is under way.
fn refuse_while_stopping(services: &Services, parts: &Parts) -> Result<()> {
    let path = parts.uri.path();
    let is_free = parts.method == Method::GET || path.starts_with("/1.0/operations");
    if services.tasks.stopping().is_cancelled() && !is_free {
        return Err(tasks::shutting_down());
    }
    Ok(())
}

async fn segments(parts: &mut Parts) -> Result<Vec<String>> {
    let decoded = RawPathParams::from_request_parts(parts, &()).await;
    let decoded = decoded.map_err(|error| {
        tracing::debug!(%error, "a path that is not text");
        Error::not_found("not found")
    })?;
    Ok(decoded.iter().map(|(_, value)| value.to_owned()).collect())
}

fn log(caller: &Caller, parts: &Parts) {
    let who = &caller.requestor;
    tracing::debug!(
        ip = who.address,
        method = %parts.method,
        protocol = who.protocol,
        url = loggable(parts),
        username = who.username,
        "Handling API request"
    );
}

/// The request's target without secrets.
fn loggable(parts: &Parts) -> String {
    let path = parts.uri.path();
    let Some(query) = parts.uri.query() else {
        return path.to_owned();
    };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if key.eq_ignore_ascii_case("secret") => format!("{key}=…"),
        _ => pair.to_owned(),
    };
    let query: Vec<_> = query.split('&').map(hide).collect();
    format!("{path}?{}", query.join("&"))
}
