//! Where an image comes from: a server, how it is spoken to, and on whose behalf.

use crate::{
    access::{Caller, Scope},
    api::requests::ImagesPostSource,
    db::images::SourceRow,
    error::{Error, Result},
    remote::{Contact, Pin, Reach},
};

/// The key of a project that opens further servers to callers who may not reach everything.
const SERVERS: &str = "restricted.images.servers";

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// LXD's own API.
    Lxd,
    /// Files and lists of them.
    SimpleStreams,
    /// One file.
    Direct,
}

impl Protocol {
    /// From LXD's name for it; nothing is LXD's own.
    ///
    /// # Errors
    ///
    /// LXD's text for one that it does not know.
    pub(super) fn parse(name: &str) -> Result<Self> {
        match name {
            "" | "lxd" => Ok(Self::Lxd),
            "simplestreams" => Ok(Self::SimpleStreams),
            "direct" => Ok(Self::Direct),
            other => Err(Error::failed(format!("Unsupported protocol: {other}"))),
        }
    }

    /// LXD's name for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lxd => "lxd",
            Self::SimpleStreams => "simplestreams",
            Self::Direct => "direct",
        }
    }
}

/// On whose behalf another server is spoken to.
#[derive(Debug, Clone)]
pub(crate) struct Behalf {
    /// Which addresses may be reached.
    pub(super) reach: Reach,
    /// Whether they may do everything that this server may.
    pub(super) is_admin: bool,
}

impl Behalf {
    /// A caller's, in a project.
    pub(crate) fn of(caller: &Caller, scope: &Scope) -> Self {
        if caller.is_admin() {
            return Self::own();
        }
        Self::restricted(scope)
    }

    /// This server's own.
    pub(super) fn own() -> Self {
        Self {
            reach: Reach::Anywhere,
            is_admin: true,
        }
    }

    /// That of somebody who may not do everything.
    pub(super) fn restricted(scope: &Scope) -> Self {
        let servers = scope.project.config.get(SERVERS);
        Self {
            reach: Reach::public_and(servers.map(String::as_str).unwrap_or_default()),
            is_admin: false,
        }
    }

    /// Somebody's who has an image of this source looked after: they get no further than whoever
    /// named the source.
    pub(super) fn bound_to(self, source: &SourceRow, scope: &Scope) -> Self {
        if source.restricted {
            return Self::restricted(scope);
        }
        self
    }

    /// A connection on this behalf.
    pub(super) fn contact(&self, certificate: &str) -> Result<Contact> {
        Ok(Contact {
            pin: Pin::from_pem(certificate)?,
            reach: self.reach.clone(),
            identified: false,
            plain: false,
        })
    }
}

/// Where an image comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(super) protocol: Protocol,
    pub(super) server: String,
    /// PEM, or empty.
    pub(super) certificate: String,
    /// The project there; empty for none in particular.
    pub(super) project: String,
    pub(super) behalf: Behalf,
}

impl Origin {
    /// What a request names.
    pub(super) fn of_request(source: &ImagesPostSource, behalf: Behalf) -> Result<Self> {
        Ok(Self {
            protocol: Protocol::parse(&source.protocol)?,
            server: source.server.clone(),
            certificate: source.certificate.clone(),
            project: source.project.clone(),
            behalf,
        })
    }

    /// What an image was recorded with.
    pub(super) fn of_source(source: &SourceRow, behalf: Behalf) -> Result<Self> {
        Ok(Self {
            protocol: Protocol::parse(&source.protocol)?,
            server: source.server.clone(),
            certificate: source.certificate.clone(),
            project: String::new(),
            behalf,
        })
    }

    /// By what servers are told apart.
    pub(super) fn address(&self) -> (&str, &str, &str) {
        (&self.server, self.protocol.name(), &self.certificate)
    }
}
