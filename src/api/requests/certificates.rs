//! Certificates of clients.

use crate::api::json::go_struct;

go_struct! {
    /// `POST /1.0/certificates`: trust a client, or ask for a token.
    pub(crate) struct api.CertificatesPost {
        /// What to call the client.
        name: String,
        /// `client`, `server` or `metrics`.
        kind as "type": String,
        /// Whether it is confined to its projects.
        restricted: bool,
        /// The projects it may use.
        projects: Option<Vec<String>>,
        /// Base64 of its certificate's DER; the one of its TLS connection when empty.
        certificate: String,
        /// The trust password, or a token.
        password: String,
        /// Whether a token is asked for.
        token: bool,
    }
}

go_struct! {
    /// `PUT` and `PATCH /1.0/certificates/FINGERPRINT`. LXD: a PATCH is decoded over the whole
    /// certificate as it is.
    pub(crate) struct api.CertificatePut {
        /// What to call the client.
        name: String,
        /// `client`, `server` or `metrics`.
        kind as "type": String,
        /// Whether it is confined to its projects.
        restricted: bool,
        /// The projects it may use.
        projects: Option<Vec<String>>,
        /// Its certificate, PEM.
        certificate: String,
    }
}
