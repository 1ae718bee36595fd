use std::num::NonZeroU16;

use proxier::cluster::{Change, Cluster, Host, PortRange, ServiceOptions};
use proxier::{Config, Kernel, Layout, MemoryKernel};

use super::*;

fn cluster(endpoints: &str) -> Cluster {
    read(&yaml(endpoints))
}

fn read(yaml: &str) -> Cluster {
    proxier_manifest::read_cluster("test", yaml.as_bytes()).cluster
}

fn yaml(endpoints: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: dns}}
spec: {{type: NodePort, clusterIP: 10.96.0.10, ports: [{{port: 53, protocol: UDP, nodePort: 30053}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: dns, labels: {{kubernetes.io/service-name: dns}}}}
addressType: IPv4
endpoints: [{endpoints}]
ports: [{{port: 5353, protocol: UDP}}]
"
    )
}

/// The plan for a change from one cluster to another, in a mode.
fn planned(layout: Layout, before: &Cluster, after: &Cluster) -> (Plan, Engine) {
    let config = Config::with_layout(layout);
    planned_by(&config, before, after, &config)
}

/// The same for a change of the configuration too.
fn planned_by(config: &Config, before: &Cluster, after: &Cluster, then: &Config) -> (Plan, Engine) {
    let mut host = Host::new("node-a");
    let eth0 = "eth0".parse().unwrap();
    host.links.insert(eth0, "192.168.10.10/24".parse().unwrap());
    let mut engine = Engine::new(host, config.clone());
    let mut kernel = MemoryKernel::new();
    let take = |engine: &mut Engine, cluster: &Cluster| {
        engine.change(Change::Services(
            cluster.services.values().cloned().collect(),
        ));
        engine.change(Change::Slices(cluster.slices.values().cloned().collect()));
    };
    take(&mut engine, before);
    let plan = engine.audit(&kernel.state());
    engine.applied(&plan, &kernel.apply(&plan));
    take(&mut engine, after);
    engine.set_config(then.clone());
    (engine.plan(), engine)
}

/// What it touches, as text.
fn change(layout: Layout, before: &Cluster, after: &Cluster) -> Vec<String> {
    let (plan, engine) = planned(layout, before, after);
    let touched = touched(&plan, &engine);
    let text = |(id, to): &(VirtualServerId, Vec<DestinationId>)| {
        let to: Vec<_> = to.iter().map(ToString::to_string).collect();
        format!("{id} {}", to.join(","))
    };
    touched.iter().map(text).collect()
}

/// While others go, flows stay with an endpoint that drains.
#[test]
fn flows_stay_with_an_endpoint_that_drains() {
    let draining = |endpoints| {
        let mut cluster = cluster(endpoints);
        let mut options = ServiceOptions::default();
        options.drain_udp = true;
        let services = cluster.services.values_mut();
        services.for_each(|service| service.options = Some(Box::new(options.clone())));
        cluster
    };
    let before = draining("{addresses: [10.244.1.1]}, {addresses: [10.244.1.2]}");
    let after = draining(
        "{addresses: [10.244.1.1], conditions: {ready: false, serving: true, terminating: true}}, \
         {addresses: [10.244.1.3]}",
    );
    let touched = change(Layout::Current, &before, &after);
    let to = "10.244.1.3:5353,10.244.1.1:5353";
    let both = ["-u 10.96.0.10:53", "-u 192.168.10.10:30053"];
    assert_eq!(touched, both.map(|id| format!("{id} {to}")));
}

/// An endpoint that goes, the last one, and the Service itself: at each of its addresses.
#[test]
fn flows_are_looked_for_wherever_endpoints_go() {
    let two = cluster("{addresses: [10.244.1.1]}, {addresses: [10.244.1.2]}");
    let one = cluster("{addresses: [10.244.1.2]}");
    let none = cluster("");
    let mut gone = two.clone();
    gone.services.clear();
    let at = |to: &str| {
        let both = ["-u 10.96.0.10:53", "-u 192.168.10.10:30053"];
        both.map(|id| format!("{id} {to}"))
    };
    for layout in [Layout::Iptables, Layout::Current] {
        for (after, to) in [(&one, "10.244.1.2:5353"), (&none, ""), (&gone, "")] {
            let mut touched = change(layout, &two, after);
            let loopback = format!("-u 127.0.0.1:30053 {to}");
            assert_eq!(touched.contains(&loopback), layout == Layout::Iptables);
            touched.retain(|line| *line != loopback);
            assert_eq!(touched, at(to), "{layout:?}");
        }
    }
    // What others are served by is left alone.
    assert!(change(Layout::Iptables, &two, &two).is_empty());
}

