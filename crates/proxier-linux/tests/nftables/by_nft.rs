//! Iptables mode by the iptables of nft, where it differs from the legacy one.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::process::Command;
use std::time::Duration;

use iptables_restore::{Error, RejectReason, RestoreInput, TableName, ToolFinder};
use ipvs_netlink::Protocol;
use kernel_test::cmd;
use proxier::cluster::{
    Cluster, Endpoint, EndpointPort, EndpointSlice, Family, ObjectName, Service, ServicePort,
};
use proxier::{Config, Kernel, Layout, NodePortAddresses, Operation, reconcile, translate};

use crate::proxy::{Node, Web, open};
use scenarios::topology::NODE;

/// A Service loses its last endpoint in the sync that writes anew the chain that leads to it. This back end cannot delete a
/// rule that was written since the last commit.
pub(crate) fn a_rule_goes_from_a_chain_that_is_written_anew() {
    let mut node = Node::unconnected(Config::with_layout(Layout::Iptables));
    node.set(&Web::new());
    let own = NODE.of(Family::V4).into();
    node.config.node_port_addresses = NodePortAddresses::Within(vec![own]);
    let plan = node.set(&Web::on(&[]));
    assert!(!plan.is_empty());
    assert!(node.set(&Web::on(&[])).is_empty());
}

/// What the kernel is asked for in the place of running the tools of both back ends has the same answer: tables without rules are
/// nothing, a rule is, a chain alone is not, a kubelet's is more than any rule.
pub(crate) fn the_back_end_in_use_is_the_one_that_the_tools_find() {
    for step in [
        "true",
        "iptables-legacy -t nat -L -n && iptables-legacy -t filter -L -n",
        "iptables-legacy -t filter -N ALONE",
        "iptables-nft -t filter -N ALONE",
        "iptables-legacy -t filter -A OUTPUT -j ALONE",
        "iptables-nft -t filter -A OUTPUT -j ALONE && iptables-nft -t filter -A INPUT -j ALONE",
        "iptables-legacy -t mangle -N KUBE-KUBELET-CANARY",
        "iptables-legacy -t mangle -X && iptables-legacy -t filter -F && iptables-legacy -t filter -X",
    ] {
        cmd(step);
        for family in Family::ALL {
            let by_tools = ToolFinder::new().find_in_use(family).unwrap().backend();
            let mut kernel = open(Layout::Iptables);
            // Opening waits for seven seconds, which is not enough on a busy machine; reading waits longer.
            kernel.observe().unwrap();
            let opened = kernel.tools().get(family).unwrap().backend();
            assert_eq!(opened, by_tools, "after {step}: {family:?}");
        }
    }
}

/// All Services of a cluster where the tool may send short messages only, as in a user namespace: they are restored in
/// parts, and none is to blame.
pub(crate) fn too_many_lines_for_one_message() {
    let program = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(program)
        .env(crate::IN_A_USER_NAMESPACE, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

/// In the process that this is tried in.
pub(crate) fn in_a_user_namespace() {
    let config = Config::with_layout(Layout::Iptables);
    let mut kernel = open(config.layout);
    let host = kernel.host("node-a").unwrap();
    let desired = translate(&many_services(), &host, &config);
    let plan = reconcile(&desired, &kernel.observe().unwrap());
    let mut at_once = RestoreInput::new();
    for (_, operation) in plan.iter() {
        let Operation::RestoreRules(change) = operation else {
            continue;
        };
        for table in change.input.tables() {
            if change.family == Family::V4 && *table.name() == TableName::Nat {
                at_once.table(TableName::Nat).extend(table);
            }
        }
    }
    // An emulated machine that does something else may take longer than the tools are given by themselves.
    let tools = ToolFinder::new().find_in_use(Family::V4).unwrap();
    let refused = tools.time_limit(Duration::from_secs(120)).restore(&at_once);
    let Err(Error::Rejected(rejection)) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(rejection.reason, RejectReason::TooLong);
    let applied = kernel.apply(&plan);
    let failures: Vec<_> = applied.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let left = reconcile(&desired, &kernel.observe().unwrap()).to_string();
    assert!(left.is_empty(), "{left}");
}

fn many_services() -> Cluster {
    let mut cluster = Cluster::default();
    let port = NonZeroU16::new(80).unwrap();
    for number in 0..600_u32 {
        let name = format!("service-{number}");
        let address = |network: u32| Ipv4Addr::from((network << 24) + number + 1).into();
        let mut service = Service::new(ObjectName::new("many", &name), vec![address(10)]);
        let http = ServicePort::new("http", Protocol::TCP, port);
        service.ports.push(http);
        let slice = EndpointSlice::new(ObjectName::new("many", &name), name, Family::V4)
            .with_ports([EndpointPort::new("http", Protocol::TCP, port)])
            .with_endpoints([Endpoint::ready(address(100)).on("node-b")]);
        cluster.add_service(service);
        cluster.add_slice(slice);
    }
    cluster
}
