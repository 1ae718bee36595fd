//! `MemoryKernel` refuses what a kernel refuses, and plans cope with what they find.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should panic"
)]

use std::net::IpAddr;
use std::num::NonZeroU16;

use ipset_netlink::{Entry, Protocol, SetName};
use ipvs_netlink::{Connections, DestinationId, VirtualServerId};
use proxier::cluster::{Cluster, Family, Host, ObjectName, Service, ServicePort};
use proxier::kernel::{FailureReason, carry_out};
use proxier::{
    Config, Desired, Kernel, KernelErrorKind, MemoryKernel, Operation, Phase, Plan, SetId,
    reconcile, translate,
};
use proxier_manifest::Snapshot;

fn kernel(state: &str) -> MemoryKernel {
    let snapshot: Snapshot = serde_json::from_str(state).unwrap();
    MemoryKernel::holding(&snapshot.state().unwrap())
}

fn cluster(protocol: &str, endpoints: &[&str]) -> Cluster {
    let yaml = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\n\
         spec: {{clusterIP: 10.0.0.7, ports: [{{port: 80, protocol: {protocol}}}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}\n\
         ports: [{{port: 8080, protocol: {protocol}}}]\nendpoints:\n{}",
        endpoints
            .iter()
            .map(|ip| format!("- addresses: [{ip}]\n"))
            .collect::<String>()
    );
    let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

fn desired(cluster: &Cluster) -> Desired {
    translate(cluster, &Host::new("node-a"), &Config::default())
}

fn step(kernel: &mut MemoryKernel, desired: &Desired) -> Plan {
    let plan = reconcile(desired, &kernel.observe().unwrap());
    assert!(kernel.apply(&plan).is_ok());
    plan
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.to_string().lines().map(ToOwned::to_owned).collect()
}

fn server(protocol: &str) -> VirtualServerId {
    let protocol = protocol.parse().unwrap();
    VirtualServerId::Address {
        protocol,
        address: "10.0.0.7".parse::<IpAddr>().unwrap(),
        port: 80,
    }
}

fn connect(kernel: &mut MemoryKernel, protocol: &str, to: &str, active: u32, inactive: u32) {
    let to: DestinationId = to.parse().unwrap();
    let connections = Connections {
        active,
        inactive,
        ..Connections::default()
    };
    kernel.set_connections(&server(protocol), &to, connections);
}

#[test]
fn a_tcp_destination_drains_and_comes_back_or_goes() {
    let (both, one) = (
        desired(&cluster("TCP", &["10.244.1.5", "10.244.2.6"])),
        desired(&cluster("TCP", &["10.244.2.6"])),
    );
    let mut kernel = MemoryKernel::new();
    step(&mut kernel, &both);
    connect(&mut kernel, "TCP", "10.244.1.5:8080", 1, 0);
    let drains = "~ ipvs      -e -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 0 (was -w 1)";
    assert_eq!(lines(&step(&mut kernel, &one)), [drains]);
    assert!(step(&mut kernel, &one).is_empty(), "it drains already");
    // Wanted again, its weight comes back; its connections were never touched.
    let back = "~ ipvs      -e -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 1 (was -w 0)";
    assert_eq!(lines(&step(&mut kernel, &both)), [back]);
    step(&mut kernel, &one);
    connect(&mut kernel, "TCP", "10.244.1.5:8080", 0, 1);
    assert!(
        step(&mut kernel, &one).is_empty(),
        "one connection is left, if inactive"
    );
    connect(&mut kernel, "TCP", "10.244.1.5:8080", 0, 0);
    assert_eq!(
        lines(&step(&mut kernel, &one)),
        ["- ipvs      -d -t 10.0.0.7:80 -r 10.244.1.5:8080"]
    );
}

#[test]
fn udp_and_sctp_destinations_go_at_once() {
    for protocol in ["UDP", "SCTP"] {
        let mut kernel = MemoryKernel::new();
        step(
            &mut kernel,
            &desired(&cluster(protocol, &["10.244.1.5", "10.244.2.6"])),
        );
        connect(&mut kernel, protocol, "10.244.1.5:8080", 9, 9);
        let plan = step(&mut kernel, &desired(&cluster(protocol, &["10.244.2.6"])));
        assert_eq!(plan.len(), 1, "{plan}");
        assert!(plan.to_string().starts_with("- ipvs      -d "), "{plan}");
    }
}

#[test]
fn a_virtual_server_found_with_other_settings_is_changed_in_place() {
    let wanted = desired(&cluster("TCP", &["10.244.1.5"]));
    let mut kernel = MemoryKernel::new();
    step(&mut kernel, &wanted);
    let mut state = kernel.state();
    state
        .servers
        .iter_mut()
        .for_each(|s| s.config.scheduler = "wlc".parse().unwrap());
    let mut kernel = MemoryKernel::holding(&state);
    assert_eq!(
        lines(&step(&mut kernel, &wanted)),
        ["~ ipvs      -E -t 10.0.0.7:80 -s rr"]
    );
}

#[test]
fn a_set_that_is_too_small_is_made_anew_and_swapped() {
    let wanted = desired(&cluster("TCP", &["10.244.1.5"]));
    let mut kernel = MemoryKernel::new();
    step(&mut kernel, &wanted);
    let mut state = kernel.state();
    let name = SetId::ClusterIp.name(Family::V4);
    state.sets.get_mut(&name).unwrap().spec.options.maxelem = Some(8);
    let mut kernel = MemoryKernel::holding(&state);
    let spare = SetId::ClusterIp.swap_name(Family::V4);
    assert_eq!(
        lines(&step(&mut kernel, &wanted)),
        [
            format!(
                "+ ipset     create {spare} hash:ip,port family inet hashsize 1024 maxelem 65536"
            ),
            format!("+ ipset     add {spare} 10.0.0.7,tcp:80"),
            format!("~ ipset     swap {spare} KUBE-CLUSTER-IP"),
            format!("- ipset     destroy {spare}"),
        ]
    );
}

/// 40,000 members and 40,000 others do not fit into the usual 65,536 together.
#[test]
fn a_set_that_is_full_of_others_is_made_anew_and_swapped() {
    let wanted = |second: u8| {
        let mut all = Cluster::default();
        for n in 0..40_000u32 {
            let [_, _, c, d] = n.to_be_bytes();
            let name = ObjectName::new("many", format!("s{n}"));
            let mut service = Service::new(name, vec![[10, second, c, d].into()]);
            service
                .ports
                .push(ServicePort::new("", Protocol::TCP, NonZeroU16::MIN));
            all.add_service(service);
        }
        desired(&all)
    };
    let mut kernel = MemoryKernel::new();
    step(&mut kernel, &wanted(1));
    let plan = step(&mut kernel, &wanted(2));
    let roomy = format!(
        "create {} hash:ip,port family inet hashsize 1024 maxelem 131072",
        SetId::ClusterIp.swap_name(Family::V4)
    );
    assert!(lines(&plan).contains(&format!("+ ipset     {roomy}")));
    assert!(reconcile(&wanted(2), &kernel.state()).is_empty());
}

#[test]
fn an_address_of_another_link_is_not_bound() {
    let mut host = Host::new("node-a");
    host.links
        .insert("eth0".parse().unwrap(), "10.0.0.7/24".parse().unwrap());
    let wanted = translate(&cluster("TCP", &["10.244.1.5"]), &host, &Config::default());
    assert!(wanted.addresses.is_empty());
    assert_eq!(wanted.servers.len(), 1);
}

#[test]
fn it_refuses_what_a_kernel_refuses() {
    let mut kernel = kernel(
        r#"{"ipvs": ["-A -t 10.0.0.7:80 -s rr", "-a -t 10.0.0.7:80 -r 10.244.1.5:80 -m -w 1"],
            "ipset": ["create a hash:ip,port family inet hashsize 1024 maxelem 1",
                      "create n hash:ip,port,net family inet hashsize 1024 maxelem 65536",
                      "create p bitmap:port range 0-65535", "add a 10.0.0.7,tcp:80"],
            "iptables": ["*filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT",
                         "-A INPUT -m set --match-set a dst,dst -j ACCEPT", "COMMIT"],
            "addresses": {"kube-ipvs0": ["10.0.0.7/32"]}}"#,
    );
    let before = kernel.state();
    let set = |name: &str| SetName::new(name).unwrap();
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let entry = Entry::ip_port(ip("10.0.0.8"), Protocol::TCP, 80);
    let there = Entry::ip_port(ip("10.0.0.7"), Protocol::TCP, 80);
    let any = Entry::ip_port_net(
        ip("10.0.0.7"),
        Protocol::TCP,
        80,
        "0.0.0.0/0".parse().unwrap(),
    );
    let config = before.servers.first().unwrap().config;
    let destination = before
        .servers
        .first()
        .unwrap()
        .destinations
        .first()
        .unwrap()
        .destination;
    let mut unknown = config;
    unknown.scheduler = "none-such".parse().unwrap();
    let udp = server("UDP");
    let tcp = server("TCP");
    let cases = [
        (
            Operation::AddServer { id: tcp, config },
            "virtual server -t 10.0.0.7:80 exists already",
        ),
        (
            Operation::AddServer {
                id: udp,
                config: unknown,
            },
            "scheduler none-such (module ip_vs_none-such) does not exist",
        ),
        (
            Operation::DeleteServer(udp),
            "virtual server -u 10.0.0.7:80 does not exist",
        ),
        (
            Operation::AddDestination {
                server: tcp,
                destination,
            },
            "destination 10.244.1.5:80 of -t 10.0.0.7:80 exists",
        ),
        (
            Operation::AddDestination {
                server: udp,
                destination,
            },
            "virtual server -u 10.0.0.7:80 does not exist",
        ),
        (
            Operation::DeleteDestination {
                server: tcp,
                id: "1.2.3.4:5".parse().unwrap(),
            },
            "does not exist",
        ),
        (
            Operation::CreateSet(Box::new(before.sets[&set("a")].spec.clone())),
            "set a exists already",
        ),
        (
            Operation::AddEntry {
                set: set("a"),
                entry: there.clone(),
            },
            "10.0.0.7,tcp:80 in set a exists already",
        ),
        (
            Operation::AddEntry {
                set: set("a"),
                entry: entry.clone(),
            },
            "set a is full: it holds 1 members",
        ),
        (
            Operation::AddEntry {
                set: set("p"),
                entry: entry.clone(),
            },
            "set p",
        ),
        (
            Operation::AddEntry {
                set: set("n"),
                entry: any,
            },
            "set n",
        ),
        (
            Operation::AddEntry {
                set: set("none"),
                entry: entry.clone(),
            },
            "set none does not exist",
        ),
        (
            Operation::DeleteEntry {
                set: set("a"),
                entry,
            },
            "10.0.0.8,tcp:80 in set a does not exist",
        ),
        (
            Operation::DestroySet(set("a")),
            "set a is in use by -A INPUT -m set --match-set a dst,dst -j ACCEPT",
        ),
        (
            Operation::SwapSets {
                set: set("a"),
                with: set("p"),
            },
            "cannot be swapped",
        ),
        (Operation::CreateLink, "link kube-ipvs0 exists already"),
        (
            Operation::BindAddress(ip("10.0.0.7")),
            "address 10.0.0.7/32 of kube-ipvs0 exists already",
        ),
        (
            Operation::UnbindAddress("10.0.0.8/32".parse().unwrap()),
            "address 10.0.0.8/32 of kube-ipvs0 does not exist",
        ),
    ];
    for (operation, says) in cases {
        let error = kernel.perform(&operation).unwrap_err().to_string();
        assert!(error.contains(says), "{operation}: {error}");
        assert_eq!(kernel.state(), before, "nothing has changed");
    }
}

#[test]
fn rules_that_name_what_is_missing_are_refused() {
    let wanted = desired(&cluster("TCP", &["10.244.1.5"]));
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&wanted, &kernel.state());
    let rules = plan.phase(Phase::Rules).first().unwrap();
    let error = kernel.perform(rules).unwrap_err();
    assert!(
        error.kind == KernelErrorKind::Missing && error.to_string().contains("set KUBE-"),
        "{error}"
    );
}

