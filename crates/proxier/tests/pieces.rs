//! Plans in pieces.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipvs_netlink::Protocol;
use proxier::cluster::{
    Change, Endpoint, EndpointPort, EndpointSlice, Family, Host, ObjectName, Service, ServicePort,
};
use proxier::{
    Config, Engine, Kernel, KernelError, KernelErrorKind, KernelPart, Layout, MemoryKernel,
    Operation, Phase, Plan,
};

const SERVICES: u8 = 60;
const ENDPOINTS: u8 = 5;
const LIMIT: usize = 40;

/// An engine that has been told of a cluster.
fn engine(limit: Option<usize>) -> Engine {
    let mut engine = Engine::new(Host::new("node-a"), Config::default());
    engine.limit_plans(limit);
    let port = 80.try_into().unwrap();
    for n in 1..=SERVICES {
        let name = |what: &str| ObjectName::new("default", format!("{what}-{n}"));
        let mut service = Service::new(name("web"), vec![Ipv4Addr::new(10, 96, 0, n).into()]);
        service.ports = vec![ServicePort::new("http", Protocol::TCP, port)];
        engine.change(Change::Service(Box::new(service)));
        let endpoints: Vec<_> = (1..=ENDPOINTS)
            .map(|of| Endpoint::ready(Ipv4Addr::new(10, 244, n, of).into()))
            .collect();
        let slice = EndpointSlice::new(name("slice"), format!("web-{n}"), Family::V4)
            .with_ports(vec![EndpointPort::new("http", Protocol::TCP, port)])
            .with_endpoints(endpoints);
        engine.change(Change::Slice(Box::new(slice)));
    }
    engine
}

/// Carries out a plan and those that it goes on in.
fn carry_out(engine: &mut Engine, kernel: &mut MemoryKernel, first: Plan) -> Vec<Plan> {
    let mut pieces = vec![first];
    loop {
        let plan = pieces.last().unwrap();
        engine.applied(plan, &kernel.apply(plan));
        if !engine.has_more() {
            return pieces;
        }
        pieces.push(engine.plan());
    }
}

#[test]
fn a_first_sync_comes_in_pieces_of_bounded_length() {
    let mut kernel = MemoryKernel::new();
    let mut whole = engine(None);
    let plan = whole.audit(&kernel.observe().unwrap());
    assert!(!whole.has_more());

    let mut engine = engine(Some(LIMIT));
    let first = engine.audit(&kernel.observe().unwrap());
    let pieces = carry_out(&mut engine, &mut kernel, first);
    let members = |plan: &Plan| {
        let operations = plan.iter().map(|(_, operation)| operation);
        let added = operations.filter(|operation| matches!(operation, Operation::AddEntry { .. }));
        added.count()
    };
    assert!(pieces.iter().all(|plan| members(plan) <= LIMIT));
    // Each Service has a member in two sets.
    let filling = usize::from(SERVICES) * 2 / LIMIT;
    let (fill, serve) = pieces.split_at(filling - 1);
    assert!(fill.iter().all(|plan| members(plan) == LIMIT));
    assert!(fill.iter().all(|plan| plan.phase(Phase::Rules).is_empty()));
    let served = |plan: &Plan| plan.phase(Phase::Serve).len();
    assert!(fill.iter().all(|plan| served(plan) == 0));
    let most = LIMIT + usize::from(ENDPOINTS);
    let binding = usize::from(SERVICES).div_ceil(LIMIT);
    let (serve, bind) = serve.split_at(serve.len() - (binding - 1));
    assert!(serve.iter().all(|plan| (1..=most).contains(&served(plan))));
    let bound = |plan: &Plan| plan.phase(Phase::Bind).len();
    let (last_servers, others) = serve.split_last().unwrap();
    assert!(fill.iter().chain(others).all(|plan| bound(plan) == 0));
    assert_eq!(bound(last_servers), LIMIT);
    assert!(bind.iter().all(|plan| served(plan) == 0));
    assert!(bind.iter().all(|plan| (1..=LIMIT).contains(&bound(plan))));
    for phase in Phase::ALL {
        let all = pieces.iter().flat_map(|piece| piece.phase(phase));
        assert!(all.eq(plan.phase(phase)), "{phase:?}");
    }
    assert!(engine.plan().is_empty());
    // One that takes up where all is as it should be has nothing to add.
    assert!(engine.audit(&kernel.observe().unwrap()).is_empty());
}

