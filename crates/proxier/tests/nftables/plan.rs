//! The order of plans.

use proxier::cluster::Cluster;
use proxier::kernel::FailureReason;
use proxier::{
    Config, Kernel, KernelError, KernelErrorKind, KernelPart, MemoryKernel, Operation, Phase, Plan,
    reconcile, translate,
};

use super::{cluster, config, endpoints, host, service};

/// A kernel that serves a cluster.
fn serving(cluster: &Cluster, config: &Config) -> MemoryKernel {
    let mut kernel = MemoryKernel::new();
    let plan = plan(&mut kernel, cluster, config);
    assert!(kernel.apply(&plan).is_ok());
    kernel
}

fn plan(kernel: &mut MemoryKernel, cluster: &Cluster, config: &Config) -> Plan {
    let desired = translate(cluster, &host(), config);
    reconcile(&desired, &kernel.observe().unwrap())
}

/// The lines of a plan without sysctls and rules of chains, each with its phase.
fn lines(plan: &Plan) -> Vec<String> {
    let shown = plan.iter().filter(|(_, operation)| {
        !matches!(
            operation,
            Operation::SetSysctl { .. } | Operation::SetTimeouts(_)
        )
    });
    shown
        .flat_map(|(phase, operation)| {
            operation
                .lines()
                .into_iter()
                .filter(|line| !line.text.starts_with("rule "))
                .map(move |line| format!("{phase:?}: {line}"))
        })
        .collect()
}

const HTTP: &str = "ports: [{port: 80}]";

/// A cluster with the Service `web` and its endpoint on this node.
fn web() -> Cluster {
    let port = "{port: 8080}";
    cluster(&format!(
        "{}{}",
        service(HTTP),
        endpoints(&["10.244.0.1"], port)
    ))
}

#[test]
fn from_nothing_routing_comes_first_and_elements_come_last() {
    let mut host = host();
    host.ipv6 = false;
    let desired = translate(&web(), &host, &config());
    let plan = reconcile(&desired, &MemoryKernel::new().state());
    let expected = [
        "Prepare: + route     local 0.0.0.0/0 table 8192 proto 77 dev lo",
        "Prepare: + rule      priority 77 iif lo fwmark 0x2000/0x2000 table main protocol 77",
        "Prepare: + rule      priority 78 fwmark 0x2000/0x2000 table 8192 protocol 77",
        "Serve: + ipvs      -A -t 10.0.0.7:80 -s rr -b flag-3",
        "Serve: + ipvs      -a -t 10.0.0.7:80 -r 10.244.0.1:8080 -m -w 1",
        "Map: + nft       table ip kube-proxier",
        "Map: + nft       element ip kube-proxier hairpin { 10.244.0.1 . 10.244.0.1 }",
        "Map: + nft       element ip kube-proxier cluster-ips { 10.0.0.7 }",
        "Map: + nft       element ip kube-proxier node-addresses { 192.168.10.10 }",
        "Map: + nft       element ip kube-proxier services { 10.0.0.7 . tcp . 80 }",
    ];
    assert_eq!(lines(&plan), expected);
}

#[test]
fn a_service_that_goes_loses_its_element_first() {
    let mut kernel = serving(&web(), &config());
    let plan = plan(&mut kernel, &cluster(""), &config());
    let expected = [
        "Map: - nft       element ip kube-proxier services { 10.0.0.7 . tcp . 80 }",
        "Map: - nft       element ip kube-proxier cluster-ips { 10.0.0.7 }",
        "Map: - nft       element ip kube-proxier hairpin { 10.244.0.1 . 10.244.0.1 }",
        "Retire: - ipvs      -D -t 10.0.0.7:80",
    ];
    assert_eq!(lines(&plan), expected);
}

/// Services with a node port each and `externalTrafficPolicy: Local`, the first the oldest.
fn split(names: &[(&str, u8)]) -> Cluster {
    let manifests = names.iter().map(|(name, n)| crate::split(name, *n, *n));
    cluster(&manifests.collect::<String>())
}

/// The only mark goes from the Service `b` to the older `a`: until it has its own endpoints alone, nobody's packets have
/// it.
#[test]
fn a_mark_that_another_service_gets_is_taken_away_first() {
    let mut config = config();
    config.nftables.service_marks = 0x1;
    let mut kernel = serving(&split(&[("b", 2)]), &config);
    let plan = plan(&mut kernel, &split(&[("a", 1), ("b", 2)]), &config);
    let of_mark: Vec<_> = lines(&plan)
        .into_iter()
        .filter(|line| line.contains("-f 1") || line.contains("node-port"))
        .collect();
    let expected = [
        "Fill: - nft       element ip kube-proxier node-port-marks { tcp . 30082 : 0x00000001 }",
        "Serve: + ipvs      -a -f 1 -r 10.244.0.1:8080 -m -w 1",
        "Serve: - ipvs      -d -f 1 -r 10.244.0.2:8080",
        "Map: + nft       element ip kube-proxier node-port-marks { tcp . 30081 : 0x00000001 }",
        "Map: + nft       element ip kube-proxier node-ports-local { tcp . 30081 }",
        "Map: ~ nft       element ip kube-proxier node-ports { tcp . 30082 } (was in node-ports-local)",
    ];
    assert_eq!(of_mark, expected);
}

