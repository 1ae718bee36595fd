//! The addresses of the API server.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::vec::IntoIter;

use axum::http::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

/// How many addresses are kept. A name that gives more, over time, is that of something else than an API server.
const MAX: usize = 64;

/// The addresses and ports that an API server's URL stands for: the address in it, or all that its name was ever resolved
/// to, since connections to earlier ones may still be open.
#[derive(Debug)]
pub(super) struct ApiAddresses {
    port: u16,
    known: Mutex<BTreeSet<SocketAddr>>,
}

impl ApiAddresses {
    pub(super) fn of(url: &Uri) -> Self {
        let https = url.scheme_str() != Some("http");
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        let host = url.host().unwrap_or_default();
        // IPv6 is in brackets there.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        let literal = literal.ok().map(|ip: IpAddr| SocketAddr::new(ip, port));
        Self {
            port,
            known: Mutex::new(literal.into_iter().collect()),
        }
    }

    /// Those known by now.
    pub(super) fn known(&self) -> BTreeSet<SocketAddr> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn resolved(&self, found: &[SocketAddr]) {
        let at = |found: &SocketAddr| SocketAddr::new(found.ip(), self.port);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(found.iter().map(at));
        if known.len() > MAX {
            *known = found.iter().map(at).take(MAX).collect();
        }
    }
}

/// Resolves names as the system does, and keeps what they are resolved to.
#[derive(Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    addresses: Arc<ApiAddresses>,
}

impl Resolver {
    pub(super) fn new(addresses: Arc<ApiAddresses>) -> Self {
        Self {
            system: GaiResolver::new(),
            addresses,
        }
    }
}

impl Service<Name> for Resolver {
    type Response = IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.system.call(name);
        let addresses = Arc::clone(&self.addresses);
        Box::pin(async move {
            let found: Vec<_> = found.await?.collect();
            addresses.resolved(&found);
            Ok(found.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> ApiAddresses {
        ApiAddresses::of(&url.parse().unwrap())
    }

    fn known(addresses: &ApiAddresses) -> Vec<String> {
        let known = addresses.known();
        known.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_in_the_url_is_known_at_once() {
        for (url, at) in [
            ("https://10.0.0.1:6443/", "10.0.0.1:6443"),
            ("https://10.0.0.1", "10.0.0.1:443"),
            ("http://10.0.0.1/path", "10.0.0.1:80"),
            ("https://[2001:db8::1]:6443", "[2001:db8::1]:6443"),
        ] {
            assert_eq!(known(&of(url)), [at], "{url}");
        }
        assert_eq!(known(&of("https://api.example:6443")), [""; 0]);
    }

    #[test]
    fn what_a_name_is_resolved_to_is_kept() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let addresses = Arc::new(of("https://localhost:6443"));
        let mut resolver = Resolver::new(Arc::clone(&addresses));
        let found = runtime.block_on(async { resolver.call("localhost".parse().unwrap()).await });
        assert!(found.unwrap().count() > 0);
        let found = known(&addresses);
        assert!(
            found.contains(&"127.0.0.1:6443".to_owned())
                || found.contains(&"[::1]:6443".to_owned()),
            "{found:?}"
        );
        addresses.resolved(&["192.0.2.7:0".parse().unwrap()]);
        assert!(known(&addresses).len() > found.len());
        // It stays bounded.
        for n in 0..1000_u32 {
            let ip = std::net::Ipv4Addr::from_bits(0xc000_0200 + n);
            addresses.resolved(&[SocketAddr::new(ip.into(), 0)]);
        }
        assert!(addresses.known().len() <= MAX);
        assert!(known(&addresses).contains(&"192.0.5.231:6443".to_owned()));
    }
}
