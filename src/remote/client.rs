//! The one HTTP client.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{Client, Proxy, Url, redirect::Policy};

use super::{
    Reach,
    proxy::CurrentProxies,
    reach::Resolver,
    tls::{self, IdentityOf, Pin},
};
use crate::error::{Error, Result};

/// How long connecting may take, with TLS.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection is kept for another request.
const KEEP_IDLE: Duration = Duration::from_secs(10);

/// How long the authorities of the system are taken to be the same.
const CLIENT_LASTS: Duration = Duration::from_mins(10);

/// How many differently set up clients are kept.
const MAX_CLIENTS: usize = 32;

/// Whom a request speaks to, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Contact {
    /// The certificate the server has to show; without one, the system's authorities decide.
    pub(crate) pin: Option<Pin>,
    /// Where the request may go.
    pub(crate) reach: Reach,
    /// Whether the server learns who asks. Only where the caller could do everything this server
    /// can: otherwise callers would borrow its good name.
    pub(crate) identified: bool,
    /// Whether `http://` will do: only where a hash is known from elsewhere.
    pub(crate) plain: bool,
}

impl Contact {
    /// The same for another server than the one that was named: what binds to that one is gone.
    pub(super) fn elsewhere(&self) -> Self {
        Self {
            pin: None,
            identified: false,
            ..self.clone()
        }
    }
}

/// What the client is set up with.
pub(crate) struct Setup {
    /// `User-Agent`.
    pub(crate) user_agent: String,
    /// This server's certificate.
    pub(crate) identity: IdentityOf,
    /// The proxies of the moment.
    pub(crate) proxies: CurrentProxies,
    /// How long a server may be silent; in that time it has to send at least 1 KiB a second.
    pub(crate) idle: Duration,
}

/// Sends requests to other servers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbound(Arc<Inner>);

struct Inner {
    setup: Setup,
    /// Clients by what they are set up for, with the time they were made.
    clients: Mutex<BTreeMap<Contact, (Instant, Client)>>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outbound")
    }
}

impl Outbound {
    /// Sends requests as `setup` says.
    pub(crate) fn new(setup: Setup) -> Self {
        Self(Arc::new(Inner {
            setup,
            clients: Mutex::default(),
        }))
    }

    /// How long a server may be silent.
    pub(super) fn idle(&self) -> Duration {
        self.0.setup.idle
    }

    /// Whether a request goes through a proxy.
    pub(super) fn is_proxied(&self, url: &Url) -> bool {
        (self.0.setup.proxies)().for_url(url).is_some()
    }

    /// The client for a contact.
    pub(super) fn client(&self, contact: &Contact, is_proxied: bool) -> Result<Client> {
        let mut contact = contact.clone();
        if is_proxied {
            // It is the proxy that looks names up; the caller has checked them.
            contact.reach = Reach::Anywhere;
        }
        let mut clients = self
            .0
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, (made, _)| made.elapsed() < CLIENT_LASTS);
        if let Some((_, client)) = clients.get(&contact) {
            return Ok(client.clone());
        }
        let client = self.build(&contact)?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(contact, (Instant::now(), client.clone()));
        Ok(client)
    }

    fn build(&self, contact: &Contact) -> Result<Client> {
        let setup = &self.0.setup;
        let identity = contact.identified.then(|| Arc::clone(&setup.identity));
        let proxies = Arc::clone(&setup.proxies);
        Client::builder()
            .tls_backend_preconfigured(tls::config(contact.pin.as_ref(), identity)?)
            .user_agent(&setup.user_agent)
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(KEEP_IDLE)
            .dns_resolver(Resolver(contact.reach.clone()))
            .proxy(Proxy::custom(move |url| proxies().for_url(url)))
            .build()
            .map_err(|error| Error::internal("Failed to set the HTTP client up", error))
    }
}
