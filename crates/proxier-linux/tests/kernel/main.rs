//! `LinuxKernel` on a real kernel: every scenario, every step, read back with the reference tools; scenarios
//! again from others' end states; and cleaning up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod calls;
mod errors;
mod iptables_mode;
mod options;
mod signs;
mod trace;

use std::process::ExitCode;
use std::time::Duration;

use kernel_test::{Test, cmd, iptables_flavour, tests};
use proxier::cluster::{Change, Cluster};
use proxier::{
    Config, Desired, DetectLocal, Engine, Kernel, KernelErrorKind, KernelPart, Layout, Observed,
    Operation, reconcile, translate,
};
use proxier_linux::LinuxKernel;
use proxier_manifest::Snapshot;

use scenarios::{Scenario, Step, all, compare, compare_objects, tools};

/// The layouts of which kube-proxy's state was measured.
const MEASURED: [Layout; 3] = [Layout::Current, Layout::Classic, Layout::Iptables];

fn main() -> ExitCode {
    let each = MEASURED.into_iter().flat_map(|layout| {
        all(layout).into_iter().map(move |scenario| {
            Test::new(format!("scenario::{}", scenario.name), move || {
                run(&scenario, layout);
            })
        })
    });
    // The first covers every scenario from two others; all pairs, which take a quarter of an hour, are for
    // `cargo test -p proxier --features linux --test kernel -- --ignored`. In memory all are always tried.
    let from_others = MEASURED.into_iter().flat_map(|layout| {
        let name = |extent: &str| format!("from_other_scenarios::{}::{extent}", layout.as_str());
        let long = Duration::from_secs(3600);
        [
            Test::new(name("some"), move || tour(layout, &[1, 3])).time_limit(long),
            Test::new(name("all"), move || tour(layout, &[]))
                .time_limit(long)
                .ignored(),
        ]
    });
    let others = tests![
        what_is_written_is_read_back,
        cleaning_up_leaves_what_is_foreign,
        a_failure_is_told_and_made_good,
        without_ipv6_the_rest_is_served,
        calls::a_change_costs_few_system_calls,
        errors::of_one_kind_in_both_kernels,
        a_link_of_another_kind_is_somebody_elses,
        addresses_of_a_renamed_link_are_not_the_nodes,
        others_virtual_servers_stay,
        errors::without_permission_of_one_kind,
        iptables_mode::a_refused_line_keeps_its_service_waiting_and_no_other,
        iptables_mode::a_sync_is_one_run_of_the_tool,
        options::options_are_read_back_by_ipvsadm,
        signs::a_few_virtual_servers_are_looked_at_by_themselves
    ];
    kernel_test::main(each.chain(from_others).chain(others))
}

/// This machine's kernel, on which tools may be slow: guests share a processor with builds.
fn kernel() -> LinuxKernel {
    LinuxKernel::open().unwrap().with_patience(PATIENCE)
}

