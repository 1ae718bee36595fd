//! What an engine does in cases that stories of chance (`properties`) seldom come to.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::num::NonZeroU16;
use std::sync::Arc;

use ipvs_netlink::{Connections, DestinationId, VirtualServerId};
use proxier::cluster::{Change, Host, ObjectName, ServiceType, TrafficPolicy};
use proxier::{
    Config, Engine, Kernel, KernelError, KernelErrorKind, KernelPart, Layout, MemoryKernel,
    Operation, Plan, reconcile,
};
use proxier_manifest::Snapshot;

const CLUSTER: &str = "
kind: Service
apiVersion: v1
metadata: {name: web}
spec: {clusterIP: 10.0.0.7, ports: [{port: 80}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.244.1.5]}]
";

fn carry_out(engine: &mut Engine, kernel: &mut MemoryKernel, plan: &Plan) {
    engine.applied(plan, &kernel.apply(plan));
}

/// The lines of a plan's operations.
fn steps(plan: &Plan) -> Vec<String> {
    plan.iter()
        .map(|(_, operation)| operation.to_string())
        .collect()
}

/// An engine whose one destination, with a connection, is no longer wanted and has weight 0.
fn draining() -> (Engine, MemoryKernel, VirtualServerId, DestinationId) {
    let reading = proxier_manifest::read_cluster("test", CLUSTER.as_bytes());
    let mut engine = Engine::new(Host::new("node-a"), Config::default());
    for service in reading.cluster.services.into_values() {
        engine.change(Change::Service(Box::new(service)));
    }
    for slice in reading.cluster.slices.into_values() {
        engine.change(Change::Slice(Box::new(slice)));
    }
    let mut kernel = MemoryKernel::new();
    let plan = engine.audit(&kernel.observe().unwrap());
    carry_out(&mut engine, &mut kernel, &plan);

    let server = kernel.state().servers.first().unwrap().clone();
    let destination = server.destinations.first().unwrap().destination.id;
    let busy = Connections {
        active: 1,
        ..Connections::default()
    };
    kernel.set_connections(&server.id, &destination, busy);
    engine.change(Change::SliceGone(ObjectName::new("default", "web-1")));
    let plan = engine.plan();
    carry_out(&mut engine, &mut kernel, &plan);
    assert_eq!(engine.draining().collect::<Vec<_>>(), [server.id]);
    (engine, kernel, server.id, destination)
}

#[test]
fn a_refused_deletion_of_an_idle_destination_is_part_of_the_next_plan() {
    let (mut engine, mut kernel, server, destination) = draining();
    let look = |kernel: &mut MemoryKernel| kernel.connections(&[server]).unwrap();
    let busy = engine.drained(&look(&mut kernel));
    assert!(busy.is_empty(), "{busy}");

    kernel.set_connections(&server, &destination, Connections::default());
    let plan = engine.drained(&look(&mut kernel));
    let delete = ["- ipvs      -d -t 10.0.0.7:80 -r 10.244.1.5:8080"];
    assert_eq!(steps(&plan), delete);
    kernel.fail_with(Some(Box::new(|operation| {
        matches!(operation, Operation::DeleteDestination { .. }).then(|| {
            KernelError::new(
                KernelPart::of(operation),
                KernelErrorKind::Other,
                "by the test",
            )
        })
    })));
    carry_out(&mut engine, &mut kernel, &plan);
    kernel.fail_with(None);

    // It gets no new connections: nothing that happens elsewhere puts that in doubt.
    engine.change(Change::NodeGone("node-b".into()));
    let again = engine.plan();
    assert_eq!(steps(&again), delete);
    carry_out(&mut engine, &mut kernel, &again);
    assert!(engine.plan().is_empty());
    assert_eq!(engine.draining().count(), 0);
}

