//! A router that tells who asks, behind real sockets, asked by real clients.

mod certificates;
mod draining;
mod limits;
mod moving;
mod plain;
mod proxies;
mod unix;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    routing::{get, post},
};
use http_body_util::BodyExt;
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Https, limits::Patience};
use crate::{
    http::{
        peer::Peer,
        tls::{self, Identity},
    },
    tasks::Tasks,
};

/// What is expected to happen at once has happened by then.
const SOON: Duration = Duration::from_secs(10);

/// Limits that a test waits for.
const SHORT: Duration = Duration::from_millis(100);

/// Limits that no test waits for.
const LONG: Duration = Duration::from_hours(1);

const PATIENT: Patience = Patience {
    handshake: LONG,
    first_request: LONG,
    next_request: LONG,
    body: LONG,
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A certificate and its key.
struct Pair {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Pair {
    fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        Self::of(&KeyPair::generate_for(algorithm).unwrap())
    }

    fn of(key: &KeyPair) -> Self {
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        Self {
            certificate: parameters.self_signed(key).unwrap().der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    fn fingerprint(&self) -> String {
        crate::trust::fingerprint(&self.certificate)
    }

    fn served(&self) -> tls::Certificate {
        let chain = vec![self.certificate.clone()];
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, self.key.clone_key(), &provider).unwrap();
        tls::Certificate {
            pem: String::new(),
            fingerprint: self.fingerprint(),
            key: Arc::new(key),
        }
    }
}

/// A listener that is not open yet, and what is needed to ask it.
struct Stage {
    https: Https,
    tasks: Tasks,
    router: Router,
    identity: Identity,
    server: Pair,
    /// Told when a request for `/wait` has come.
    entered: Arc<Notify>,
    /// Told when it may be answered.
    leave: Arc<Notify>,
}

impl Stage {
    fn new() -> Self {
        Self::limited(PATIENT, 16)
    }

    fn limited(patience: Patience, max_connections: usize) -> Self {
        let tasks = Tasks::default();
        let server = Pair::new(&rcgen::PKCS_ECDSA_P384_SHA384);
        let identity = Identity::new(server.served());
        let https = Https::new(tls::config(identity.clone()).unwrap(), tasks.clone());
        let (entered, leave) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        Self {
            https: https.limited(patience, max_connections),
            tasks,
            router: router(&entered, &leave),
            identity,
            server,
            entered,
            leave,
        }
    }

    /// Opens the listener at a free port.
    async fn open(&self) -> SocketAddr {
        self.listen("127.0.0.1:0").await.unwrap();
        self.https.addresses()[0]
    }

    async fn listen(&self, address: &str) -> crate::error::Result<()> {
        let addresses: Vec<_> = address.parse().into_iter().collect();
        let listening = self.https.listen(address, &addresses, &self.router);
        soon(listening).await
    }

    fn client(&self) -> ClientConfig {
        let versions = &[&rustls::version::TLS13];
        self.client_of(versions).with_no_client_auth()
    }

    fn client_of(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
    }

    /// A client that presents this certificate.
    fn client_with(&self, pair: &Pair) -> ClientConfig {
        let versions = &[&rustls::version::TLS13];
        let chain = vec![pair.certificate.clone()];
        self.client_of(versions)
            .with_client_auth_cert(chain, pair.key.clone_key())
            .unwrap()
    }

    /// A whole HTTP client, which offers this protocol.
    fn http_client(
        address: SocketAddr,
        mut config: ClientConfig,
        protocol: &str,
    ) -> reqwest::Client {
        config.alpn_protocols = vec![protocol.as_bytes().to_owned()];
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .resolve("localhost", address)
            .no_proxy();
        builder.build().unwrap()
    }

    /// A connection past its handshake.
    async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        connect(address, self.client()).await.unwrap()
    }

    /// The answer to one request.
    async fn get(&self, address: SocketAddr) -> String {
        ask(self.connect(address).await).await
    }
}

/// `/` tells who asks; `/wait` is answered when the test lets it.
fn router(entered: &Arc<Notify>, leave: &Arc<Notify>) -> Router {
    let (entered, leave) = (Arc::clone(entered), Arc::clone(leave));
    let wait = move || async move {
        entered.notify_one();
        leave.notified().await;
        "done"
    };
    Router::new()
        .route(
            "/",
            get(|Extension(peer): Extension<Peer>| async move { shown(&peer) }),
        )
        .route("/wait", get(wait))
        .route("/count", post(count))
}

/// How long a body is, or that it never came.
async fn count(body: Body) -> String {
    match body.collect().await {
        Ok(collected) => collected.to_bytes().len().to_string(),
        Err(_) => "cut".to_owned(),
    }
}

fn shown(peer: &Peer) -> String {
    match peer {
        Peer::Unix { username } => format!("unix {username}"),
        Peer::Tls {
            address,
            certificate,
        } => {
            let certificate = certificate.as_deref().map(crate::trust::fingerprint);
            format!("tls {} {}", address.ip(), certificate.unwrap_or_default())
        }
    }
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(SOON, future).await.expect("it takes too long")
}

async fn connect(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = "localhost".try_into().unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// The body of the answer to one request.
async fn ask(mut stream: impl AsyncRead + tokio::io::AsyncWrite + Unpin) -> String {
    stream.write_all(REQUEST).await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Everything up to the end of the connection, however it ends.
async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    drop(soon(stream.read_to_end(&mut bytes)).await);
    String::from_utf8(bytes).unwrap()
}

/// Reads until this has come.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) {
    let mut read = String::new();
    while !read.ends_with(end) {
        let byte = soon(stream.read_u8()).await.unwrap();
        read.push(char::from(byte));
    }
}