/// An endpoint that goes, the port itself, and the option: flows to the node port at loopback addresses.
#[test]
fn flows_to_loopback_addresses_are_looked_for() {
    let two = cluster("{addresses: [10.244.1.1]}, {addresses: [10.244.1.2]}");
    let one = cluster("{addresses: [10.244.1.2]}");
    let mut gone = two.clone();
    gone.services.clear();
    let mut on = Config::with_layout(Layout::Nftables);
    on.localhost_node_ports = Some(true);
    let of = |before: &Cluster, after: &Cluster, then: &Config| {
        let (plan, engine) = planned_by(&on, before, after, then);
        let touched = touched(&plan, &engine).into_iter();
        let mut at_loopback = touched.filter(|(id, _)| id.to_string().contains("127."));
        at_loopback.next().map(|(id, to)| {
            let to: Vec<_> = to.iter().map(ToString::to_string).collect();
            format!("{id} {}", to.join(","))
        })
    };
    let none = Cluster::default();
    let off = Config::with_layout(Layout::Nftables);
    for (before, after, then, expected) in [
        (&none, &two, &on, Some("10.244.1.1:5353,10.244.1.2:5353")),
        (&two, &one, &on, Some("10.244.1.2:5353")),
        (&two, &cluster(""), &on, Some("")),
        (&two, &gone, &on, Some("")),
        (&two, &two, &off, Some("")),
        (&two, &two, &on, None),
    ] {
        let expected = expected.map(|to| format!("-u 127.0.0.1:30053 {to}"));
        assert_eq!(of(before, after, then), expected);
    }
}

/// Those that serve ranges, each in its way.
const LAYOUTS: [Layout; 2] = [Layout::Nftables, Layout::Current];

/// Where packets to a range begin to get their mark: not again, and not where only its endpoints change.
#[test]
fn flows_to_new_ranges_are_looked_for() {
    let port = |number: u16| NonZeroU16::new(number).unwrap();
    let udp = |first, last| PortRange::new(Protocol::UDP, port(first), port(last)).unwrap();
    let tcp = PortRange::all(Protocol::TCP);
    let ranges = |ranges: &[PortRange], endpoints| {
        let mut cluster = cluster(endpoints);
        let mut options = ServiceOptions::default();
        options.ports = ranges.to_vec();
        let services = cluster.services.values_mut();
        services.for_each(|service| service.options = Some(Box::new(options.clone())));
        cluster
    };
    let one = "{addresses: [10.244.1.1]}";
    let first = ranges(&[udp(1000, 2000), tcp], one);
    for (after, new) in [
        (
            ranges(&[udp(1000, 2000), tcp], "{addresses: [10.244.1.2]}"),
            vec![],
        ),
        (
            ranges(&[udp(1000, 2000), udp(3000, 3001)], one),
            vec![udp(3000, 3001)],
        ),
        (cluster(one), vec![]),
    ] {
        for layout in LAYOUTS {
            let (plan, _) = planned(layout, &first, &after);
            let found: Vec<_> = new_ranges(&plan).iter().map(|range| range.ports).collect();
            assert_eq!(found, new, "{layout:?}");
        }
    }
    for layout in LAYOUTS {
        let (plan, _) = planned(layout, &cluster(one), &first);
        let [range] = &new_ranges(&plan)[..] else {
            panic!("{plan}");
        };
        assert_eq!(range.address.to_string(), "10.96.0.10");
    }
}

/// They have no virtual server of their own.
#[test]
fn flows_to_ports_that_choose_together_are_looked_for() {
    let one = "{addresses: [10.244.1.1]}";
    let together = yaml(one).replace("5353", "53").replace(
        "spec: {",
        "spec: {sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, ",
    );
    let together = together.replace(
        "{name: dns}\nspec",
        "{name: dns, annotations: {kube-proxier/affinity: all-ports}}\nspec",
    );
    for layout in LAYOUTS {
        let (plan, _) = planned(layout, &Cluster::default(), &read(&together));
        let [range] = &new_ranges(&plan)[..] else {
            panic!("{plan}");
        };
        assert!(range.ports.contains(Protocol::UDP, 53));
    }
}
