//! What somebody wants to see on the page.

use std::net::{IpAddr, SocketAddr};

use proxier::Engine;
use proxier::cluster::Service;

/// How much of a query is read, in bytes.
const MAX_QUERY: usize = 512;

/// A request for the page, by its query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ask {
    /// What was searched for, as it was written, without blanks around it.
    pub(super) text: String,
    pub(super) view: View,
    /// From 0.
    pub(super) page: usize,
}

/// What is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    #[default]
    Services,
    Endpoints,
}

impl View {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Endpoints => "endpoints",
        }
    }
}

impl Ask {
    /// Reads the query of a URL: `q`, `view`, `page` (from 1). What it does not know it leaves out.
    pub(super) fn of(query: Option<&str>) -> Self {
        let mut ask = Self::default();
        let query = query.unwrap_or_default().as_bytes();
        let query = query.get(..MAX_QUERY).unwrap_or(query);
        for (name, value) in form_urlencoded::parse(query) {
            match (&*name, &*value) {
                ("q", text) => text.trim().clone_into(&mut ask.text),
                ("view", "endpoints") => ask.view = View::Endpoints,
                ("page", number) => {
                    ask.page = number
                        .parse::<usize>()
                        .map_or(0, |page| page.saturating_sub(1));
                }
                _ => {}
            }
        }
        ask
    }
}

/// What a Service is to have.
pub(super) enum Search {
    All,
    /// An address: of the Service, or of an endpoint.
    Address(IpAddr),
    /// The same with a port.
    Socket(SocketAddr),
    /// In its name, in lower case; or, if it is a number, one of its ports.
    Text(String, Option<u16>),
}

impl Search {
    pub(super) fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self::All;
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Self::Address(address);
        }
        match text.parse() {
            Ok(socket) => Self::Socket(socket),
            Err(_) => Self::Text(text.to_lowercase(), text.parse().ok()),
        }
    }

    /// Whether a Service is looked for.
    pub(super) fn finds(&self, service: &Service, engine: &Engine) -> bool {
        match self {
            Self::All => true,
            Self::Text(text, port) => {
                service.name.to_string().contains(text)
                    || port.is_some_and(|port| has_port(service, port))
            }
            Self::Address(address) => {
                has_address(service, *address) || has_endpoint(service, engine, *address, None)
            }
            Self::Socket(socket) => {
                let (address, port) = (socket.ip(), socket.port());
                has_endpoint(service, engine, address, Some(port))
                    || (has_address(service, address)
                        && service.ports.iter().any(|one| one.port.get() == port))
                    || (has_node_port(service, port)
                        && engine.node_port_addresses().any(|one| one == address))
            }
        }
    }
}

fn has_port(service: &Service, port: u16) -> bool {
    let mut ports = service.ports.iter();
    ports.any(|one| one.port.get() == port) || has_node_port(service, port)
}

fn has_node_port(service: &Service, port: u16) -> bool {
    let mut ports = service.ports.iter().filter_map(|one| one.node_port);
    ports.any(|one| one.get() == port)
}

fn has_address(service: &Service, address: IpAddr) -> bool {
    let Service {
        cluster_ips,
        external_ips,
        load_balancer_ips,
        ..
    } = service;
    [cluster_ips, external_ips, load_balancer_ips]
        .iter()
        .any(|all| all.contains(&address))
}

fn has_endpoint(service: &Service, engine: &Engine, address: IpAddr, port: Option<u16>) -> bool {
    engine.slices_of(&service.name).iter().any(|slice| {
        port.is_none_or(|port| slice.ports.iter().any(|one| one.port.get() == port))
            && slice.endpoints.iter().any(|one| one.address == address)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use proxier::Config;
    use proxier::cluster::{Change, Host};

    use super::*;

    #[test]
    fn queries_are_read_and_what_is_not_known_is_left_out() {
        let ask = Ask::of(Some("q=+shop%2Fweb+&view=endpoints&page=3&x=y"));
        assert_eq!(ask.text, "shop/web");
        assert_eq!((ask.view, ask.page), (View::Endpoints, 2));
        let odd = Ask::of(Some("view=nothing&page=-1&q=%ff%00"));
        assert_eq!((odd.view, odd.page), (View::Services, 0));
        assert_eq!(odd.text, "\u{fffd}\0");
        assert_eq!(Ask::of(None), Ask::default());
        let long = format!("q={}", "x".repeat(100_000));
        assert!(Ask::of(Some(&long)).text.len() < MAX_QUERY);
    }

    #[test]
    fn services_are_found_by_name_address_and_port() {
        let text = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: LoadBalancer, clusterIP: 10.96.0.7, externalIPs: [203.0.113.5], ports: [{name: http, port: 80, nodePort: 30080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.244.1.5]}]
";
        let cluster = proxier_manifest::read_cluster("test", text.as_bytes()).cluster;
        let mut host = Host::new("node-a");
        let address = "192.168.10.10/24".parse().unwrap();
        host.links.insert("eth0".parse().unwrap(), address);
        let mut engine = Engine::new(host, Config::default());
        engine.change(Change::Services(cluster.services.into_values().collect()));
        engine.change(Change::Slices(cluster.slices.into_values().collect()));
        engine.plan();
        let web = engine.services().next().unwrap();
        for (query, found) in [
            ("", true),
            ("shop/", true),
            ("WEB", true),
            ("10.96.0.7", true),
            ("203.0.113.5", true),
            ("10.244.1.5", true),
            ("10.96.0.7:80", true),
            ("10.244.1.5:8080", true),
            ("192.168.10.10:30080", true),
            ("80", true),
            ("30080", true),
            ("shop/other", false),
            ("10.96.0.8", false),
            ("10.96.0.7:81", false),
            ("10.244.1.5:80", false),
            ("192.168.10.10:80", false),
            ("81", false),
        ] {
            assert_eq!(Search::of(query).finds(web, &engine), found, "{query}");
        }
    }
}
