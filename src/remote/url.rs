//! Images behind plain URLs.
//!
//! LXD asks such a URL with HEAD, and learns from two headers which image it stands for and where
//! that is. The hash is what makes it safe to fetch the bytes from anywhere.

use http::{HeaderValue, Method};
use reqwest::Url;

use super::{
    Contact, Meter, Outbound, Sink,
    download::Wanted,
    request::{Request, parse_url},
    wording::shown,
};
use crate::{
    error::{Error, Result},
    image::{Fingerprint, Part, host_architectures},
};

/// The version of LXD that is spoken.
const LXD_VERSION: HeaderValue = HeaderValue::from_static("5.0.2");

/// What stands behind a URL.
#[derive(Debug, Clone)]
pub(crate) struct Signpost {
    /// The image's hash, as the server wrote it.
    pub(crate) hash: String,
    /// Where it is.
    pub(crate) url: String,
}

impl Outbound {
    /// Asks a URL which image it stands for.
    ///
    /// # Errors
    ///
    /// LXD's texts for what the answer lacks.
    pub(crate) async fn signpost(&self, contact: &Contact, url: &str) -> Result<Signpost> {
        if url.is_empty() {
            return Err(Error::failed("Missing URL"));
        }
        let mut request = Request::get(parse_url("Head", url)?);
        request.method = Method::HEAD;
        let architectures = host_architectures().join(", ");
        if let Ok(architectures) = HeaderValue::try_from(architectures) {
            request
                .headers
                .insert("lxd-server-architectures", architectures);
        }
        request.headers.insert("lxd-server-version", LXD_VERSION);
        let answer = self.send(contact, request).await?;
        // LXD: the status is not looked at.
        let headers = answer.response.headers();
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let missing = |name: &str| Error::failed(format!("Missing {name} header"));
        Ok(Signpost {
            hash: text("lxd-image-hash").ok_or_else(|| missing("LXD-Image-Hash"))?,
            url: text("lxd-image-url").ok_or_else(|| missing("LXD-Image-URL"))?,
        })
    }

    /// Fetches a unified image from a URL.
    ///
    /// # Errors
    ///
    /// LXD's texts when it is not there or has another hash; the URL is named.
    pub(crate) async fn fetch_url(
        &self,
        contact: &Contact,
        url: &str,
        expected: &Fingerprint,
        sink: &mut impl Sink,
        meter: Meter,
    ) -> Result<()> {
        let url: Url = parse_url("Get", url)?;
        let wanted = Wanted {
            url: url.clone(),
            part: Part::Image,
            size_bytes: None,
            sha256: Some(expected.as_str().to_owned()),
        };
        let fetched = self.download(contact, &wanted, sink, meter).await;
        // LXD: this source quotes its URLs.
        fetched.map_err(|error| {
            let (plain, quoted) = (shown(&url), format!("\"{}\"", shown(&url)));
            let text = error.message();
            if text.contains(&quoted) {
                return error;
            }
            Error::new(error.kind(), text.replace(&plain, &quoted))
        })
    }
}