#[test]
fn a_plan_is_shown_as_a_diff() {
    let mut kernel = MemoryKernel::new();
    step(&mut kernel, &desired(&cluster("TCP", &["10.244.1.5"])));
    let plan = step(&mut kernel, &desired(&Cluster::default()));
    let shown = lines(&plan);
    let cluster_ips = "-m set --match-set KUBE-CLUSTER-IP";
    assert_eq!(
        shown,
        [
            "- address   10.0.0.7/32 dev kube-ipvs0".to_owned(),
            "- ipvs      -D -t 10.0.0.7:80".to_owned(),
            "- ipset     del KUBE-IPVS-IPS 10.0.0.7".to_owned(),
            "- ipset     del KUBE-CLUSTER-IP 10.0.0.7,tcp:80".to_owned(),
            format!(
                "- iptables  -t nat -A KUBE-SERVICES -m comment --comment \"Kubernetes service cluster ip + port \
                 for masquerade purpose\" {cluster_ips} src,dst -j KUBE-MARK-MASQ"
            ),
            format!("- iptables  -t nat -A KUBE-SERVICES {cluster_ips} dst,dst -j ACCEPT"),
            format!("- iptables  -t filter -A KUBE-IPVS-ACCEPT {cluster_ips} dst,dst -j ACCEPT"),
        ]
    );
}

/// A kernel that answers for fewer operations than it was given has not carried out the others.
#[test]
fn a_missing_result_is_a_failure() {
    let wanted = desired(&cluster("TCP", &["10.244.1.5"]));
    let plan = reconcile(&wanted, &MemoryKernel::new().state());
    let mut given = 0;
    let together = |_: &Operation, _: &Operation| true;
    let applied = carry_out(&plan, together, |operations| {
        given += operations.len();
        operations.iter().skip(1).map(|_| Ok(())).collect()
    });
    assert_eq!(applied.done + applied.failures.len(), plan.len());
    let unknown = applied.failures.iter().filter(|failure| {
        matches!(&failure.reason, FailureReason::Refused(error) if error.kind == KernelErrorKind::Unknown)
    });
    assert!(unknown.count() > 0, "{:?}", applied.failures);
    assert!(applied.done < given, "{given}");
}
