//! Which UDP flows a plan may have left with endpoints that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use iptables_restore::{Edit, Match, Rule, TableEdits, TableName};
use ipvs_netlink::{DestinationId, Protocol, VirtualServerId};
use proxier::cluster::Family;
use proxier::nftables::{AddressRange, Element};
use proxier::{Drain, Engine, Operation, Plan, RulesChange};

use super::{Report, Syncer};
use crate::machine::Machine;

impl<M: Machine> Syncer<M> {
    /// Packets of a UDP flow go where the first one went, wanted there or not.
    pub(super) fn forget_flows(&mut self, plan: &Plan, report: &mut Report) {
        let servers = touched(plan, &self.engine);
        let ranges = new_ranges(plan);
        for family in Family::ALL {
            let servers: Vec<_> = servers
                .iter()
                .filter(|(id, _)| id.family() == family)
                .cloned()
                .collect();
            let ranges: Vec<_> = ranges
                .iter()
                .copied()
                .filter(|range| Family::of(range.address) == family)
                .collect();
            if servers.is_empty() && ranges.is_empty() {
                continue;
            }
            let began = Instant::now();
            let forgotten = self.machine.forget_flows(&servers);
            let forgotten =
                forgotten.and_then(|count| Ok(count + self.machine.forget_untranslated(&ranges)?));
            match forgotten {
                Ok(forgotten) => {
                    report.flows += forgotten;
                    report
                        .flows_by_family
                        .push((family, forgotten, began.elapsed()));
                }
                Err(error) => tracing::warn!(
                    %error,
                    "UDP clients may keep sending to endpoints that are gone until their entries in the \
                     connection-tracking table time out"
                ),
            }
        }
    }
}

/// The addresses and ports of UDP that a plan changed, each with the endpoints that packets to it may go to now.
fn touched(plan: &Plan, engine: &Engine) -> Vec<(VirtualServerId, Vec<DestinationId>)> {
    let mut touched: BTreeMap<VirtualServerId, Vec<DestinationId>> = BTreeMap::new();
    let mut gone: BTreeSet<VirtualServerId> = BTreeSet::new();
    for (_, operation) in plan.iter() {
        match operation {
            Operation::AddServer { id, .. }
            | Operation::DeleteServer(id)
            | Operation::DeleteDestination { server: id, .. }
                if is_udp(id) && !touched.contains_key(id) =>
            {
                let wanted = engine.server(id);
                let wanted = wanted.as_ref();
                let ids = wanted.map_or(&[][..], |server| &server.destinations);
                let ids = ids.iter().map(|destination| destination.id);
                // Flows go on to those that drain.
                let draining = match wanted.map(|server| &server.drain) {
                    Some(Drain::Of(these)) => these.as_slice(),
                    _ => &[],
                };
                touched.insert(*id, ids.chain(draining.iter().copied()).collect());
            }
            Operation::RestoreRules(change) => {
                for name in &change.services {
                    let targets = engine.rule_targets(name).into_iter();
                    touched.extend(
                        targets.filter(|(id, _)| is_udp(id) && id.family() == change.family),
                    );
                }
                gone.extend(lost(change, engine));
            }
            _ => {}
        }
    }
    for id in gone {
        touched.entry(id).or_default();
    }
    touched.into_iter().collect()
}

/// The UDP ports that a plan begins to serve by mark. Where they are served already, virtual servers by mark end the flows
/// to endpoints that go.
fn new_ranges(plan: &Plan) -> Vec<AddressRange> {
    let ranges = plan.iter().map(|(_, operation)| match operation {
        Operation::AddElement { element, .. } => {
            let range = match *element {
                Element::RangeMark(range, _) => Some(range),
                Element::PortMark(at, _) => AddressRange::of_port(at),
                _ => None,
            };
            range.into_iter().collect()
        }
        Operation::RestoreRules(change) => change.marked_ranges(),
        _ => BTreeSet::new(),
    });
    ranges
        .flatten()
        .filter(|range| range.ports.protocol() == Protocol::UDP)
        .collect()
}

fn is_udp(id: &VirtualServerId) -> bool {
    matches!(id, VirtualServerId::Address { protocol, .. } if *protocol == Protocol::UDP)
}

/// What rules of iptables mode led from that are deleted.
fn lost(change: &RulesChange, engine: &Engine) -> Vec<VirtualServerId> {
    let tables = change.input.tables().iter();
    let nat = tables.filter(|table| *table.name() == TableName::Nat && !change.services.is_empty());
    let deleted = nat
        .flat_map(TableEdits::edits)
        .filter_map(|edit| match edit {
            Edit::Delete { rule, .. } => Some(rule),
            _ => None,
        });
    let ids = deleted.filter_map(|rule| Some((udp_port(rule)?, rule)));
    let ids = ids.flat_map(|(port, rule)| {
        let to = rule.destination.as_ref().filter(|to| !to.negated);
        let to = to
            .and_then(|to| to.value.network())
            .map(|network| network.ip());
        let addresses: Vec<IpAddr> = match to {
            Some(address) => vec![address],
            // That of a node port.
            None => {
                let all = engine.node_port_addresses();
                all.filter(|ip| Family::of(*ip) == change.family).collect()
            }
        };
        addresses
            .into_iter()
            .map(move |address| VirtualServerId::Address {
                protocol: Protocol::UDP,
                address,
                port,
            })
    });
    ids.collect()
}

fn udp_port(rule: &Rule) -> Option<u16> {
    rule.matches.iter().find_map(|part| match part {
        Match::Udp(ports) => Some(ports.destination?.value.first),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
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
        let mut host = Host::new("node-a");
        let eth0 = "eth0".parse().unwrap();
        host.links.insert(eth0, "192.168.10.10/24".parse().unwrap());
        let mut engine = Engine::new(host, Config::with_layout(layout));
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
}
