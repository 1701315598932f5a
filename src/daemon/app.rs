//! From options to a daemon that serves, and to its end.

use std::{
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixListener as StdUnixListener,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use rustix::fs::Mode;
use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{
    certificate, facts,
    lifecycle::{self, Signals},
    lock::Lock,
    logging, remote, schedule, socket,
};
use crate::{
    access::Projects,
    clock::Clock,
    config::{address, paths::Paths},
    db::Db,
    error::{Context, Error, Result},
    http::{
        self, Services,
        server::{self, Https},
        tls::{self, Identity},
    },
    images::Images,
    instances::{Instances, Pools, Profiles},
    jobs::Jobs,
    operations::{Events, Operations},
    settings::{MoveListener, Settings},
    store::{self, Store},
    tasks::Tasks,
    trust::{Authority, Certificates},
};

/// How often the certificate files are looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(2);

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where everything is.
    pub(crate) paths: Paths,
    /// The group that may use the socket.
    pub(crate) group: Option<String>,
    /// What to log.
    pub(crate) log_level: String,
    /// How long other servers may be silent.
    pub(crate) remote_idle: Duration,
}

/// Runs the daemon until a signal ends it. Returns the process's exit status.
pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(options));
    // What a second signal cut off is not waited for.
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Runs until the daemon is to end. Returns whether somebody asked for that.
async fn until_end(
    paths: &Paths,
    identity: &Identity,
    tasks: &Tasks,
    signals: &mut Signals,
) -> bool {
    let asked = signals.end(|| reload(&paths.directory, identity));
    tasks.stopping().run_until_cancelled(asked).await.is_some()
}

/// Makes the state directory this daemon's.
fn claim(directory: &Path) -> Result<Lock> {
    // What needs another mode gets it by name.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    store::directory(directory, 0o711)?;
    Lock::take(directory)
}

async fn serve(options: Options) -> Result<()> {
    let paths = options.paths;
    let (clock, tasks) = (Clock::System, Tasks::default());
    let events = Events::new(clock.clone());
    logging::start(&options.log_level, events.clone())?;
    let mut signals = Signals::listen()?;

    let _lock = claim(&paths.directory)?;
    let identity = Identity::new(certificate::load_or_create(&paths.directory, clock.now())?);
    let settled = Arc::<OnceLock<Settings>>::default();
    let https = Https::new(tls::config(identity.clone())?, tasks.clone())
        .trusting(proxies(Arc::clone(&settled)));

    let operations = Operations::new(clock.clone(), events, tasks.clone());
    let db = open_database(&paths).await?;
    let router = Arc::<OnceLock<Router>>::default();
    let settings = Settings::load(
        db.clone(),
        mover(https.clone(), Arc::clone(&router)),
        tasks.clone(),
    )
    .await?;
    drop(settled.set(settings.clone()));
    let store = Store::open(&paths.directory)?;
    let outbound = remote::outbound(&settings, &identity, options.remote_idle);
    let streams = remote::streams(&outbound, &paths.directory, &tasks);
    let images = Images::new(
        db.clone(),
        store,
        tasks.clone(),
        (operations.clone(), settings.clone()),
        clock.clone(),
        (outbound, streams.clone()),
    );
    images.recover().await?;
    let instances = Instances::new(
        db.clone(),
        images.clone(),
        (tasks.clone(), operations.clone()),
        clock.clone(),
        paths.directory.clone(),
        settings.clone(),
    );
    instances.recover().await?;
    instances.resume().await?;
    let jobs = Jobs::new(
        schedule::jobs((&images, &instances), &operations, &streams),
        (operations.clone(), settings.clone()),
        clock.clone(),
        tasks.clone(),
    );
    let (listening, versioned) = (https.clone(), db.clone());
    let services = Arc::new(Services {
        images,
        instances,
        projects: Projects::new(db.clone(), operations.clone()),
        profiles: Profiles::new(db.clone(), operations.clone()),
        pools: Pools::new(db.clone(), operations.clone(), paths.pools.clone()),
        certificates: Certificates::new(
            db.clone(),
            operations.clone(),
            settings.clone(),
            tasks.clone(),
            clock,
            Authority::load(&paths.directory)?,
        ),
        settings: settings.clone(),
        jobs: jobs.clone(),
        operations: operations.clone(),
        tasks: tasks.clone(),
        facts: facts::find_out(),
        identity: identity.clone(),
        lasting: http::Lasting::default(),
        replace_certificate: replacer(&paths.directory, &identity),
        version: Arc::new(move || versioned.version()),
        addresses: Arc::new(move || address::shown(&listening.addresses())),
    });
    let app = router.get_or_init(|| http::router(&services)).clone();
    let listener = unix_listener(&paths.socket, options.group.as_deref())?;
    tasks.spawn(
        "unix listener",
        server::serve_unix(listener, app, tasks.clone()),
    );
    open_https(&settings, &https, &router).await;

    keep_watch(&paths, &identity, &tasks);
    jobs.start();
    lifecycle::tell_systemd(&[NotifyState::Ready]);
    greet(&paths, &https);
    let asked = until_end(&paths, &identity, &tasks, &mut signals).await;
    lifecycle::wind_down(&tasks, &operations, &mut signals).await;
    db.close().await;
    tracing::info!("ended");
    if asked {
        Ok(())
    } else {
        Err(Error::failed("A listener ended by itself"))
    }
}

