//! Clusters written as Kubernetes would, in any order.

use std::collections::BTreeSet;

use proxier::cluster::{
    Cluster, Endpoint, EndpointSlice, Family, Node, Service, ServiceType, TrafficPolicy,
};
use serde_json::{Value, json};

/// The objects of a cluster as JSON documents, they and their lists in an order that `seed` decides.
pub(crate) fn shuffled(cluster: &Cluster, seed: u64) -> String {
    let mut random = Random(seed);
    let services = cluster.services.values().map(service);
    let slices = cluster
        .slices
        .values()
        .map(|one| slice(one, &mut random))
        .collect::<Vec<_>>();
    let nodes = cluster.nodes.values().map(node);
    let mut all: Vec<Value> = services.chain(slices).chain(nodes).collect();
    random.shuffle(&mut all);
    all.iter().map(|value| format!("---\n{value}\n")).collect()
}

struct Random(u64);

impl Random {
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            items.swap(last, (self.0 >> 33) as usize % (last + 1));
        }
    }
}

fn policy(policy: TrafficPolicy) -> &'static str {
    match policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
        other => panic!("{other:?}: strategies make none"),
    }
}

fn annotations(service: &Service) -> Value {
    let options = service.options.iter().flat_map(|options| options.iter());
    let all = options.map(|(option, value)| (option.annotation().to_owned(), value.into()));
    Value::Object(all.collect())
}

fn service(service: &Service) -> Value {
    let labels = match service.other_proxy {
        true => json!({"service.kubernetes.io/service-proxy-name": "other"}),
        false => Value::Null,
    };
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| {
            json!({
                "name": &*port.name, "protocol": port.protocol.to_string().to_uppercase(), "port": port.port,
                "nodePort": port.node_port,
            })
        })
        .collect();
    let ingress: Vec<_> = service
        .load_balancer_ips
        .iter()
        .map(|ip| json!({"ip": ip}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": service.name.name(), "namespace": service.name.namespace(), "labels": labels,
            "annotations": annotations(service),
            "creationTimestamp": service.created.map(|s| format!("1970-01-01T00:00:0{s}Z")),
        },
        "spec": {
            "type": match service.service_type {
                ServiceType::ClusterIp => "ClusterIP",
                ServiceType::NodePort => "NodePort",
                ServiceType::LoadBalancer => "LoadBalancer",
                ServiceType::ExternalName => "ExternalName",
                other => panic!("{other:?}: strategies make none"),
            },
            "clusterIPs": service.cluster_ips,
            "externalIPs": service.external_ips,
            "loadBalancerSourceRanges": service.source_ranges.iter().map(|r| format!(" {r}")).collect::<Vec<_>>(),
            "ports": ports,
            "sessionAffinity": if service.affinity_seconds.is_some() { "ClientIP" } else { "None" },
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": service.affinity_seconds}},
            "internalTrafficPolicy": policy(service.internal_policy),
            "externalTrafficPolicy": policy(service.external_policy),
            "healthCheckNodePort": service.health_check_node_port,
        },
        "status": {"loadBalancer": {"ingress": ingress}},
    })
}

fn slice(slice: &EndpointSlice, random: &mut Random) -> Value {
    let hints = |names: &[Box<str>]| {
        names
            .iter()
            .map(|name| json!({"name": name}))
            .collect::<Vec<_>>()
    };
    let endpoint = |endpoint: &Endpoint| {
        json!({
            "addresses": [endpoint.address], "nodeName": endpoint.node.as_deref(),
            "conditions": {
                "ready": endpoint.ready, "serving": endpoint.serving, "terminating": endpoint.terminating,
            },
            "hints": endpoint.hints.as_deref().map(|given| {
                json!({"forNodes": hints(&given.nodes), "forZones": hints(&given.zones)})
            }),
        })
    };
    // Of entries of one address that are equally ready the first decides, as with kube-proxy: they keep their order.
    let addresses: BTreeSet<_> = slice.endpoints.iter().map(|e| e.address).collect();
    let mut addresses: Vec<_> = addresses.into_iter().collect();
    random.shuffle(&mut addresses);
    let mut endpoints: Vec<_> = slice.endpoints.iter().collect();
    endpoints.sort_by_key(|e| addresses.iter().position(|address| *address == e.address));
    let endpoints: Vec<_> = endpoints.into_iter().map(endpoint).collect();
    let mut ports: Vec<_> = slice
        .ports
        .iter()
        .map(|port| json!({"name": &*port.name, "protocol": port.protocol.to_string().to_uppercase(), "port": port.port}))
        .collect();
    random.shuffle(&mut ports);
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": slice.name.name(), "namespace": slice.name.namespace(),
            "labels": {"kubernetes.io/service-name": slice.service},
            "annotations": slice.weight.map(|weight| json!({"kube-proxier/weight": weight.to_string()})),
        },
        "addressType": if slice.family == Family::V4 { "IPv4" } else { "IPv6" },
        "endpoints": endpoints, "ports": ports,
    })
}

fn node(node: &Node) -> Value {
    let addresses: Vec<_> = node
        .addresses
        .iter()
        .map(|ip| json!({"type": "InternalIP", "address": ip}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node.name, "labels": {"topology.kubernetes.io/zone": node.zone}},
        "spec": {"podCIDRs": node.pod_cidrs.iter().map(ToString::to_string).collect::<Vec<_>>()},
        "status": {"addresses": addresses},
    })
}
