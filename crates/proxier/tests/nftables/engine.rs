//! What one change costs: transactions of nf_tables and batches of IPVS.

use ipvs_netlink::{Connections, VirtualServerId};
use proxier::cluster::{Change, ObjectName, TrafficPolicy};
use proxier::kernel::carry_out;
use proxier::{Engine, Kernel, KernelPart, MemoryKernel, ObservedServer, Plan};

use super::{cluster, config, endpoints, host, service};

const HTTP: &str = "ports: [{port: 80}]";
const TARGET: &str = "{port: 8080}";

/// An engine that keeps a kernel with the Service `web`.
fn engine() -> (Engine, MemoryKernel) {
    let mut engine = Engine::new(host(), config());
    let mut kernel = MemoryKernel::new();
    let manifests = format!("{}{}", service(HTTP), endpoints(&["10.244.0.2"], TARGET));
    let cluster = cluster(&manifests);
    engine.change(Change::Services(cluster.services.into_values().collect()));
    engine.change(Change::Slices(cluster.slices.into_values().collect()));
    engine.change(Change::Nodes(cluster.nodes.into_values().collect()));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    assert!(engine.plan().is_empty());
    (engine, kernel)
}

/// What goes to the kernel at once, one after the other, if all that belongs together goes together.
fn handed_over(plan: &Plan) -> Vec<KernelPart> {
    let of = KernelPart::of;
    let mut handed_over = Vec::new();
    let applied = carry_out(
        plan,
        |one, next| of(one) == of(next),
        |operations| {
            handed_over.extend(operations.first().map(|first| of(first)));
            operations.iter().map(|_| Ok(())).collect()
        },
    );
    assert!(applied.is_ok());
    handed_over
}

const IPVS: KernelPart = KernelPart::Ipvs;
const TABLES: KernelPart = KernelPart::Nftables;

fn other() -> Change {
    let manifests = "
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {clusterIPs: [10.0.0.8, 'fd00::8'], type: NodePort, ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 81}]}
";
    let mut services = cluster(manifests).services.into_values();
    Change::Service(Box::new(services.next().unwrap()))
}

#[test]
fn a_service_is_one_batch_and_one_transaction() {
    let (mut engine, mut kernel) = engine();
    engine.change(other());
    let plan = engine.plan();
    assert_eq!(handed_over(&plan), [IPVS, TABLES], "{plan}");
    engine.applied(&plan, &kernel.apply(&plan));

    engine.change(Change::ServiceGone(ObjectName::new("default", "other")));
    let plan = engine.plan();
    assert_eq!(handed_over(&plan), [TABLES, IPVS], "{plan}");
    engine.applied(&plan, &kernel.apply(&plan));
    assert!(engine.plan().is_empty());
}

#[test]
fn an_endpoint_is_ipvs_alone_unless_it_is_on_this_node() {
    let (mut engine, mut kernel) = engine();
    let mut become_ = |addresses: &[&str]| {
        let cluster = cluster(&format!(
            "{}{}",
            service(HTTP),
            endpoints(addresses, TARGET)
        ));
        let slice = cluster.slices.into_values().next().unwrap();
        engine.change(Change::Slice(Box::new(slice)));
        let plan = engine.plan();
        engine.applied(&plan, &kernel.apply(&plan));
        handed_over(&plan)
    };
    assert_eq!(become_(&["10.244.0.2", "10.244.0.4"]), [IPVS]);
    assert_eq!(become_(&["10.244.0.4"]), [IPVS], "drains");
    assert_eq!(
        become_(&["10.244.0.4", "10.244.0.5"]),
        [IPVS, TABLES],
        "on this node"
    );
}

/// A mark that moves takes along the Service that did not change itself.
#[test]
fn a_service_that_goes_gives_its_mark_to_another() {
    let mut config = config();
    config.nftables.service_marks = 0x1;
    let mut engine = Engine::new(host(), config);
    let mut kernel = MemoryKernel::new();
    let manifests = [crate::split("a", 1, 1), crate::split("b", 2, 2)].concat();
    let cluster = cluster(&manifests);
    engine.change(Change::Services(cluster.services.into_values().collect()));
    engine.change(Change::Slices(cluster.slices.into_values().collect()));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(engine.conflicts().count(), 1, "one of them has no mark");

    engine.change(Change::ServiceGone(ObjectName::new("default", "a")));
    let plan = engine.plan();
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(engine.conflicts().count(), 0);
    let elements = kernel.state().tables.v4.unwrap().elements;
    let marks: Vec<_> = elements
        .iter()
        .filter_map(|e| e.mark().map(|_| e.to_string()))
        .collect();
    assert_eq!(marks, ["tcp . 30082 : 0x00000001"]);
    // The endpoint of the one before has weight 0, and goes when nobody uses it.
    let draining: Vec<_> = engine.draining().collect();
    let plan = engine.drained(&kernel.connections(&draining).unwrap());
    assert_eq!(plan.len(), 1);
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(
        proxier::reconcile(&engine.desired(), &kernel.state()),
        Plan::default()
    );
}

