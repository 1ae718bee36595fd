//! The connection to the API server.
//!
//! kube's own client leaves a connection whose other end vanished without a word (power cut, a firewall that drops) to TCP,
//! which takes it for alive for many minutes. Here the kernel probes a connection on which nothing moves, and gives up one
//! whose data nobody confirms: SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT and TCP_USER_TIMEOUT of tcp(7).

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use kube::client::{ConfigExt, RustlsTlsError};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

use super::addresses::{ApiAddresses, Resolver};
use super::transport::{Http, Transport};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long nothing may move before the kernel probes the other end.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// How long the kernel waits between two probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// How many probes may stay unanswered.
const KEEPALIVE_PROBES: u32 = 2;
/// How long what was sent may stay unconfirmed; the same as all of the above.
const UNCONFIRMED: Duration = Duration::from_secs(20);

/// A client as kube makes it from the configuration, over connections that are probed. The addresses that the server's name
/// is resolved to are kept.
pub(super) fn client(
    mut config: Config,
    addresses: Arc<ApiAddresses>,
    transport: Transport,
) -> kube::Result<Client> {
    // The system's authorities are read only where some are needed: an image with nothing but the program has none.
    let encrypted = config.cluster_url.scheme_str() != Some("http");
    if config.accept_invalid_certs || !encrypted {
        config.root_cert.get_or_insert_default();
    }
    if config.proxy_url.is_some() {
        // kube was built without proxies, which its error names.
        return Client::try_from(config);
    }
    let mut connector = HttpConnector::new_with_resolver(Resolver::new(addresses));
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_keepalive(Some(KEEPALIVE_IDLE));
    connector.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    connector.set_tcp_user_timeout(Some(UNCONFIRMED));
    connector.set_nodelay(true);
    let connector = encrypting(&config, connector, transport)?;
    let http = Http::new(&connector, transport, encrypted);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}

/// The connector with TLS, as kube makes it, but that kube never offers HTTP/2.
fn encrypting(
    config: &Config,
    connector: HttpConnector<Resolver>,
    transport: Transport,
) -> kube::Result<HttpsConnector<HttpConnector<Resolver>>> {
    let mut builder = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into();
        let name = name.map_err(RustlsTlsError::InvalidServerName);
        let name = name.map_err(kube::Error::RustlsTls)?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let builder = builder.enable_http1();
    Ok(match transport.http2 {
        true => builder.enable_http2().wrap_connector(connector),
        false => builder.wrap_connector(connector),
    })
}
