//! Callers and the one table that says what each may do.

use crate::{
    api::objects::Requestor,
    error::{Error, Result},
};

/// Somebody who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// What events and the log call them.
    pub(crate) requestor: Requestor,
    trust: Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Full,
    None,
}

/// What a route asks of its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody gets in; the service behind the route shows each only what they may see.
    Anyone,
    /// Callers the server trusts.
    Trusted,
    /// Callers who may change the server itself.
    Admin,
}

impl Access {
    /// Its name in the documentation.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Trusted => "trusted",
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
            trust: Trust::Full,
        }
    }

    /// Callers with the same view are shown the same things.
    pub(crate) fn view(&self) -> &'static str {
        match self.trust {
            Trust::Full => "trusted",
            Trust::None => "",
        }
    }

    /// A caller over the network, with the fingerprint of the certificate it showed, if any.
    pub(crate) fn network(address: String, certificate_fingerprint: Option<String>) -> Self {
        let username = certificate_fingerprint.unwrap_or_default();
        let requestor = Requestor {
            username,
            protocol: "tls",
            address,
        };
        Self {
            requestor,
            trust: Trust::None,
        }
    }

    /// Whether the caller sees private images and may change things.
    pub(crate) fn is_trusted(&self) -> bool {
        self.trust == Trust::Full
    }

    /// Whether the caller may use a route.
    ///
    /// # Errors
    ///
    /// 403 before anything of the request is looked at.
    pub(crate) fn check(&self, access: Access) -> Result<()> {
        match (access, self.trust) {
            (Access::Anyone, _) | (_, Trust::Full) => Ok(()),
            (Access::Trusted | Access::Admin, Trust::None) => Err(Error::not_authorized()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_gets_no_further_than_what_is_for_anyone() {
        let stranger = Caller::network("127.0.0.1:1".to_owned(), Some("ab".to_owned()));
        assert!(stranger.check(Access::Anyone).is_ok());
        for access in [Access::Trusted, Access::Admin] {
            assert_eq!(
                stranger.check(access).unwrap_err().message(),
                "not authorized"
            );
            assert!(Caller::unix("root".to_owned()).check(access).is_ok());
        }
    }
}
