//! Certificates made in the test, and connections that are encrypted with them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    /// Both as a kubeconfig has them: PEM, in base64.
    pub(crate) certificate_data: String,
    pub(crate) key_data: String,
}

/// HTTP/2 as TLS names it.
pub(super) const HTTP2: &[u8] = b"h2";

/// How a server speaks TLS.
#[derive(Clone)]
pub(crate) struct Tls(pub(super) Arc<ServerConfig>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its certificate, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its certificate as a kubeconfig has it.
    pub(crate) fn data(&self) -> String {
        BASE64_STANDARD.encode(self.pem())
    }

    /// A certificate for an address or a name.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate_data: BASE64_STANDARD.encode(certificate.pem()),
            key_data: BASE64_STANDARD.encode(key.serialize_pem()),
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        }
    }
}

impl Tls {
    /// A server that shows this certificate, and asks for none.
    pub(crate) fn new(server: &Identity) -> Self {
        Self::of(server, None)
    }

    /// A server that talks only to clients whose certificate is of that authority.
    pub(crate) fn with_clients_of(server: &Identity, clients: &Authority) -> Self {
        Self::of(server, Some(clients))
    }

    /// The same with HTTP/2, for clients that can.
    pub(crate) fn with_http2(self) -> Self {
        let mut config = ServerConfig::clone(&self.0);
        config.alpn_protocols = vec![HTTP2.into(), b"http/1.1".into()];
        Self(Arc::new(config))
    }

    /// Whether HTTP/2 may be spoken.
    pub(super) fn has_http2(&self) -> bool {
        !self.0.alpn_protocols.is_empty()
    }

    fn of(server: &Identity, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![server.certificate.clone()];
        let key = server.key.clone_key().into();
        Self(Arc::new(config.with_single_cert(chain, key).unwrap()))
    }
}

/// What a connection is read and written through.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// Nothing is sent yet: hands are shaken at the first read.
    pub(super) fn new(socket: TcpStream, tls: Option<Tls>) -> Self {
        match tls {
            None => Self::Plain(socket),
            Some(Tls(config)) => {
                let connection = ServerConnection::new(config).unwrap();
                Self::Tls(Box::new(StreamOwned::new(connection, socket)))
            }
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    pub(super) fn shutdown(&self) -> io::Result<()> {
        self.socket().shutdown(Shutdown::Both)
    }

    /// Whether the other end has closed. Nobody sends anything while a watch goes on.
    pub(super) fn is_gone(&self) -> bool {
        let socket = self.socket();
        let asked = socket
            .set_nonblocking(true)
            .and_then(|()| socket.peek(&mut [0]));
        let back = socket.set_nonblocking(false);
        match asked {
            // In TLS an end is announced.
            Ok(read) => read == 0 || back.is_err() || matches!(self, Self::Tls(_)),
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

/// Bytes that all servers of this process have written, before they were encrypted.
pub(crate) static WRITTEN: AtomicU64 = AtomicU64::new(0);

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Plain(socket) => socket.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }?;
        WRITTEN.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