#[test]
fn a_refused_deletion_is_forgotten_once_the_destination_is_wanted_again() {
    let (mut engine, mut kernel, server, destination) = draining();
    kernel.set_connections(&server, &destination, Connections::default());
    let plan = engine.drained(&kernel.connections(&[server]).unwrap());
    kernel.fail_with(Some(Box::new(|operation| {
        let part = KernelPart::of(operation);
        Some(KernelError::new(
            part,
            KernelErrorKind::Other,
            "by the test",
        ))
    })));
    carry_out(&mut engine, &mut kernel, &plan);
    kernel.fail_with(None);

    let slice = proxier_manifest::read_cluster("test", CLUSTER.as_bytes())
        .cluster
        .slices
        .into_values()
        .next()
        .unwrap();
    engine.change(Change::Slice(Box::new(slice)));
    let back = engine.plan();
    carry_out(&mut engine, &mut kernel, &back);
    engine.change(Change::SliceGone(ObjectName::new("default", "web-1")));
    // It had weight 1 in between, and may have got connections.
    let plan = engine.plan();
    let [step] = &steps(&plan)[..] else {
        panic!("{plan}");
    };
    assert!(
        step.contains("-e -t 10.0.0.7:80 -r 10.244.1.5:8080") && step.contains("-w 0"),
        "{step}"
    );
}

#[test]
fn endpoints_of_a_node_share_its_name() {
    let mut engine = Engine::new(Host::new("node-a"), Config::default());
    for name in ["web-1", "web-2"] {
        let text = CLUSTER
            .replace("web-1", name)
            .replace("10.244.1.5]", "10.244.1.5], nodeName: node-b");
        let reading = proxier_manifest::read_cluster("test", text.as_bytes());
        engine.change(Change::Slices(
            reading.cluster.slices.into_values().collect(),
        ));
        let more = proxier_manifest::read_cluster("test", text.replace(name, "web-3").as_bytes());
        for slice in more.cluster.slices.into_values() {
            engine.change(Change::Slice(Box::new(slice)));
        }
    }
    let cluster = engine.cluster();
    let slices = cluster.slices.values();
    let names: Vec<_> = slices
        .map(|slice| slice.endpoints[0].node.clone().unwrap())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(Arc::ptr_eq(&names[0], &names[1]), "{names:?}");
}

/// Services with a Local policy and no endpoint here are counted in the family in which that is so, while it is.
#[test]
fn services_without_local_endpoints_are_counted_by_family() {
    const DUAL: &str = "
kind: Service
apiVersion: v1
metadata: {name: web}
spec:
  internalTrafficPolicy: Local
  clusterIP: 10.0.0.7
  clusterIPs: [10.0.0.7, 'fd00::7']
  ports: [{port: 80}]
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: web-4, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.244.1.5], nodeName: node-a}]
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: web-6, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{port: 8080}]
endpoints: [{addresses: ['fd00:10:244::5'], nodeName: node-b}]
";
    let cluster = proxier_manifest::read_cluster("test", DUAL.as_bytes()).cluster;
    let mut engine = Engine::new(Host::new("node-a"), Config::default());
    let mut counted = |change| {
        engine.change(change);
        engine.plan();
        let counts = engine.no_local_endpoints();
        [counts.v4, counts.v6].map(|family| (family.internal, family.external))
    };
    let services: Vec<_> = cluster.services.into_values().collect();
    counted(Change::Services(services.clone()));
    let slices = cluster.slices.into_values().collect();
    assert_eq!(counted(Change::Slices(slices)), [(0, 0), (1, 0)]);
    let mut open = services[0].clone();
    open.service_type = ServiceType::NodePort;
    open.external_policy = TrafficPolicy::Local;
    open.internal_policy = TrafficPolicy::Cluster;
    open.ports[0].node_port = NonZeroU16::new(30_080);
    let open = Change::Service(Box::new(open));
    assert_eq!(counted(open), [(0, 0), (0, 1)]);
    let gone = Change::SliceGone(ObjectName::new("default", "web-6"));
    assert_eq!(counted(gone), [(0, 0), (0, 0)]);
}