/// This machine's kernel with all of a cluster in it.
fn programmed(cluster: &Cluster) -> (LinuxKernel, Engine) {
    let mut kernel = kernel();
    let mut engine = Engine::new(kernel.host("node-a").unwrap(), Config::default());
    let services = cluster.services.values().cloned().collect();
    engine.change(Change::Services(services));
    let slices = cluster.slices.values().cloned().collect();
    engine.change(Change::Slices(slices));
    let plan = engine.audit(&kernel.observe().unwrap());
    trace::carry_out(&mut kernel, &mut engine, &plan);
    (kernel, engine)
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Brings the kernel to a step of a scenario.
fn go(kernel: &mut LinuxKernel, scenario: &Scenario, step: &Step) -> Desired {
    let host = kernel.host(scenario.node_name()).unwrap();
    let desired = translate(&step.cluster, &host, &scenario.config);
    let plan = reconcile(&desired, &kernel.observe().unwrap());
    let applied = kernel.apply(&plan);
    let failures: Vec<_> = applied.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}: {failures:#?}", scenario.name);
    desired
}

fn run(scenario: &Scenario, layout: Layout) {
    tools::make_links(scenario);
    tools::run_before(scenario);
    let mut kernel = kernel();
    for (n, step) in scenario.steps.iter().enumerate() {
        let name = format!("{}, step {}", scenario.name, n + 1);
        let desired = go(&mut kernel, scenario, step);
        compare(&name, &step.expected, &tools::snapshot(), layout);
        let again = reconcile(&desired, &kernel.observe().unwrap());
        assert!(again.is_empty(), "{name}: planned again: {again}");
    }
}

/// In one namespace, from each scenario's end to the one so many places on; with no strides given, to every
/// other one.
fn tour(layout: Layout, strides: &[usize]) {
    let scenarios = scenarios::unseeded(layout);
    tools::make_links(&scenarios[0]);
    let mut kernel = kernel();
    scenarios::tour(&scenarios, strides, |after, scenario| {
        for (n, step) in scenario.steps.iter().enumerate() {
            go(&mut kernel, scenario, step);
            let name = format!("{}, step {}, after {}", scenario.name, n + 1, after.name);
            let expected: Snapshot = serde_json::from_value(step.expected.clone()).unwrap();
            let actual = Snapshot::of(&kernel.observe().unwrap());
            compare_objects(&name, &step.expected, &expected, &actual, layout);
        }
    });
}

fn scenario(name: &str, layout: Layout) -> Scenario {
    all(layout)
        .into_iter()
        .find(|scenario| scenario.name == name)
        .unwrap()
}

/// A state without what the kernel makes of itself.
fn bare(mut state: Observed) -> Observed {
    state.sysctls.clear();
    for rules in [&mut state.rules.v4, &mut state.rules.v6] {
        // Built-in chains of a table that was looked into stay.
        rules
            .tables
            .retain(|table| table.chains.iter().any(|chain| !chain.rules.is_empty()));
    }
    state
}

/// Every kind of rule, set and virtual server, under many configurations: the kernel gives back what it was
/// given, so that the next plan is empty.
fn what_is_written_is_read_back() {
    tools::make_links(&scenario("lb-cluster", Layout::Current));
    let reading = proxier_manifest::read_cluster("rich.yaml", include_bytes!("rich.yaml"));
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    let mut kernel = kernel();
    let cidrs = ["10.244.0.0/16", "fd00:10:244::/48"]
        .map(|cidr| cidr.parse().unwrap())
        .to_vec();
    let local = [
        DetectLocal::ClusterCidr(Vec::new()),
        DetectLocal::ClusterCidr(cidrs),
        DetectLocal::NodeCidr,
        DetectLocal::BridgeInterface("br0".into()),
        DetectLocal::InterfaceNamePrefix("veth".into()),
    ];
    for (n, detect_local) in local.into_iter().enumerate() {
        for layout in MEASURED {
            let mut config = Config::with_layout(layout);
            config.detect_local = detect_local.clone();
            config.scheduler = ["rr", "mh", "sh", "lc", "nq"][n].parse().unwrap();
            config.masquerade_all = n == 2;
            config.masquerade_bit = [14, 0, 31, 8, 16][n];
            let desired = translate(&reading.cluster, &kernel.host("node-a").unwrap(), &config);
            let plan = reconcile(&desired, &kernel.observe().unwrap());
            let applied = kernel.apply(&plan);
            let failures: Vec<_> = applied.failures.iter().map(ToString::to_string).collect();
            assert!(failures.is_empty(), "{config:?}: {failures:#?}");
            let again = reconcile(&desired, &kernel.observe().unwrap());
            assert!(again.is_empty(), "{config:?}: planned again:\n{again}");
        }
    }
}

/// Where the kernel shows no IPv6, ip6tables is not run, and a dual-stack cluster gets what it has of IPv4.
fn without_ipv6_the_rest_is_served() {
    let scenario = scenario("dual-stack", Layout::Current);
    tools::make_links(&scenario);
    tools::hide_ipv6();
    let mut kernel = kernel();
    let host = kernel.host(scenario.node_name()).unwrap();
    assert!(!host.ipv6 && host.random_fully);
    for step in &scenario.steps {
        let desired = go(&mut kernel, &scenario, step);
        assert!(reconcile(&desired, &kernel.observe().unwrap()).is_empty());
    }
    let state = tools::snapshot();
    assert!(!state.ipvs.is_empty() && state.ipvs.iter().all(|line| !line.contains('[')));
    assert!(
        state
            .ipset
            .iter()
            .any(|line| line.contains(" KUBE-CLUSTER-IP "))
    );
    assert!(!state.ipset.iter().any(|line| line.contains("KUBE-6-")));
    assert!(state.iptables.iter().any(|line| line.contains("KUBE-")));
    assert!(!state.ip6tables.iter().any(|line| line.contains("KUBE-")));
}

fn cleaning_up_leaves_what_is_foreign() {
    for layout in Layout::WITH_IPSET {
        let name = match layout {
            Layout::Current => "stale-state-found",
            Layout::Classic => "classic/stale-state-found",
            other => panic!("layout {} has no scenario", other.as_str()),
        };
        let scenario = scenario(name, layout);
        if layout == Layout::Current {
            tools::make_links(&scenario);
            tools::run_before(&scenario);
            cmd("ipvsadm -A -f 9 -s rr");
            cmd("ipvsadm -A -t 172.31.7.7:7777 -s rr");
        }
        let mut kernel = kernel();
        go(&mut kernel, &scenario, &scenario.steps[0]);
        // A virtual server that no set member is there for came after: it is not the proxy's.
        cmd("ipvsadm -A -t 172.31.7.8:7777 -s rr");
        let observed = kernel.observe().unwrap();
        let host = kernel.host(scenario.node_name()).unwrap();
        let plan = reconcile(&Desired::nothing(&observed, &host), &observed);
        assert!(kernel.apply(&plan).is_ok(), "{plan}");
        let left = bare(kernel.observe().unwrap());
        assert!(left.addresses.is_none());
        let left = Snapshot::of(&left);
        assert_eq!(left.ipvs, ["-A -f 9 -s rr", "-A -t 172.31.7.8:7777 -s rr"]);
        let (set, member) = (
            "create MY-SET hash:ip family inet hashsize 1024 maxelem 65536",
            "add MY-SET 10.9.9.9",
        );
        // What is in a foreign set is not even read.
        assert_eq!(left.ipset, [set]);
        assert!(cmd("ipset save").contains(member));
        let rules: Vec<_> = left
            .iptables
            .iter()
            .filter(|line| line.starts_with("-A"))
            .collect();
        assert_eq!(
            rules,
            [
                "-A FORWARD -m set --match-set MY-SET src -j DROP",
                "-A POSTROUTING -s 10.77.0.0/16 -j MASQUERADE"
            ]
        );
        assert!(!left.ip6tables.iter().any(|line| line.contains("KUBE")));
        cmd("ipvsadm -D -t 172.31.7.8:7777");
    }
}

/// A bridge called kube-ipvs0: nothing is planned on the strength of what it has.
fn addresses_of_a_renamed_link_are_not_the_nodes() {
    let mut kernel = kernel();
    let address: std::net::IpAddr = "10.96.0.1".parse().unwrap();
    kernel.perform(&Operation::CreateLink).unwrap();
    kernel.perform(&Operation::BindAddress(address)).unwrap();
    cmd("ip link add eth9 type dummy && ip address add 192.0.2.7/24 dev eth9");
    let own = |kernel: &mut LinuxKernel| {
        let host = kernel.host("node-a").unwrap();
        let renamed: Vec<_> = kernel
            .renamed_links()
            .iter()
            .map(ToString::to_string)
            .collect();
        let addresses: Vec<_> = host.addresses().map(|ip| ip.to_string()).collect();
        (addresses, renamed)
    };
    let (before, renamed) = own(&mut kernel);
    assert!(before.contains(&"192.0.2.7".to_owned()), "{before:?}");
    assert_eq!(renamed, [""; 0]);
    cmd("ip link set kube-ipvs0 name other0 && ip address add 192.0.2.9/32 dev other0");
    let (after, renamed) = own(&mut kernel);
    assert_eq!(renamed, ["other0"]);
    // What somebody else gave it is the node's.
    assert!(after.contains(&"192.0.2.9".to_owned()), "{after:?}");
    assert!(!after.contains(&address.to_string()), "{after:?}");
    assert_eq!(kernel.observe().unwrap().addresses, None);
    // A new link takes its place.
    kernel.perform(&Operation::CreateLink).unwrap();
    kernel.perform(&Operation::BindAddress(address)).unwrap();
    assert_eq!(kernel.observe().unwrap().addresses.unwrap().len(), 1);
    cmd("ip link delete other0");
    assert_eq!(own(&mut kernel), (before, Vec::new()));
}

fn a_link_of_another_kind_is_somebody_elses() {
    let mut kernel = kernel();
    cmd("ip link add kube-ipvs0 type bridge && ip address add 10.0.0.9/32 dev kube-ipvs0");
    let error = kernel.observe().unwrap_err();
    assert_eq!(
        (error.part, error.kind),
        (KernelPart::Links, KernelErrorKind::Exists)
    );
    let told = error.to_string();
    assert!(
        told.contains("kube-ipvs0") && told.contains("bridge") && told.contains("ip link"),
        "{told}"
    );
    assert!(kernel.perform(&Operation::DeleteLink).is_err());
    assert!(kernel.perform(&Operation::CreateLink).is_err());
    assert!(cmd("ip -o address show dev kube-ipvs0").contains("10.0.0.9/32"));
    cmd("ip link delete kube-ipvs0");
    assert_eq!(kernel.observe().unwrap().addresses, None);
}

/// As configured by default; all scenarios are played as kube-proxy does it, which removes them.
fn others_virtual_servers_stay() {
    let scenario = scenario("lb-cluster", Layout::Current);
    tools::make_links(&scenario);
    let mut kernel = kernel();
    let mut ours = scenario;
    ours.config.remove_foreign_servers = false;
    go(&mut kernel, &ours, &ours.steps[0]);
    let others = "-A -t 172.31.7.7:7777 -s rr";
    cmd(&format!("ipvsadm {others}"));
    // One of the proxy's that it forgot: at an address on its link.
    cmd("ipvsadm -A -t 198.51.100.7:7778 -s rr");
    go(&mut kernel, &ours, &ours.steps[0]);
    let left = cmd("ipvsadm -Sn");
    assert!(left.contains(others), "{left}");
    assert!(!left.contains(":7778"), "{left}");
    ours.config.remove_foreign_servers = true;
    go(&mut kernel, &ours, &ours.steps[0]);
    assert!(!cmd("ipvsadm -Sn").contains(others));
}

/// A set under one of the proxy's names that a foreign rule holds on to: it cannot be made anew.
fn a_failure_is_told_and_made_good() {
    let scenario = scenario("lb-cluster", Layout::Current);
    tools::make_links(&scenario);
    cmd("ipset create KUBE-LOAD-BALANCER hash:net");
    let iptables = format!("iptables-{}", iptables_flavour());
    cmd(&format!(
        "{iptables} -A FORWARD -m set --match-set KUBE-LOAD-BALANCER src -j DROP"
    ));
    let mut kernel = kernel();
    let host = kernel.host(scenario.node_name()).unwrap();
    let desired = translate(&scenario.steps[0].cluster, &host, &scenario.config);
    let plan = reconcile(&desired, &kernel.observe().unwrap());
    let applied = kernel.apply(&plan);
    let told: Vec<_> = applied.failures.iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|line| line.contains("KUBE-LOAD-BALANCER")),
        "{told:#?}"
    );
    assert!(applied.done > 0, "the rest went on");
    // Nothing is reachable that would not be masqueraded.
    assert!(!cmd("ipvsadm -Sn").contains("198.51.100.7"));
    cmd(&format!("{iptables} -F FORWARD"));
    go(&mut kernel, &scenario, &scenario.steps[0]);
    compare(
        "made good",
        &scenario.steps[0].expected,
        &tools::snapshot(),
        Layout::Current,
    );
}