/// Begins to watch over the certificate files, and to tell systemd that the daemon lives.
fn keep_watch(paths: &Paths, identity: &Identity, tasks: &Tasks) {
    let (directory, stopping) = (paths.directory.clone(), tasks.stopping().clone());
    let watch = watch_certificate(directory, identity.clone(), stopping);
    tasks.spawn("certificate watch", watch);
    lifecycle::feed_watchdog(tasks);
}

/// Opens the database and puts into it what every server has.
async fn open_database(paths: &Paths) -> Result<Db> {
    let directory = paths.database.parent().unwrap_or(&paths.directory);
    store::private_directory(directory)?;
    let db = Db::open(&paths.database).await?;
    // Containers' roots pass through it, and see no names.
    store::directory(&paths.pools, 0o711)?;
    let mut transaction = db.write().await?;
    Pools::ensure_default(&mut transaction, &paths.pools).await?;
    let project = Projects::ensure_default(&mut transaction).await?;
    Profiles::ensure_default(&mut transaction, project).await?;
    Db::commit(transaction).await?;
    Ok(db)
}

/// What keeps another server certificate, and serves with it.
fn replacer(directory: &Path, identity: &Identity) -> http::ReplaceCertificate {
    let (directory, identity) = (directory.to_owned(), identity.clone());
    Arc::new(move |certificate, key| {
        identity.replace(certificate::replace(&directory, certificate, key)?);
        Ok(())
    })
}

/// Whether `core.https_trusted_proxy` names an address, as it is set now.
fn proxies(settings: Arc<OnceLock<Settings>>) -> impl Fn(IpAddr) -> bool + Send + Sync {
    move |address| {
        let current = settings.get().map(Settings::current);
        let named = current
            .as_ref()
            .and_then(|values| values.get("core.https_trusted_proxy"));
        let is_it = |name: &str| name.trim().parse() == Ok(address);
        named.is_some_and(|names| names.split(',').any(is_it))
    }
}

/// What settings call when `core.https_address` changes.
fn mover(https: Https, router: Arc<OnceLock<Router>>) -> MoveListener {
    Arc::new(move |wanted| {
        let (https, router) = (https.clone(), Arc::clone(&router));
        Box::pin(async move { move_listener(&https, &router, wanted.as_deref()).await })
    })
}

async fn move_listener(
    https: &Https,
    router: &OnceLock<Router>,
    wanted: Option<&str>,
) -> Result<()> {
    let Some(router) = router.get() else {
        return Err(Error::failed("LXD daemon setup in progress"));
    };
    let wanted = wanted.unwrap_or_default();
    let addresses = resolve(wanted).await?;
    https.listen(wanted, &addresses, router).await
}

/// The addresses that a setting names; a name is looked up.
async fn resolve(wanted: &str) -> Result<Vec<SocketAddr>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let target = address::lookup_target(wanted)?;
    let found = tokio::net::lookup_host(target.clone())
        .await
        .map_err(|error| {
            tracing::info!(%error, address = target, "cannot be resolved");
            let host = target
                .rsplit_once(':')
                .map_or(target.as_str(), |(host, _)| host);
            Error::bad_request(format!(
                "cannot set 'core.https_address' to '{wanted}': Couldn't resolve {host:?}"
            ))
        })?;
    Ok(found.take(1).collect())
}

/// At start, an address that cannot be listened on any more does not keep the daemon down.
async fn open_https(settings: &Settings, https: &Https, router: &OnceLock<Router>) {
    let wanted = settings.current().get("core.https_address").cloned();
    if wanted.is_none() {
        return;
    }
    if let Err(error) = move_listener(https, router, wanted.as_deref()).await {
        tracing::warn!(%error, "not listening on the network");
    }
}

/// The socket that systemd holds for us, or one of our own.
fn unix_listener(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    let inherited = listenfd::ListenFd::from_env().take_unix_listener(0);
    let inherited = inherited.context("Failed to take systemd's socket over")?;
    let listener: StdUnixListener = match inherited {
        Some(listener) => listener,
        None => socket::bind(path, group)?,
    };
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener).context("Failed to listen on the Unix socket")
}

/// Serves with the certificate files as they are now.
fn reload(directory: &Path, identity: &Identity) {
    match certificate::load_again(directory) {
        Ok(certificate) => {
            identity.replace(certificate);
            tracing::info!("the server certificate was read again");
        }
        Err(error) => tracing::error!(%error, "the certificate stays"),
    }
}

/// Reads the certificate files again whenever somebody has written them, and left them alone for
/// one look: the two halves are not written at once.
async fn watch_certificate(directory: PathBuf, identity: Identity, stopping: CancellationToken) {
    let mut used = certificate::stamp(&directory);
    let mut seen = used;
    let mut looks = tokio::time::interval(CERTIFICATE_EVERY);
    while stopping.run_until_cancelled(looks.tick()).await.is_some() {
        let now = certificate::stamp(&directory);
        if now == seen && now != used {
            reload(&directory, &identity);
            used = now;
        }
        seen = now;
    }
}

/// Tells whoever started the daemon how to use it.
fn greet(paths: &Paths, https: &Https) {
    let directory = paths.directory.display();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "lximaged is ready");
    tracing::info!(
        "listening on {}; use it with: export LXD_DIR={directory}",
        paths.socket.display()
    );
    for address in address::shown(&https.addresses()) {
        tracing::info!("listening on https://{address}");
    }
}