/// `externalTrafficPolicy` becomes `Cluster`: what is open goes on until it ends.
#[test]
fn a_virtual_server_by_mark_drains_before_it_goes() {
    let mut engine = Engine::new(host(), config());
    let mut kernel = MemoryKernel::new();
    let cluster = cluster(&crate::split("a", 1, 1));
    let mut service = cluster.services.values().next().unwrap().clone();
    engine.change(Change::Services(cluster.services.into_values().collect()));
    engine.change(Change::Slices(cluster.slices.into_values().collect()));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    let marked = by_mark(&kernel).unwrap();
    let endpoint = marked.destinations.first().unwrap().destination.id;
    let connected = |kernel: &mut MemoryKernel, active, inactive| {
        let connections = Connections {
            active,
            inactive,
            ..Connections::default()
        };
        kernel.set_connections(&marked.id, &endpoint, connections);
    };
    connected(&mut kernel, 1, 0);

    service.external_policy = TrafficPolicy::Cluster;
    engine.change(Change::Service(Box::new(service)));
    let plan = engine.plan();
    engine.applied(&plan, &kernel.apply(&plan));
    let weight = |kernel: &MemoryKernel| {
        by_mark(kernel).map(|s| s.destinations[0].destination.config.weight)
    };
    assert_eq!(weight(&kernel), Some(0), "{plan}");
    assert!(
        kernel
            .state()
            .tables
            .v4
            .unwrap()
            .elements
            .iter()
            .all(|e| e.mark().is_none())
    );
    assert_eq!(engine.draining().collect::<Vec<_>>(), [marked.id]);
    let plan = engine.drained(&kernel.connections(&[marked.id]).unwrap());
    assert!(plan.is_empty(), "{plan}");
    // Another process does not end it either.
    let plan = proxier::reconcile(&engine.desired(), &kernel.state());
    assert!(plan.is_empty(), "{plan}");
    let plan = engine.audit(&kernel.state());
    assert!(plan.is_empty(), "{plan}");

    // What is closing, or is of UDP, keeps nothing.
    connected(&mut kernel, 0, 1);
    let draining: Vec<_> = engine.draining().collect();
    let plan = engine.drained(&kernel.connections(&draining).unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(by_mark(&kernel), None, "{plan}");
    assert_eq!(engine.draining().count(), 0);
}

/// Those of UDP go on elsewhere at once.
#[test]
fn a_virtual_server_by_mark_of_udp_goes_at_once() {
    let mut engine = Engine::new(host(), config());
    let mut kernel = MemoryKernel::new();
    let udp = crate::split("a", 1, 1).replace("{port: 80", "{protocol: UDP, port: 80");
    let cluster = cluster(&udp);
    engine.change(Change::Services(cluster.services.into_values().collect()));
    engine.change(Change::Slices(cluster.slices.into_values().collect()));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(by_mark(&kernel).unwrap().destinations.len(), 1);
    engine.change(Change::ServiceGone(ObjectName::new("default", "a")));
    let plan = engine.plan();
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(by_mark(&kernel), None, "{plan}");
}

fn by_mark(kernel: &MemoryKernel) -> Option<ObservedServer> {
    let mut servers = kernel.state().servers.into_iter();
    servers.find(|server| matches!(server.id, VirtualServerId::FirewallMark { .. }))
}

/// A range that goes along with the layout has no ports of its own in another one, so nothing of it drains. Found by the property
/// of the engine.
#[test]
fn a_virtual_server_of_ranges_goes_at_once_with_its_layout() {
    let mut kernel = MemoryKernel::new();
    let ranges = service(HTTP).replace(
        "{name: web,",
        "{name: web, annotations: {kube-proxier/ports: 1000-2000/tcp},",
    );
    let cluster = cluster(&format!("{ranges}{}", endpoints(&["10.244.0.2"], TARGET)));
    let desired = proxier::translate(&cluster, &host(), &config());
    assert!(
        kernel
            .apply(&proxier::reconcile(&desired, &kernel.state()))
            .is_ok()
    );
    let mut servers = desired.servers.iter();
    let by_mark = servers.find(|server| matches!(server.id, VirtualServerId::FirewallMark { .. }));
    let by_mark = by_mark.unwrap();
    let open = Connections {
        active: 1,
        ..Connections::default()
    };
    kernel.set_connections(&by_mark.id, &by_mark.destinations[0].id, open);

    let mut engine = Engine::new(
        host(),
        proxier::Config::with_layout(proxier::Layout::Current),
    );
    let without = cluster.services.into_values().map(|mut service| {
        service.options = None;
        service
    });
    engine.change(Change::Services(without.collect()));
    engine.change(Change::Slices(cluster.slices.into_values().collect()));
    let plan = engine.audit(&kernel.observe().unwrap());
    let full = proxier::reconcile(&engine.desired(), &kernel.state());
    assert_eq!(plan.to_string(), full.to_string());
    assert!(plan.to_string().contains("- ipvs      -D -f "), "{plan}");
}
