//! Elements that the kernel refuses.

use std::collections::{BTreeMap, BTreeSet};

use kernel_test::{cmd, cmd_input};
use proxier::cluster::Family;
use proxier::kernel::{Applied, Failure, FailureReason};
use proxier::nftables::Element;
use proxier::{
    Config, Kernel as _, KernelErrorKind, Layout, Operation, Plan, reconcile, translate,
};
use proxier_linux::LinuxKernel;

const SERVICES: usize = 20;

/// So many Services, number 3 with source ranges at its load balancer address.
fn manifest(number: usize) -> String {
    let mut all = String::from("apiVersion: v1\nkind: Node\nmetadata: {name: node-a}\n");
    for n in 0..number {
        let ranges = if n == 3 {
            "loadBalancerSourceRanges: [10.1.0.0/16, 'fd00:1::/32'], "
        } else {
            ""
        };
        all += &format!(
            "---
apiVersion: v1
kind: Service
metadata: {{name: s{n}}}
spec: {{type: LoadBalancer, clusterIP: 10.96.0.{ip}, clusterIPs: [10.96.0.{ip}, 'fd00:10:96::{ip}'], {ranges}ipFamilies: [IPv4, IPv6], ports: [{{port: 80, protocol: TCP}}]}}
status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.{ip}}}, {{ip: '2001:db8:100::{ip}'}}]}}}}
",
            ip = n + 1,
        );
        for (family, name, address) in [
            ("IPv4", "v4", "10.244.2.6"),
            ("IPv6", "v6", "fd00:10:244:2::6"),
        ] {
            all += &format!(
                "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s{n}-{name}, labels: {{kubernetes.io/service-name: s{n}}}}}
addressType: {family}
endpoints: [{{addresses: ['{address}'], nodeName: node-b}}]
ports: [{{port: 8080, protocol: TCP}}]
",
            );
        }
    }
    all
}

fn plan(kernel: &mut LinuxKernel, number: usize) -> Plan {
    let reading = proxier_manifest::read_cluster("s", manifest(number).as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    let host = kernel.host("node-a").unwrap();
    let config = Config::with_layout(Layout::Nftables);
    let desired = translate(&reading.cluster, &host, &config);
    assert_eq!(desired.conflicts, []);
    reconcile(&desired, &kernel.observe().unwrap())
}

/// An element of a family's table.
type Entry = (Family, Element);

/// The elements that were refused, and why.
fn refused(applied: &Applied) -> BTreeMap<Entry, KernelErrorKind> {
    let of = |failure: &Failure| match (&failure.operation, &failure.reason) {
        (Operation::AddElement { family, element }, FailureReason::Refused(error)) => {
            ((*family, *element), error.kind)
        }
        _ => panic!("{failure}"),
    };
    applied.failures.iter().map(of).collect()
}

fn added(plan: &Plan) -> impl Iterator<Item = Entry> {
    plan.iter().filter_map(|(_, operation)| match operation {
        Operation::AddElement { family, element } => Some((*family, *element)),
        _ => None,
    })
}

fn elements(kernel: &mut LinuxKernel) -> BTreeSet<Entry> {
    let tables = kernel.observe().unwrap().tables;
    let of = |family: Family| {
        let table = tables.get(family).clone().unwrap();
        table.elements.into_iter().map(move |one| (family, one))
    };
    Family::ALL.into_iter().flat_map(of).collect()
}

/// Changes what the table has after a plan was made, applies the plan, and expects that in each family just so many
/// elements fail. The next plan finishes what was left.
#[track_caller]
fn others_change(change: impl Fn(&str), expected: &[KernelErrorKind]) {
    let mut kernel = crate::proxy::open(Layout::Nftables);
    let first = plan(&mut kernel, 1);
    assert!(kernel.apply(&first).failures.is_empty());
    let all = plan(&mut kernel, SERVICES);
    for family in ["ip", "ip6"] {
        change(family);
    }
    let refused = refused(&kernel.apply(&all));
    for family in Family::ALL {
        let of_family = refused.iter().filter(|((of, _), _)| *of == family);
        let kinds: Vec<_> = of_family.map(|(_, kind)| *kind).collect();
        assert_eq!(kinds, expected, "{refused:?}");
    }
    let there = elements(&mut kernel);
    for entry in added(&all).filter(|entry| !refused.contains_key(entry)) {
        assert!(there.contains(&entry), "{entry:?}");
    }
    // What the others did goes, and what was left comes.
    let next = plan(&mut kernel, SERVICES);
    let is_there = |entry: &Entry| there.contains(entry);
    assert_eq!(next.is_empty(), refused.keys().all(is_there));
    assert!(kernel.apply(&next).failures.is_empty());
    let none = plan(&mut kernel, SERVICES);
    assert!(none.is_empty(), "{none}");
    cmd("ipvsadm -C; nft flush ruleset");
}

/// For each way in which the kernel refuses an element.
pub(crate) fn costs_only_its_own_service() {
    use KernelErrorKind::{Exists, Full};

    let address = |family: &str, v4: &str, v6: &str| match family {
        "ip" => v4.to_owned(),
        _ => v6.to_owned(),
    };
    // A range that overlaps one of others.
    others_change(
        |family| {
            let at = address(family, "198.51.100.4", "2001:db8:100::4");
            let range = address(family, "10.0.0.0/8", "fd00::/8");
            cmd(&format!(
                "nft add element {family} kube-proxier source-ranges '{{ {at} . tcp . 80 . {range} }}'"
            ));
        },
        &[Exists],
    );
    // The same element.
    others_change(
        |family| {
            let at = address(family, "198.51.100.9", "2001:db8:100::9");
            cmd(&format!(
                "nft add element {family} kube-proxier external '{{ {at} . tcp . 80 }}'"
            ));
        },
        &[Exists],
    );
    // A set that others have made so small that all but two find no room.
    others_change(
        |family| {
            let listing = cmd(&format!("nft list table {family} kube-proxier"));
            let (before, set) = listing.split_once("set services {").unwrap();
            let set = set.replacen("inet_service\n", "inet_service\nsize 18\n", 1);
            cmd(&format!("nft delete table {family} kube-proxier"));
            cmd_input("nft -f -", &format!("{before}set services {{{set}"));
        },
        &[Full, Full],
    );
}
