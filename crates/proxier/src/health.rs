//! What health checks ask of a node: whether it has endpoints of a Service itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::cluster::{
    Cluster, Endpoint, EndpointSlice, Family, ObjectName, Service, slices_by_service, standing,
};

/// What a load balancer's health check of a Service is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHealth {
    /// The Service.
    pub service: ObjectName,
    /// The port its health check is served on (`healthCheckNodePort`).
    pub port: NonZeroU16,
    /// How many distinct addresses its ready endpoints on this node have, both families together: 0 has the
    /// load balancer look elsewhere.
    pub local_endpoints: usize,
}

/// Something there is one of for each traffic policy: what is asked of Services with policy `Local` that
/// have endpoints, none of them on this node.
///
/// kube-proxy reports their numbers as `sync_proxy_rules_no_local_endpoints_total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLocalEndpoints<T = usize> {
    /// Of `internalTrafficPolicy`.
    pub internal: T,
    /// Of `externalTrafficPolicy`.
    pub external: T,
}

/// The health of every Service that has health checks, by name, as seen from a node.
#[must_use]
pub fn service_health(cluster: &Cluster, node_name: &str) -> Vec<ServiceHealth> {
    let slices = slices_by_service(cluster);
    let health = |service: &Service| {
        let key = (service.name.namespace(), service.name.name());
        of_service(
            service,
            slices.get(&key).map_or(&[], Vec::as_slice),
            node_name,
        )
    };
    cluster.services.values().filter_map(health).collect()
}

/// The health of one Service; `None` if it has no health checks.
pub(crate) fn of_service(
    service: &Service,
    slices: &[&EndpointSlice],
    node_name: &str,
) -> Option<ServiceHealth> {
    let port = service.health_check()?;
    let counts = Family::ALL.into_iter().any(|family| service.counts(family));
    let local_endpoints = local_addresses(slices, node_name);
    counts.then(|| ServiceHealth {
        service: service.name.clone(),
        port,
        local_endpoints,
    })
}

/// How many addresses have a ready endpoint here. Endpoints without ports do not count.
fn local_addresses(slices: &[&EndpointSlice], node_name: &str) -> usize {
    let endpoints = slices
        .iter()
        .filter(|slice| !slice.ports.is_empty())
        .flat_map(|slice| {
            let of_family = |address| Family::of(address) == slice.family;
            slice
                .endpoints
                .iter()
                .filter(move |endpoint| of_family(endpoint.address))
        });
    let mut deciding: BTreeMap<IpAddr, &Endpoint> = BTreeMap::new();
    for endpoint in endpoints {
        let of = |endpoint: &Endpoint| standing(endpoint.terminating, endpoint.ready);
        let first = deciding.entry(endpoint.address).or_insert(endpoint);
        if of(endpoint) < of(first) {
            *first = endpoint;
        }
    }
    let local =
        |endpoint: &&Endpoint| endpoint.ready && endpoint.node.as_deref() == Some(node_name);
    deciding.into_values().filter(local).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{EndpointPort, ServicePort, ServiceType, TrafficPolicy};
    use ipvs_netlink::Protocol;

    fn slice(name: &str, endpoints: Vec<Endpoint>) -> EndpointSlice {
        let port = EndpointPort {
            name: "".into(),
            protocol: Protocol::TCP,
            port: NonZeroU16::MIN,
        };
        EndpointSlice {
            name: ObjectName::new("default", name),
            service: "web".into(),
            family: Family::V4,
            ports: vec![port],
            endpoints,
        }
    }

    fn web() -> Service {
        let ip = "10.0.0.7".parse().unwrap();
        let mut service = Service::new(ObjectName::new("default", "web"), vec![ip]);
        service.service_type = ServiceType::LoadBalancer;
        service.external_policy = TrafficPolicy::Local;
        service.health_check_node_port = NonZeroU16::new(31000);
        service.ports.push(ServicePort {
            name: "".into(),
            protocol: Protocol::TCP,
            port: NonZeroU16::MIN,
            node_port: None,
        });
        service
    }

    #[test]
    fn an_address_counts_once_and_only_ready_and_here() {
        let ip = |last: u8| IpAddr::from([10, 244, 0, last]);
        let mut unready = Endpoint::ready(ip(3)).on("a");
        unready.ready = false;
        let mut cluster = Cluster::default();
        cluster.add_service(web());
        let first = vec![
            Endpoint::ready(ip(1)).on("a"),
            Endpoint::ready(ip(2)).on("b"),
            unready,
        ];
        cluster.add_slice(slice("1", first));
        cluster.add_slice(slice("2", vec![Endpoint::ready(ip(1)).on("a")]));
        let of = |node| {
            service_health(&cluster, node)
                .first()
                .map(|h| h.local_endpoints)
        };
        assert_eq!((of("a"), of("b"), of("c")), (Some(1), Some(1), Some(0)));

        let mut headless = web();
        headless.cluster_ips.clear();
        cluster.add_service(headless);
        assert_eq!(service_health(&cluster, "a"), []);
    }
}
