//! Iptables mode: what becomes of packets at every step of a plan.
//!
//! Packets go through rules here as they do in the kernel, as far as the rules of that mode go ([`packets`]). Where a rule
//! chooses at random or by memory, a packet goes both ways.

mod packets;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use iptables_restore::{Rule, TableName};
use proptest::prelude::*;
use proxier::cluster::{Cluster, Family, Host};
use proxier::{Config, Layout, MemoryKernel, Observed, Plan, reconcile, translate};

use self::packets::{Fate, Packet, fates, packets};
use crate::strategies;

fn in_iptables_mode() -> impl Strategy<Value = Config> {
    strategies::config().prop_map(|mut config| {
        config.layout = Layout::Iptables;
        config
    })
}

/// A cluster, and what becomes of it: another one, or the same without some objects and with some of another.
fn two_clusters() -> impl Strategy<Value = (Cluster, Cluster)> {
    let masks = (any::<u16>(), any::<u16>(), 0..4u8);
    (strategies::cluster(), strategies::cluster(), masks).prop_map(
        |(before, mut other, (services, slices, how))| {
            if how == 0 {
                return (before, other);
            }
            let bit = |mask: u16, n: usize| mask >> (n % 16) & 1 == 1;
            let mut after = before.clone();
            for (n, (name, slice)) in before.slices.iter().enumerate() {
                if bit(slices, n) {
                    match other.slices.remove(name).filter(|_| how == 1) {
                        Some(changed) if changed.service == slice.service => {
                            after.slices.insert(name.clone(), changed);
                        }
                        _ => drop(after.slices.remove(name)),
                    }
                }
            }
            for (n, name) in before.services.keys().enumerate() {
                if how == 2 && bit(services, n) {
                    match other.services.remove(name) {
                        Some(changed) => drop(after.services.insert(name.clone(), changed)),
                        None => drop(after.services.remove(name)),
                    }
                }
            }
            (before, after)
        },
    )
}

/// At each step a packet ends where it did before the plan, or where it will after it: never elsewhere, and never past all
/// rules of its Service.
fn goes_the_old_way_or_the_new(
    [before, after]: [&Cluster; 2],
    host: &Host,
    found: &Observed,
    plan: &Plan,
) -> Result<(), TestCaseError> {
    let mut kernel = MemoryKernel::holding(found);
    let mut steps = Vec::new();
    for (_, operation) in plan.iter() {
        kernel.perform(operation).unwrap();
        steps.push((operation, kernel.state()));
    }
    let end = kernel.state();
    for packet in packets([before, after], host) {
        let mut allowed = fates(host, found, &packet);
        allowed.extend(fates(host, &end, &packet));
        // What goes away, or is not there yet, may be refused for a moment.
        if allowed.iter().any(Fate::is_untouched) {
            allowed.insert(Fate::Refused);
        }
        for (operation, state) in &steps {
            let now = fates(host, state, &packet);
            prop_assert!(
                now.is_subset(&allowed),
                "{packet:?}: {now:?}, not {allowed:?}, after {operation}\nplan:\n{plan}"
            );
        }
    }
    Ok(())
}

/// What a kernel holds that was brought to a cluster.
fn holding(cluster: &Cluster, host: &Host, config: &Config) -> Observed {
    let mut kernel = MemoryKernel::new();
    for (_, operation) in reconcile(&translate(cluster, host, config), &kernel.state()).iter() {
        kernel.perform(operation).unwrap();
    }
    kernel.state()
}

