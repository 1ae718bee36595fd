//! What changes of Services with session affinity over all ports do: plans, and what is left after them.

use ipvs_netlink::VirtualServerId;
use proxier::cluster::Change;
use proxier::nftables::Element;
use proxier::{Engine, Kernel, MemoryKernel, Operation, Plan, reconcile};

use super::super::{cluster, config, host};
use super::{ALL_PORTS, OWN_PORTS, STICKY, all_ports, web};

/// An engine and a kernel that come along with manifests.
struct Served {
    engine: Engine,
    kernel: MemoryKernel,
}

impl Served {
    fn new() -> Self {
        let mut engine = Engine::new(host(), config());
        let mut kernel = MemoryKernel::new();
        let plan = engine.audit(&kernel.observe().unwrap());
        engine.applied(&plan, &kernel.apply(&plan));
        Self { engine, kernel }
    }

    fn set(&mut self, manifests: &str) -> Plan {
        let cluster = cluster(manifests);
        let services = cluster.services.into_values().collect();
        self.engine.change(Change::Services(services));
        let slices = cluster.slices.into_values().collect();
        self.engine.change(Change::Slices(slices));
        let plan = self.engine.plan();
        self.carry_out(&plan);
        plan
    }

    fn carry_out(&mut self, plan: &Plan) {
        let applied = self.kernel.apply(plan);
        assert!(applied.is_ok(), "{:?}", applied.failures);
        self.engine.applied(plan, &applied);
    }

    /// Takes away what has no connections any more.
    fn drain(&mut self) {
        let draining: Vec<_> = self.engine.draining().collect();
        let found = self.kernel.connections(&draining).unwrap();
        let plan = self.engine.drained(&found);
        self.carry_out(&plan);
        let rest = reconcile(&self.engine.desired(), &self.kernel.observe().unwrap());
        assert!(rest.is_empty(), "{rest}");
    }
}

fn place(plan: &Plan, wanted: fn(&Operation) -> bool) -> usize {
    let mut operations = plan.iter().map(|(_, operation)| operation);
    operations.position(wanted).unwrap()
}

fn deletes_a_server(plan: &Plan) -> bool {
    let mut operations = plan.iter().map(|(_, operation)| operation);
    operations.any(|operation| matches!(operation, Operation::DeleteServer(_)))
}

const fn comes_by_mark(operation: &Operation) -> bool {
    let Operation::AddElement { element, .. } = operation else {
        return false;
    };
    matches!(element, Element::PortMark(..))
}

const fn goes_by_mark(operation: &Operation) -> bool {
    let Operation::DeleteElement { element, .. } = operation else {
        return false;
    };
    matches!(element, Element::PortMark(..))
}

const fn comes_by_itself(operation: &Operation) -> bool {
    let Operation::AddElement { element, .. } = operation else {
        return false;
    };
    matches!(element, Element::Service(..))
}

const fn goes_by_itself(operation: &Operation) -> bool {
    let Operation::DeleteElement { element, .. } = operation else {
        return false;
    };
    matches!(element, Element::Service(..))
}

/// Metrics and the page have what it carries under these ports.
#[test]
fn the_virtual_server_is_called_by_its_ports() {
    let mut served = Served::new();
    let annotations = format!("{ALL_PORTS}, kube-proxier/ports: '81/tcp, 10000-20000/udp'");
    let manifests = web(&annotations, STICKY, &["10.244.0.1"], OWN_PORTS);
    served.set(&manifests);
    let engine = &served.engine;
    let mut by_mark = engine
        .servers()
        .filter(|id| matches!(id, VirtualServerId::FirewallMark { .. }));
    let (service, port) = engine.holder(by_mark.next().unwrap()).unwrap();
    assert_eq!(
        (service.name(), port),
        ("web", "80-81/tcp, 443/tcp, 10000-20000/udp")
    );
    assert_eq!(by_mark.next(), None);
}

/// A port is served at every moment, and no virtual server goes that may have connections.
#[test]
fn the_annotation_comes_and_goes() {
    let mut served = Served::new();
    let without = web("", STICKY, &["10.244.0.1"], OWN_PORTS);
    served.set(&without);
    let before = served.kernel.observe().unwrap();

    let plan = served.set(&all_ports("", &["10.244.0.1"]));
    assert!(
        place(&plan, comes_by_mark) < place(&plan, goes_by_itself),
        "{plan}"
    );
    assert!(!deletes_a_server(&plan), "{plan}");

    let plan = served.set(&without);
    assert!(
        place(&plan, comes_by_itself) < place(&plan, goes_by_mark),
        "{plan}"
    );
    assert!(!deletes_a_server(&plan), "{plan}");
    served.drain();
    assert_eq!(served.kernel.observe().unwrap(), before);
}

/// Its packets come no more.
#[test]
fn the_virtual_server_goes_with_its_service() {
    let mut served = Served::new();
    let empty = served.kernel.observe().unwrap();
    for spec in [
        "",
        "externalIPs: [203.0.113.7], externalTrafficPolicy: Local",
    ] {
        served.set(&all_ports(spec, &["10.244.0.1"]));
        served.set("");
        assert_eq!(served.kernel.observe().unwrap(), empty);
    }
}

/// From outside, a port by itself has a virtual server by mark too.
#[test]
fn the_policy_and_the_annotation_change_at_once() {
    let mut served = Served::new();
    let local = "externalIPs: [203.0.113.7], externalTrafficPolicy: Local";
    let alone = format!("{STICKY}, externalIPs: [203.0.113.7]");
    let alone = web("", &alone, &["10.244.0.1"], OWN_PORTS);
    served.set(&all_ports(local, &["10.244.0.1"]));
    let plan = served.set(&alone);
    assert!(!deletes_a_server(&plan), "{plan}");
    served.drain();
}
