//! The answers to health checks: whether a node has endpoints of a Service itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::cluster::{
    Cluster, Endpoint, EndpointSlice, Family, ObjectName, PerFamily, Service, slices_by_service,
    standing,
};

/// The answer to a load balancer's health check of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceHealth {
    /// The Service.
    pub service: ObjectName,
    /// The port its health check is served on (`healthCheckNodePort`).
    pub port: NonZeroU16,
    /// How many distinct addresses its ready endpoints on this node have, in each family that the Service is served
    /// in: with 0 the load balancer sends its clients to other nodes.
    pub local_endpoints: PerFamily<Option<usize>>,
}

impl ServiceHealth {
    /// The health of a Service that is served in no family.
    #[must_use]
    pub const fn new(service: ObjectName, port: NonZeroU16) -> Self {
        Self {
            service,
            port,
            local_endpoints: PerFamily { v4: None, v6: None },
        }
    }

    /// The same with the number of local endpoints of a family.
    #[must_use]
    pub const fn with_local_endpoints(mut self, family: Family, count: usize) -> Self {
        *self.local_endpoints.get_mut(family) = Some(count);
        self
    }

    /// How many endpoints a health check over `family` is answered with: those of that family, or of the other one
    /// where the Service is not served in it.
    ///
    /// kube-proxy has a proxy for each family, which counts its own endpoints alone; what asks over IPv4 wants to
    /// know where to send IPv4 traffic.
    #[must_use]
    pub fn local_endpoints_over(&self, family: Family) -> usize {
        let PerFamily { v4, v6 } = self.local_endpoints;
        let (own, other) = match family {
            Family::V4 => (v4, v6),
            Family::V6 => (v6, v4),
        };
        own.or(other).unwrap_or_default()
    }
}

/// One value for each traffic policy, of Services with policy `Local` that have endpoints, but none on this node.
///
/// kube-proxy reports their numbers as `sync_proxy_rules_no_local_endpoints_total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoLocalEndpoints<T = usize> {
    /// Of `internalTrafficPolicy`.
    pub internal: T,
    /// Of `externalTrafficPolicy`.
    pub external: T,
}

impl<T> NoLocalEndpoints<T> {
    /// Of both policies.
    pub const fn new(internal: T, external: T) -> Self {
        Self { internal, external }
    }
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
    let local_endpoints = PerFamily::from_fn(|family| {
        let counts = service.counts(family);
        counts.then(|| local_addresses(slices, family, node_name))
    });
    let served = local_endpoints != PerFamily::default();
    served.then(|| ServiceHealth {
        service: service.name.clone(),
        port,
        local_endpoints,
    })
}

/// How many addresses of a family have a ready endpoint here. Endpoints without ports do not count.
fn local_addresses(slices: &[&EndpointSlice], family: Family, node_name: &str) -> usize {
    let endpoints = slices
        .iter()
        .filter(|slice| slice.family == family && !slice.ports.is_empty())
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
        EndpointSlice::new(ObjectName::new("default", name), "web", Family::V4)
            .with_ports([port])
            .with_endpoints(endpoints)
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
                .map(|h| h.local_endpoints_over(Family::V4))
        };
        assert_eq!((of("a"), of("b"), of("c")), (Some(1), Some(1), Some(0)));

        // Without ports nothing is served there.
        let mut bare = slice("3", vec![Endpoint::ready(ip(4)).on("c")]);
        bare.ports.clear();
        cluster.add_slice(bare);
        let health = service_health(&cluster, "c").pop();
        assert_eq!(health.map(|h| h.local_endpoints_over(Family::V4)), Some(0));

        let mut headless = web();
        headless.cluster_ips.clear();
        cluster.add_service(headless);
        assert_eq!(service_health(&cluster, "a"), []);
    }

    #[test]
    fn each_family_counts_its_own_endpoints() {
        let v4 = |last: u8| Endpoint::ready(IpAddr::from([10, 244, 0, last])).on("a");
        let v6 = Endpoint::ready("fd00:10:244::1".parse().unwrap());
        let mut second = slice("2", vec![v6.clone().on("a"), v6.on("b")]);
        second.family = Family::V6;
        let mut cluster = Cluster::default();
        cluster.add_slice(slice("1", vec![v4(1), v4(2)]));
        cluster.add_slice(second);
        let mut of = |ips: &[&str]| {
            let mut service = web();
            service.cluster_ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
            cluster.add_service(service);
            let health = service_health(&cluster, "a").pop().unwrap();
            let over = Family::ALL.map(|family| health.local_endpoints_over(family));
            (health.local_endpoints.v4, health.local_endpoints.v6, over)
        };
        assert_eq!(of(&["10.0.0.7", "fd00::7"]), (Some(2), Some(1), [2, 1]));
        // A family that the Service has no address of is not served; the other answers for it.
        assert_eq!(of(&["10.0.0.7"]), (Some(2), None, [2, 2]));
        assert_eq!(of(&["fd00::7"]), (None, Some(1), [1, 1]));
    }
}