/// A mark that nobody else gets moves without a gap.
#[test]
fn a_mark_that_is_free_moves_after_its_virtual_server() {
    let mut config = config();
    config.nftables.service_marks = 0x1;
    let mut kernel = serving(&split(&[("b", 2)]), &config);
    config.nftables.service_marks = 0x8;
    let plan = plan(&mut kernel, &split(&[("b", 2)]), &config);
    let of_mark: Vec<_> = lines(&plan)
        .into_iter()
        .filter(|line| !line.contains("table ip"))
        .collect();
    let expected = [
        "Serve: + ipvs      -A -f 8 -s rr -b flag-3",
        "Serve: + ipvs      -a -f 8 -r 10.244.0.2:8080 -m -w 1",
        "Map: + nft       element ip kube-proxier node-port-marks { tcp . 30082 : 0x00000008 }",
        "Retire: - ipvs      -D -f 1",
    ];
    // The bits are part of the rules: both tables are written anew, with all that stays.
    let tables = plan.phase(Phase::Map).iter();
    let written = tables.filter(|operation| matches!(operation, Operation::WriteTable(_)));
    assert_eq!(written.count(), 2);
    let tables = [
        "~ nft       table ip kube-proxier",
        "~ nft       table ip6 kube-proxier",
    ];
    let of_mark: Vec<_> = of_mark
        .into_iter()
        .filter(|line| !tables.iter().any(|table| line.ends_with(table)))
        .collect();
    assert_eq!(of_mark, expected);
}

#[test]
fn a_source_range_makes_room_for_one_that_overlaps_it() {
    let of = |ranges: &str| {
        let spec = format!("type: LoadBalancer, {HTTP}, loadBalancerSourceRanges: [{ranges}]");
        cluster(&format!(
            "{}status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.7}}]}}}}\n",
            service(&spec)
        ))
    };
    let mut kernel = serving(&of("10.0.0.0/8, 192.0.2.0/24"), &config());
    let plan = plan(&mut kernel, &of("10.1.0.0/16, 172.16.0.0/12"), &config());
    let at = "element ip kube-proxier source-ranges { 198.51.100.7 . tcp . 80 .";
    let expected = [
        format!("Map: - nft       {at} 10.0.0.0/8 }}"),
        format!("Map: + nft       {at} 10.1.0.0/16 }}"),
        format!("Map: + nft       {at} 172.16.0.0/12 }}"),
        format!("Map: - nft       {at} 192.0.2.0/24 }}"),
    ];
    assert_eq!(lines(&plan), expected);
    assert!(kernel.apply(&plan).is_ok());
}

/// The phase of each operation of a plan, and the part of the kernel that it changes.
fn parts(plan: &Plan) -> Vec<(Phase, KernelPart)> {
    let step = |(phase, operation)| (phase, KernelPart::of(operation));
    plan.iter().map(step).collect()
}

/// Where the first operation on a part is in a phase.
fn first(order: &[(Phase, KernelPart)], part: KernelPart, phase: Phase) -> usize {
    let mut order = order.iter();
    order.position(|step| *step == (phase, part)).unwrap()
}

/// Both layouts serve until the one that comes does so alone.
#[test]
fn moving_from_and_to_current_leaves_no_gap() {
    let current = Config::default();
    let mut kernel = serving(&web(), &current);
    let to_tables = plan(&mut kernel, &web(), &config());
    let order = parts(&to_tables);
    let at = |part, phase| first(&order, part, phase);
    let last = |part, phase| {
        order
            .iter()
            .rposition(|step| *step == (phase, part))
            .unwrap()
    };
    let mapped = last(KernelPart::Nftables, Phase::Map);
    assert!(at(KernelPart::Ipvs, Phase::Serve) < at(KernelPart::Nftables, Phase::Map));
    assert!(mapped < at(KernelPart::Links, Phase::Unbind));
    assert!(mapped < at(KernelPart::Rules, Phase::Trim));
    assert!(mapped < at(KernelPart::Ipset, Phase::Destroy));
    // Not made anew: its connections go on.
    let of_server = lines(&to_tables);
    let of_server: Vec<_> = of_server
        .iter()
        .filter(|line| line.contains(" ipvs   "))
        .collect();
    assert_eq!(
        of_server,
        ["Serve: ~ ipvs      -E -t 10.0.0.7:80 -s rr -b flag-3"]
    );
    assert!(kernel.apply(&to_tables).is_ok());
    let state = kernel.state();
    assert!(state.sets.is_empty() && state.addresses.is_none());
    assert!(state.rules.v4.tables.iter().all(|table| {
        let mut chains = table.chains.iter();
        chains.all(|chain| chain.rules.is_empty() && !chain.name.as_str().starts_with("KUBE"))
    }));

    let back = plan(&mut kernel, &web(), &current);
    let order = parts(&back);
    let at = |part, phase| first(&order, part, phase);
    assert!(at(KernelPart::Links, Phase::Bind) < at(KernelPart::Nftables, Phase::Map));
    assert!(at(KernelPart::Nftables, Phase::Map) < at(KernelPart::Routing, Phase::Destroy));
    assert!(kernel.apply(&back).is_ok());
    assert_eq!(kernel.state(), serving(&web(), &current).state());
}

