//! Requests and their answers: redirects, statuses, small bodies.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Response, Url};

use super::{
    Contact, Outbound,
    wording::{self, describe, failed, shown},
};
use crate::error::{Error, Kind, Result};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// How long a small body may take, however fast it drips.
pub(super) const SMALL_WITHIN: Duration = Duration::from_mins(5);

/// An answer whose head has come.
pub(super) struct Answer {
    /// The answer.
    pub(super) response: Response,
    /// Where it came from, behind all redirects.
    pub(super) url: Url,
}

/// A request without a body.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
}

impl Request {
    pub(super) fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
        }
    }

    /// Go's name of the method in errors.
    fn verb(&self) -> &'static str {
        if self.method == Method::HEAD {
            "Head"
        } else {
            "Get"
        }
    }
}

/// A URL out of a request.
///
/// # Errors
///
/// Go's words for what is none.
pub(crate) fn parse_url(verb: &str, text: &str) -> Result<Url> {
    let parsed = Url::parse(text);
    let bad = |scheme: &str| {
        Error::failed(format!(
            "{verb} \"{text}\": unsupported protocol scheme \"{scheme}\""
        ))
    };
    match parsed {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(url) => Err(bad(url.scheme())),
        Err(_) => Err(bad("")),
    }
}

impl Outbound {
    /// Sends a request and waits for the head of its answer, following redirects.
    ///
    /// # Errors
    ///
    /// [`Kind::Unavailable`] where another try may help; 403 when the address may not be reached;
    /// else why not, with the URL.
    pub(super) async fn send(&self, contact: &Contact, request: Request) -> Result<Answer> {
        let (mut request, mut contact) = (request, contact.clone());
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_once(&contact, &request).await?;
            let Some(next) = redirection(&request, &response)? else {
                let url = request.url;
                return Ok(Answer { response, url });
            };
            if next.origin() != request.url.origin() {
                contact = contact.elsewhere();
                request.headers.remove(header::AUTHORIZATION);
            }
            request.url = next;
        }
        let what = format_args!("stopped after {MAX_REDIRECTS} redirects");
        Err(failed(request.verb(), &request.url, what).with_kind(Kind::Failed))
    }

    async fn send_once(&self, contact: &Contact, request: &Request) -> Result<Response> {
        let (verb, url) = (request.verb(), &request.url);
        let is_proxied = self.admit(contact, url).await?;
        let client = self.client(contact, is_proxied)?;
        let sent = client
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            // What is hashed has to come as it is.
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .send();
        match tokio::time::timeout(self.idle(), sent).await {
            Ok(answered) => answered.map_err(|error| describe(verb, url, &error)),
            Err(_) => Err(wording::silent(verb, url, self.idle())),
        }
    }

    /// Checks that a request may go to `url` at all. Returns whether it goes through a proxy.
    pub(super) async fn admit(&self, contact: &Contact, url: &Url) -> Result<bool> {
        if url.scheme() != "https" && !contact.plain {
            let text = format!(
                "Only https:// is supported for image servers: {}",
                shown(url)
            );
            return Err(Error::bad_request(text));
        }
        let is_proxied = self.is_proxied(url);
        if is_proxied {
            contact.reach.check(url).await?;
        } else {
            contact.reach.check_literal(url)?;
        }
        Ok(is_proxied)
    }

    /// The whole body of a small answer.
    ///
    /// # Errors
    ///
    /// When it is longer than `max_bytes`, or cut off.
    pub(super) async fn small_body(&self, answer: Answer, max_bytes: usize) -> Result<Bytes> {
        let url = answer.url.clone();
        let reading = self.read_small(answer, max_bytes);
        match tokio::time::timeout(SMALL_WITHIN, reading).await {
            Ok(read) => read,
            Err(_) => Err(failed("Get", &url, "the answer takes too long")),
        }
    }

    async fn read_small(&self, mut answer: Answer, max_bytes: usize) -> Result<Bytes> {
        let url = answer.url;
        let mut body = BytesMut::new();
        while let Some(piece) = self.chunk(&mut answer.response, &url).await? {
            if body.len() + piece.len() > max_bytes {
                let what = format_args!("the answer is longer than {max_bytes} bytes");
                return Err(failed("Get", &url, what).with_kind(Kind::Failed));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// The next piece of a body.
    pub(super) async fn chunk(&self, response: &mut Response, url: &Url) -> Result<Option<Bytes>> {
        match tokio::time::timeout(self.idle(), response.chunk()).await {
            Ok(piece) => piece.map_err(|error| describe("Get", url, &error)),
            Err(_) => Err(wording::silent("Get", url, self.idle())),
        }
    }
}

/// Where an answer sends its reader.
fn redirection(request: &Request, response: &Response) -> Result<Option<Url>> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response
        .headers()
        .get(header::LOCATION)
        .filter(|_| is_redirect);
    let Some(location) = location else {
        return Ok(None);
    };
    let refused = |what: &str| failed(request.verb(), &request.url, what).with_kind(Kind::Failed);
    let target = location
        .to_str()
        .ok()
        .and_then(|text| request.url.join(text).ok());
    let Some(target) = target.filter(Url::has_host) else {
        return Err(refused("redirected to something that is no URL"));
    };
    if request.url.scheme() == "https" && target.scheme() != "https" {
        return Err(refused(&format!(
            "refused to be redirected to {}",
            shown(&target)
        )));
    }
    Ok(Some(target))
}

/// LXD's text for an answer that is not the file.
pub(super) fn unable_to_fetch(url: &Url, response: &Response) -> Error {
    let status = response.status();
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
    let reason = reason.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_owned());
    let reason: String = reason
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    let text = format!(
        "Unable to fetch {}: {} {reason}",
        shown(url),
        status.as_u16()
    );
    Error::new(kind_of(status), text)
}

/// What kind of failure a status is.
pub(super) fn kind_of(status: StatusCode) -> Kind {
    match status.as_u16() {
        403 => Kind::Forbidden,
        404 | 410 => Kind::NotFound,
        429 | 502..=504 => Kind::Unavailable,
        _ => Kind::Failed,
    }
}

/// Refuses a body that is not what was asked for.
pub(super) fn check_encoding(answer: &Answer) -> Result<()> {
    let encoding = answer.response.headers().get(header::CONTENT_ENCODING);
    let is_identity = encoding.is_none_or(|encoding| encoding == "identity");
    if is_identity {
        return Ok(());
    }
    let encoding = encoding.and_then(|text| text.to_str().ok()).unwrap_or("?");
    let what = format_args!("the answer is encoded ({encoding}), which was not asked for");
    Err(failed("Get", &answer.url, what).with_kind(Kind::Failed))
}

/// Refuses a whole file that is said to be longer or shorter than the one that was announced.
pub(super) fn check_length(answer: &Answer, announced: u64) -> Result<()> {
    match answer.response.content_length() {
        Some(length) if length != announced => {
            let what = format_args!("the file has {length} bytes, {announced} were announced");
            Err(failed("Get", &answer.url, what).with_kind(Kind::Failed))
        }
        _ => Ok(()),
    }
}