/// Without the rules of the nat table that lead packets to rules of Services, as somebody may delete them: the jumps from
/// each built-in chain, and those for node ports.
fn without_ways_in(mut state: Observed, lost: [bool; 3]) -> Observed {
    let target = |rule: &Rule| rule.target.as_ref()?.chain().map(str::to_owned);
    for family in Family::ALL {
        let Some(nat) = state.rules.get_mut(family).table_mut(&TableName::Nat) else {
            continue;
        };
        for ((from, to), lost) in [
            ("PREROUTING", "KUBE-SERVICES"),
            ("OUTPUT", "KUBE-SERVICES"),
            ("KUBE-SERVICES", "KUBE-NODEPORTS"),
        ]
        .into_iter()
        .zip(lost)
        {
            if let Some(chain) = nat.chain_mut(from).filter(|_| lost) {
                let rules = chain.rules.iter();
                let kept = rules.filter(|rule| target(rule).as_deref() != Some(to));
                chain.rules = kept.cloned().collect::<Vec<_>>().into();
            }
        }
    }
    state
}

proptest! {
    #[test]
    fn at_every_step_packets_go_the_old_way_or_the_new(
        clusters in two_clusters(),
        host in strategies::host(),
        configs in (in_iptables_mode(), in_iptables_mode(), any::<bool>()),
    ) {
        let (before, after) = clusters;
        let (config, other, same) = configs;
        let found = holding(&before, &host, if same { &config } else { &other });
        let plan = reconcile(&translate(&after, &host, &config), &found);
        goes_the_old_way_or_the_new([&before, &after], &host, &found, &plan)?;
    }

    /// The same where somebody took away what leads to the rules of Services, and these have changed since.
    #[test]
    fn what_leads_to_services_comes_back_when_they_are_as_they_should_be(
        clusters in two_clusters(),
        host in strategies::host(),
        configs in (in_iptables_mode(), in_iptables_mode(), any::<bool>()),
        lost in any::<[bool; 3]>(),
    ) {
        let (before, after) = clusters;
        let (config, other, same) = configs;
        let found = holding(&before, &host, if same { &config } else { &other });
        let found = without_ways_in(found, lost);
        let plan = reconcile(&translate(&after, &host, &config), &found);
        goes_the_old_way_or_the_new([&before, &after], &host, &found, &plan)?;
    }

    /// What the rules do is what Services ask for: worked out from the cluster, not from the rules.
    #[test]
    fn packets_to_cluster_ips_come_to_ready_endpoints(
        cluster in strategies::cluster(),
        host in strategies::host(),
        config in in_iptables_mode(),
    ) {
        let desired = translate(&cluster, &host, &config);
        let state = holding(&cluster, &host, &config);
        let contested: BTreeSet<_> = desired.conflicts.iter().map(|c| c.server).collect();
        for family in Family::ALL.into_iter().filter(|family| host.serves(*family)) {
            for service in cluster.services.values().filter(|s| s.counts(family)) {
                for port in &service.ports {
                    let Some(ip) = service.cluster_ip(family) else { continue };
                    let id = ipvs_netlink::VirtualServerId::Address {
                        protocol: port.protocol,
                        address: ip,
                        port: port.port.get(),
                    };
                    if contested.contains(&id) {
                        continue;
                    }
                    let mut of_port = cluster.slices.values().filter(|slice| {
                        slice.family == family
                            && slice.name.namespace() == service.name.namespace()
                            && *slice.service == *service.name.name()
                            && slice.ports.iter().any(|p| p.name == port.name && p.protocol == port.protocol)
                    });
                    let usable = of_port.any(|slice| {
                        slice.endpoints.iter().any(|e| e.ready || e.serving && e.terminating)
                    });
                    let packet = Packet {
                        source: match family {
                            Family::V4 => "203.0.113.77".parse().unwrap(),
                            Family::V6 => "2001:db8:77::7".parse().unwrap(),
                        },
                        link: "eth0",
                        to: SocketAddr::new(ip, port.port.get()),
                        protocol: port.protocol.0,
                        translated: false,
                        mark: 0,
                    };
                    let fates = fates(&host, &state, &packet);
                    prop_assert!(!fates.iter().any(Fate::is_untouched), "{packet:?}: {fates:?}");
                    if !usable {
                        prop_assert_eq!(fates, BTreeSet::from([Fate::Refused]), "{:?}", packet);
                    }
                }
            }
        }
    }
}