/// Carries a plan out while one kind of operation fails; gives the lines of what was skipped for its sake.
fn skipped(kernel: &mut MemoryKernel, plan: &Plan, fails: fn(&Operation) -> bool) -> Vec<String> {
    kernel.fail_with(Some(Box::new(move |operation| {
        let part = KernelPart::of(operation);
        fails(operation).then(|| KernelError::new(part, KernelErrorKind::Invalid, "by the test"))
    })));
    let applied = kernel.apply(plan);
    kernel.fail_with(None);
    let skipped = applied
        .failures
        .iter()
        .filter(|failure| matches!(failure.reason, FailureReason::Skipped { .. }));
    skipped
        .map(|failure| failure.operation.to_string())
        .collect()
}

#[test]
fn an_element_is_not_added_without_its_virtual_server() {
    let mut kernel = serving(&cluster(""), &config());
    let plan = plan(&mut kernel, &split(&[("a", 1), ("b", 2)]), &config());
    let left = skipped(
        &mut kernel,
        &plan,
        |operation| matches!(operation, Operation::AddServer { id, .. } if id.to_string() == "-t 10.0.0.1:80"),
    );
    assert_eq!(
        left,
        [
            "+ ipvs      -a -t 10.0.0.1:80 -r 10.244.0.1:8080 -m -w 1",
            "+ nft       element ip kube-proxier services { 10.0.0.1 . tcp . 80 }"
        ]
    );
    // The others of the same transaction are there.
    let elements = kernel.state().tables.v4.unwrap().elements;
    assert!(
        elements
            .iter()
            .any(|element| element.to_string() == "10.0.0.2 . tcp . 80")
    );
}

#[test]
fn a_node_port_of_a_local_policy_is_not_added_without_its_mark() {
    let mut kernel = serving(&cluster(""), &config());
    let plan = plan(&mut kernel, &split(&[("a", 1)]), &config());
    let left = skipped(
        &mut kernel,
        &plan,
        |operation| matches!(operation, Operation::AddServer { id, .. } if id.to_string().starts_with("-f")),
    );
    let of_elements: Vec<_> = left.iter().filter(|line| line.contains("nft")).collect();
    assert_eq!(of_elements.len(), 2, "{left:?}");
    assert!(of_elements[0].contains("node-port-marks"));
    assert!(of_elements[1].contains("node-ports-local { tcp . 30081 }"));
}

#[test]
fn a_virtual_server_stays_while_its_element_does() {
    let mut kernel = serving(&web(), &config());
    let plan = plan(&mut kernel, &cluster(""), &config());
    let left = skipped(
        &mut kernel,
        &plan,
        |operation| matches!(operation, Operation::DeleteElement { element, .. } if element.to_string() == "10.0.0.7 . tcp . 80"),
    );
    assert_eq!(left, ["- ipvs      -D -t 10.0.0.7:80"]);
}

#[test]
fn what_current_made_stays_while_the_table_cannot_be_written() {
    let mut kernel = serving(&web(), &Config::default());
    let before = kernel.state();
    let plan = plan(&mut kernel, &web(), &config());
    skipped(&mut kernel, &plan, |operation| {
        matches!(operation, Operation::WriteTable(_))
    });
    let after = kernel.state();
    assert_eq!(after.sets, before.sets);
    assert_eq!(after.rules, before.rules);
    assert_eq!(after.addresses, before.addresses);
}

#[test]
fn cleanup_takes_all_of_it_and_routing_last() {
    let mut kernel = serving(&split(&[("a", 1)]), &config());
    let host = host();
    let state = kernel.state();
    let nothing = proxier::Desired::nothing(&state, &host);
    let plan = reconcile(&nothing, &state);
    let phases: Vec<_> = plan
        .iter()
        .map(|(phase, operation)| (phase, KernelPart::of(operation)))
        .collect();
    assert_eq!(phases.last(), Some(&(Phase::Destroy, KernelPart::Routing)));
    assert!(kernel.apply(&plan).is_ok());
    let end = kernel.state();
    assert!(end.servers.is_empty() && end.tables.v4.is_none() && end.tables.v6.is_none());
    assert_eq!(end.routing, proxier::nftables::Routing::default());
}