/// What shows whose a virtual server is may come after it was found.
#[test]
fn a_virtual_server_at_an_address_that_is_bound_later_is_the_proxys() {
    let mut found = Snapshot::default();
    found.ipvs = ["-A -t 10.0.0.7:4711 -s rr", "-A -t 10.0.0.8:4711 -s rr"]
        .map(Into::into)
        .to_vec();
    let mut kernel = MemoryKernel::holding(&found.state().unwrap());
    let mut engine = Engine::new(Host::new("node-a"), Config::default());
    let plan = engine.audit(&kernel.observe().unwrap());
    carry_out(&mut engine, &mut kernel, &plan);
    assert_eq!(kernel.state().servers.len(), 2);

    let reading = proxier_manifest::read_cluster("test", CLUSTER.as_bytes());
    for service in reading.cluster.services.into_values() {
        engine.change(Change::Service(Box::new(service)));
    }
    let plan = engine.plan();
    carry_out(&mut engine, &mut kernel, &plan);
    let left: Vec<_> = kernel.state().servers.into_iter().map(|s| s.id).collect();
    assert_eq!(
        left,
        ["-t 10.0.0.7:80", "-t 10.0.0.8:4711"].map(|id| id.parse().unwrap())
    );
    // As after a restart.
    let rest = reconcile(&engine.desired(), &kernel.state());
    assert!(rest.is_empty(), "{rest}");
}

/// Each virtual server leads back to the Service port that has it, and those that a Service has are what it gets of what it
/// claims.
#[test]
fn it_is_known_who_has_a_virtual_server() {
    let two = "
kind: Service
apiVersion: v1
metadata: {name: older, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {clusterIP: 10.0.0.8, externalIPs: [203.0.113.5], ports: [{name: http, port: 80}]}
---
kind: Service
apiVersion: v1
metadata: {name: younger, creationTimestamp: '2026-02-01T00:00:00Z'}
spec: {clusterIP: 10.0.0.9, externalIPs: [203.0.113.5], ports: [{name: http, port: 80}, {name: more, port: 81}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: younger-1, labels: {kubernetes.io/service-name: younger}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: more, port: 8081}]
endpoints: [{addresses: [10.244.1.5]}]
";
    let reading = proxier_manifest::read_cluster("test", two.as_bytes());
    let [older, younger] = ["older", "younger"].map(|name| ObjectName::new("default", name));
    for layout in [Layout::Current, Layout::Nftables, Layout::Iptables] {
        let mut engine = Engine::new(Host::new("node-a"), Config::with_layout(layout));
        for service in reading.cluster.services.values() {
            engine.change(Change::Service(Box::new(service.clone())));
        }
        for slice in reading.cluster.slices.values() {
            engine.change(Change::Slice(Box::new(slice.clone())));
        }
        engine.plan();
        let held = engine.held_by(&younger);
        let held: Vec<_> = held
            .iter()
            .map(|held| {
                let endpoints = held.endpoints.iter().map(ToString::to_string);
                let endpoints: Vec<_> = endpoints.collect();
                format!("{} {} {}", held.server, held.port, endpoints.join(" "))
            })
            .collect();
        assert_eq!(
            held,
            [
                "-t 10.0.0.9:80 http 10.244.1.5:8080",
                "-t 10.0.0.9:81 more 10.244.1.5:8081",
                "-t 203.0.113.5:81 more 10.244.1.5:8081",
            ],
            "{layout:?}"
        );
        let contested = "-t 203.0.113.5:80".parse().unwrap();
        assert_eq!(engine.holder(&contested), Some((&older, "http")));
        assert_eq!(engine.holder(&"-t 203.0.113.5:82".parse().unwrap()), None);
        assert_eq!(engine.slices_of(&younger).len(), 1);
        assert_eq!(engine.slices_of(&older), []);
        assert_eq!(engine.service(&older), reading.cluster.services.get(&older));
        assert_eq!(engine.services().count(), 2);
    }
}
