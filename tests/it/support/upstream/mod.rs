//! A server that the daemon fetches from, in the test's own process.
//!
//! It says what it was given ([`Page`]), misbehaves where it was told to ([`Act`]), and remembers
//! what it was asked ([`Seen`]). [`offers`] stands an image up behind each protocol, [`streams`]
//! makes whole trees of simplestreams.

pub(crate) mod authority;
mod connection;
pub(crate) mod offers;
pub(crate) mod page;
pub(crate) mod proxy;
pub(crate) mod sites;
pub(crate) mod streams;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

pub(crate) use authority::{Papers, authority};
pub(crate) use page::{Act, Page};
pub(crate) use proxy::Proxy;
pub(crate) use sites::Site;

/// A running server. Dropped, it is gone.
pub(crate) struct Upstream {
    shared: Arc<Shared>,
    papers: Option<Papers>,
    address: SocketAddr,
    listening: Mutex<Option<JoinHandle<()>>>,
}

/// A request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `GET`.
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// Without the question mark; empty when there is none.
    pub(crate) query: String,
    headers: Vec<(String, String)>,
    /// Whether a client certificate was shown.
    pub(crate) is_identified: bool,
}

#[derive(Default)]
struct Shared {
    pages: Mutex<BTreeMap<String, Page>>,
    script: Mutex<Vec<Turn>>,
    seen: Mutex<Vec<Seen>>,
    released: Mutex<bool>,
    release: Condvar,
    stopping: AtomicBool,
    open: Mutex<Vec<Weak<TcpStream>>>,
    accepted: Mutex<usize>,
}

/// What a server does at a path, and how often yet.
struct Turn {
    path: String,
    act: Act,
    left: usize,
}

impl Upstream {
    /// Starts one over TLS that the daemons of the tests trust.
    pub(crate) fn start() -> Self {
        Self::with(authority().papers(&["127.0.0.1"]))
    }

    /// Starts one over TLS with these papers.
    pub(crate) fn with(papers: Papers) -> Self {
        Self::on("127.0.0.1:0", Some(papers))
    }

    /// Starts one in the clear.
    pub(crate) fn plain() -> Self {
        Self::on("127.0.0.1:0", None)
    }

    fn on(address: &str, papers: Option<Papers>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let upstream = Self {
            shared: Arc::default(),
            papers,
            address: listener.local_addr().unwrap(),
            listening: Mutex::new(None),
        };
        upstream.listen(listener);
        upstream
    }

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let tls = self.papers.as_ref().map(Papers::config);
        let listening = thread::spawn(move || {
            for socket in listener.incoming() {
                if shared.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(socket) = socket else { continue };
                *lock(&shared.accepted) += 1;
                let socket = Arc::new(socket);
                lock(&shared.open).push(Arc::downgrade(&socket));
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                // A connection that fails is the other side's affair.
                thread::spawn(move || drop(connection::serve(&shared, &socket, tls)));
            }
        });
        *lock(&self.listening) = Some(listening);
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.papers.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> String {
        self.papers.as_ref().map(Papers::pem).unwrap_or_default()
    }

    /// Has it say something at a path.
    pub(crate) fn page(&self, path: &str, page: Page) {
        lock(&self.shared.pages).insert(path.to_owned(), page);
    }

    /// What it says at a path.
    pub(crate) fn find(&self, path: &str) -> Option<Page> {
        lock(&self.shared.pages).get(path).cloned()
    }

    /// Has it say nothing more at a path.
    pub(crate) fn remove(&self, path: &str) {
        lock(&self.shared.pages).remove(path);
    }

    /// Has it misbehave at a path from now on.
    pub(crate) fn act(&self, path: &str, act: Act) {
        self.act_times(path, act, usize::MAX);
    }

    /// Has it misbehave so many times at a path; what was told first comes first.
    pub(crate) fn act_times(&self, path: &str, act: Act, left: usize) {
        let path = path.to_owned();
        lock(&self.shared.script).push(Turn { path, act, left });
    }

    /// Has it behave from now on.
    pub(crate) fn behave(&self) {
        lock(&self.shared.script).clear();
    }

    /// Lets go what [`Act::Hold`] holds, and whatever it would hold.
    pub(crate) fn release(&self) {
        *lock(&self.shared.released) = true;
        self.shared.release.notify_all();
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// What it was asked at a path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|seen| seen.path == path);
        seen
    }

    /// Forgets what it was asked.
    pub(crate) fn forget(&self) {
        lock(&self.shared.seen).clear();
    }

    /// How many connections it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        *lock(&self.shared.accepted)
    }

    /// Takes it down: nobody listens at its address.
    pub(crate) fn down(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener up; it is gone by the time it is waited for.
        drop(TcpStream::connect(self.address));
        if let Some(listening) = lock(&self.listening).take() {
            drop(listening.join());
        }
        let open = std::mem::take(&mut *lock(&self.shared.open));
        for socket in open.iter().filter_map(Weak::upgrade) {
            drop(socket.shutdown(std::net::Shutdown::Both));
        }
    }

    /// Puts it up again at its address.
    pub(crate) fn up(&self) {
        self.shared.stopping.store(false, Ordering::SeqCst);
        self.listen(TcpListener::bind(self.address).unwrap());
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.release();
        self.down();
    }
}

impl Shared {
    fn answer_to(&self, seen: &Seen) -> (Page, Option<Act>) {
        let page = lock(&self.pages).get(&seen.path).cloned();
        let mut script = lock(&self.script);
        let mut turns = script.iter_mut();
        let turn = turns.find(|turn| turn.path == seen.path && turn.left > 0);
        let act = turn.map(|turn| {
            turn.left -= 1;
            turn.act.clone()
        });
        (page.unwrap_or_else(|| Page::status(404)), act)
    }

    fn note(&self, seen: Seen) {
        lock(&self.seen).push(seen);
    }

    fn wait_for_release(&self) {
        let released = lock(&self.released);
        drop(self.release.wait_while(released, |released| !*released));
    }
}

impl Seen {
    fn parse(head: &str, is_identified: bool) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?, first.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines.filter_map(|line| line.split_once(": "));
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            is_identified,
        })
    }

    /// The value of a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether whoever asks has the page already.
    fn knows(&self, page: &Page) -> bool {
        let same = |asked: &str, told: &str| {
            let told = page.value(told);
            told.is_some() && self.header(asked) == told
        };
        same("if-none-match", "etag") || same("if-modified-since", "last-modified")
    }

    /// From where on the page is wanted.
    fn wanted_from(&self, page: &Page) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        let condition = self.header("if-range");
        let is_same = condition.is_none()
            || condition == page.value("etag")
            || condition == page.value("last-modified");
        range.strip_suffix('-')?.parse().ok().filter(|_| is_same)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