#[test]
fn what_changes_or_fails_meanwhile_comes_with_the_last_piece() {
    let mut kernel = MemoryKernel::new();
    let mut engine = engine(Some(LIMIT));
    let mut plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    while plan.phase(Phase::Serve).is_empty() {
        plan = engine.plan();
        engine.applied(&plan, &kernel.apply(&plan));
    }
    engine.change(Change::ServiceGone(ObjectName::new("default", "web-1")));
    let second = engine.plan();
    assert!(second.phase(Phase::Retire).is_empty() && engine.has_more());
    let refused = |operation: &Operation| {
        matches!(operation, Operation::AddServer { .. }).then(|| {
            let part = KernelPart::of(operation);
            KernelError::new(part, KernelErrorKind::Other, "not today")
        })
    };
    kernel.fail_with(Some(Box::new(refused)));
    engine.applied(&second, &kernel.apply(&second));
    kernel.fail_with(None);
    assert!(engine.has_more());
    let last = engine.plan();
    engine.applied(&last, &kernel.apply(&last));
    assert!(!engine.has_more());
    assert_eq!(last.phase(Phase::Retire).len(), 1);
    let servers = usize::from(SERVICES) - 1;
    assert_eq!(
        kernel.server_counts(),
        (servers, servers * usize::from(ENDPOINTS))
    );
    assert!(engine.plan().is_empty());
}

#[test]
fn after_a_member_that_is_refused_the_rest_comes_at_once() {
    let mut kernel = MemoryKernel::new();
    let mut engine = engine(Some(LIMIT));
    let first = engine.audit(&kernel.observe().unwrap());
    engine.applied(&first, &kernel.apply(&first));
    let second = engine.plan();
    let member = |operation: &&Operation| matches!(operation, Operation::AddEntry { .. });
    let operations = second.iter().map(|(_, operation)| operation);
    let one = operations.filter(member).nth(1).unwrap().clone();
    let refused = one.clone();
    kernel.fail_with(Some(Box::new(move |operation| {
        (*operation == refused).then(|| {
            let part = KernelPart::of(operation);
            KernelError::new(part, KernelErrorKind::Other, "not today")
        })
    })));
    engine.applied(&second, &kernel.apply(&second));
    kernel.fail_with(None);
    assert!(engine.has_more());
    let last = engine.plan();
    assert!(last.phase(Phase::Fill).contains(&one));
    engine.applied(&last, &kernel.apply(&last));
    assert!(!engine.has_more());
    assert!(engine.plan().is_empty());
    let servers = usize::from(SERVICES);
    assert_eq!(
        kernel.server_counts(),
        (servers, servers * usize::from(ENDPOINTS))
    );
}

/// Gives the slice of a Service its endpoints at another port.
fn moved(n: u8) -> Change {
    let name = ObjectName::new("default", format!("slice-{n}"));
    let port = EndpointPort::new("http", Protocol::TCP, 8080.try_into().unwrap());
    let slice = EndpointSlice::new(name, format!("web-{n}"), Family::V4)
        .with_ports([port])
        .with_endpoints([Endpoint::ready(Ipv4Addr::new(10, 244, n, 1).into())]);
    Change::Slice(Box::new(slice))
}

#[test]
fn changes_of_slices_come_so_many_at_a_time() {
    const AT_A_TIME: usize = 7;
    let mut kernel = MemoryKernel::new();
    let mut engine = engine(None);
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));

    engine.limit_changes(Some(AT_A_TIME));
    (1..=SERVICES).for_each(|n| engine.change(moved(n)));
    let first = engine.plan();
    let pieces = carry_out(&mut engine, &mut kernel, first);
    let servers = |plan: &Plan| {
        let all = plan.iter().filter_map(|(_, operation)| operation.server());
        all.copied().collect::<BTreeSet<_>>()
    };
    let counts: Vec<_> = pieces.iter().map(|plan| servers(plan).len()).collect();
    assert_eq!(counts.len(), usize::from(SERVICES).div_ceil(AT_A_TIME));
    let (last, full) = counts.split_last().unwrap();
    assert!(full.iter().all(|count| *count == AT_A_TIME), "{counts:?}");
    assert_eq!(
        full.len() * AT_A_TIME + last,
        usize::from(SERVICES),
        "each comes once"
    );
    assert!(engine.plan().is_empty());

    // What Services have in common moves with those that change themselves: then all is one plan.
    for n in 1..=SERVICES {
        let name = ObjectName::new("default", format!("slice-{n}"));
        engine.change(Change::SliceGone(name));
    }
    engine.change(Change::ServiceGone(ObjectName::new("default", "web-1")));
    let whole = engine.plan();
    assert!(!engine.has_more());
    assert_eq!(servers(&whole).len(), usize::from(SERVICES));
}

#[test]
fn in_iptables_mode_all_changes_come_at_once() {
    let mut kernel = MemoryKernel::new();
    let mut engine = engine(None);
    engine.set_config(Config::with_layout(Layout::Iptables));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    engine.limit_changes(Some(1));
    (1..=SERVICES).for_each(|n| engine.change(moved(n)));
    let plan = engine.plan();
    assert!(!plan.is_empty() && !engine.has_more());
}
