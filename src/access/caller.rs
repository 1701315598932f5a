//! Callers and the one table that says what each may do.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api::objects::Requestor,
    error::{Error, Result},
};

/// Somebody who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// What events and the log call them.
    pub(crate) requestor: Requestor,
    /// The certificate (DER) they proved to hold, over the network.
    pub(crate) certificate: Option<Arc<[u8]>>,
    trust: Trust,
}

/// What the server makes of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// They may do everything.
    Full,
    /// They may use these projects.
    Restricted(Arc<BTreeSet<String>>),
    /// They may read measurements.
    Metrics,
    /// They are strangers.
    None,
}

/// What a route asks of its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody gets in; the service behind the route shows each only what they may see.
    Anyone,
    /// Callers who may read measurements.
    Metrics,
    /// Callers the server trusts; the service behind the route shows each only what they may see.
    Trusted,
    /// Callers who may use the project that the request names.
    Project,
    /// Callers who may change the server itself.
    Admin,
}

impl Access {
    /// Its name in the documentation.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Metrics => "metrics",
            Self::Trusted => "trusted",
            Self::Project => "project",
            Self::Admin => "admin",
        }
    }
}

impl Caller {
    /// A peer of the Unix socket: its file mode has already decided who gets that far.
    pub(crate) fn unix(username: String) -> Self {
        let requestor = Requestor {
            username,
            protocol: "unix",
            address: "@".to_owned(),
        };
        Self {
            requestor,
            certificate: None,
            trust: Trust::Full,
        }
    }

    /// A caller over the network, with the certificate it showed, its fingerprint, and what the
    /// server makes of it.
    pub(crate) fn network(
        address: String,
        certificate: Option<(Arc<[u8]>, String)>,
        trust: Trust,
    ) -> Self {
        let (certificate, username) = certificate.unzip();
        let requestor = Requestor {
            username: username.unwrap_or_default(),
            protocol: "tls",
            address,
        };
        Self {
            requestor,
            certificate,
            trust,
        }
    }

    /// Callers with the same view are shown the same things.
    pub(crate) fn view(&self) -> String {
        match &self.trust {
            Trust::Full => "everything".to_owned(),
            Trust::Restricted(_) => self.requestor.username.clone(),
            Trust::Metrics | Trust::None => String::new(),
        }
    }

    /// Whether the caller came over the Unix socket.
    pub(crate) fn is_local(&self) -> bool {
        self.requestor.protocol == "unix"
    }

    /// Whether the server trusts the caller with anything.
    pub(crate) fn is_trusted(&self) -> bool {
        matches!(self.trust, Trust::Full | Trust::Restricted(_))
    }

    /// Whether the caller may do everything.
    pub(crate) fn is_admin(&self) -> bool {
        self.trust == Trust::Full
    }

    /// Whether the caller sees what is private in a project, and may change it.
    pub(crate) fn may_use(&self, project: &str) -> bool {
        match &self.trust {
            Trust::Full => true,
            Trust::Restricted(projects) => projects.contains(project),
            Trust::Metrics | Trust::None => false,
        }
    }

    /// Whether the caller may know of something of this project; what belongs to none is for
    /// those who may do everything.
    pub(crate) fn may_see(&self, project: Option<&str>) -> bool {
        self.is_admin() || project.is_some_and(|project| self.may_use(project))
    }

    /// Whether this is the caller who asked for something. Those who come over the Unix socket
    /// are one: whoever may open it may do everything.
    pub(crate) fn is(&self, requestor: Option<&Requestor>) -> bool {
        requestor.is_some_and(|other| {
            let own = &self.requestor;
            let is_same = own.username == other.username && !own.username.is_empty();
            own.protocol == other.protocol && (is_same || self.is_local())
        })
    }

    /// Whether the caller may use a route, on this project.
    ///
    /// # Errors
    ///
    /// 403 before anything of the request is looked at.
    pub(crate) fn check(&self, access: Access, project: &str) -> Result<()> {
        let may = match access {
            Access::Anyone => true,
            Access::Metrics => self.trust != Trust::None,
            Access::Trusted => self.is_trusted(),
            Access::Project => self.may_use(project),
            Access::Admin => self.is_admin(),
        };
        if may {
            Ok(())
        } else {
            Err(Error::not_authorized())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(trust: Trust) -> Caller {
        let certificate = Some((Arc::from(&b"der"[..]), "ab".to_owned()));
        Caller::network("127.0.0.1:1".to_owned(), certificate, trust)
    }

    #[test]
    fn the_table_of_who_may_use_what() {
        use Access::{Admin, Anyone, Metrics, Project, Trusted};
        let own = Arc::new(BTreeSet::from(["own".to_owned()]));
        let rows = [
            (
                Caller::unix("root".to_owned()),
                "own",
                &[Anyone, Metrics, Trusted, Project, Admin][..],
            ),
            (
                caller(Trust::Full),
                "other",
                &[Anyone, Metrics, Trusted, Project, Admin],
            ),
            (
                caller(Trust::Restricted(Arc::clone(&own))),
                "own",
                &[Anyone, Metrics, Trusted, Project],
            ),
            (
                caller(Trust::Restricted(own)),
                "other",
                &[Anyone, Metrics, Trusted],
            ),
            (caller(Trust::Metrics), "own", &[Anyone, Metrics]),
            (caller(Trust::None), "own", &[Anyone]),
        ];
        for (caller, project, may) in rows {
            for access in [Anyone, Metrics, Trusted, Project, Admin] {
                let checked = caller.check(access, project);
                assert_eq!(
                    checked.is_ok(),
                    may.contains(&access),
                    "{caller:?} {access:?}"
                );
                if let Err(error) = checked {
                    assert_eq!(error.message(), "not authorized");
                }
            }
        }
    }

    #[test]
    fn an_owner_is_told_by_certificate_or_by_the_socket() {
        let (root, ann) = (
            Caller::unix("root".to_owned()),
            Caller::unix("ann".to_owned()),
        );
        assert!(root.is(Some(&ann.requestor)));
        assert!(!root.is(None));
        let client = caller(Trust::Full);
        assert!(client.is(Some(&client.requestor)));
        assert!(!client.is(Some(&root.requestor)) && !root.is(Some(&client.requestor)));
        let nameless = Caller::network(String::new(), None, Trust::None);
        assert!(!nameless.is(Some(&nameless.requestor)));
    }
}
