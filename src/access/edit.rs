//! A change of something that has an `ETag`.

use serde::Serialize;

use crate::{
    api::{json, objects::Requestor},
    error::{Error, Kind, Result},
};

/// Who changes something, and which state of it they last saw.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    /// Who asks.
    pub(crate) requestor: Requestor,
    if_match: Option<String>,
}

impl Edit {
    /// An edit by `requestor` whose request carried this `If-Match`.
    pub(crate) fn new(requestor: Requestor, if_match: Option<&str>) -> Self {
        // LXD: quotes are stripped, and there is no wildcard.
        let if_match = if_match.map(|given| given.trim_matches('"').to_owned());
        Self {
            requestor,
            if_match: if_match.filter(|given| !given.is_empty()),
        }
    }

    /// Refuses to change something that is not as the client last saw it. Asked twice: when the
    /// request comes, because LXD answers this before it reads the body, and in the transaction
    /// that makes the change, because somebody may have been faster.
    ///
    /// # Errors
    ///
    /// 412 with LXD's text.
    pub(crate) fn check(&self, tagged: &impl Serialize) -> Result<()> {
        let Some(given) = &self.if_match else {
            return Ok(());
        };
        let current = json::etag(tagged);
        if *given == current {
            return Ok(());
        }
        let text = format!("ETag doesn't match: {current} vs {given}");
        Err(Error::new(Kind::PreconditionFailed, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Caller;

    #[test]
    fn only_the_state_that_was_seen_may_be_changed() {
        let edit = |tag: Option<&str>| Edit::new(Caller::unix("root".to_owned()).requestor, tag);
        let current = format!("\"{}\"", json::etag(&"state"));
        assert!(edit(None).check(&"state").is_ok());
        assert!(edit(Some("")).check(&"state").is_ok());
        assert!(edit(Some(&current)).check(&"state").is_ok());
        assert!(edit(Some(&current)).check(&"other").is_err());
        let error = edit(Some("*")).check(&"state").unwrap_err();
        assert_eq!(error.kind(), Kind::PreconditionFailed);
    }
}
