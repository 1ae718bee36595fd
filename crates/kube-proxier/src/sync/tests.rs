//! The loop's decisions, on a kernel in memory.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod failing;
mod links;
mod options;
mod others;

use std::cell::Cell;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use dummy_link::Removal;
use ipvs_netlink::{Connections, Protocol};
use proxier::cluster::{
    Cluster, Endpoint, EndpointPort, EndpointSlice, Family, ObjectName, Service, ServicePort,
};
use proxier::{KernelErrorKind, KernelPart, MemoryKernel, Observed};

use super::*;
use crate::logging::tests::captured;

pub(super) const YAML: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.7, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.5]}]
ports: [{name: http, port: 8080}]
";

struct Fixture {
    syncer: Syncer<MemoryKernel>,
    cluster: Cluster,
    now: Cell<Instant>,
}

impl Fixture {
    fn new() -> Self {
        let now = Instant::now();
        let kernel = MemoryKernel::new();
        Self {
            syncer: Syncer::new(kernel, "node-a", Config::default(), now).unwrap(),
            cluster: proxier_manifest::read_cluster("test", YAML.as_bytes()).cluster,
            now: Cell::new(now),
        }
    }

    fn take(&mut self, change: Change) -> bool {
        let event = Event::Cluster {
            change,
            triggered: Some(SystemTime::UNIX_EPOCH),
        };
        self.syncer.take(event, self.now.get())
    }

    fn take_all(&mut self) {
        let Cluster {
            services,
            slices,
            nodes,
            ..
        } = self.cluster.clone();
        self.take(Change::Services(services.into_values().collect()));
        self.take(Change::Slices(slices.into_values().collect()));
        self.take(Change::Nodes(nodes.into_values().collect()));
    }

    fn step(&mut self) -> Option<Report> {
        self.syncer.step(|| self.now.get())
    }

    /// What is due next, whenever that is.
    fn next(&mut self) -> Report {
        // Signs of others are looked at meanwhile.
        loop {
            let next = self.syncer.next().unwrap();
            self.now.set(next.max(self.now.get()));
            if let Some(report) = self.step() {
                return report;
            }
        }
    }

    fn pass(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    /// The Service without endpoints.
    fn empty(&mut self) {
        let mut slice = self.cluster.slices.values().next().unwrap().clone();
        slice.endpoints.clear();
        self.take(Change::Slice(Box::new(slice)));
    }

    fn destinations(&self) -> Vec<(u32, Connections)> {
        let state = self.syncer.machine().state();
        let all = state.servers.iter().flat_map(|server| &server.destinations);
        all.map(|found| (found.destination.config.weight, found.connections))
            .collect()
    }
}

/// Many Services, each with a slice of one endpoint in a network.
fn many(network: u8) -> Cluster {
    let mut cluster = Cluster::default();
    let port = std::num::NonZeroU16::MIN;
    for n in 0..u8::try_from(2 * CHANGES + 1).unwrap() {
        let name = ObjectName::new("default", format!("web-{n}"));
        let mut service = Service::new(name.clone(), vec![[10, 96, 0, n].into()]);
        service.ports = vec![ServicePort::new("", Protocol::TCP, port)];
        cluster.add_service(service);
        let slice = EndpointSlice::new(name, format!("web-{n}"), Family::V4)
            .with_ports([EndpointPort::new("", Protocol::TCP, port)])
            .with_endpoints([Endpoint::ready([10, network, 0, n].into())]);
        cluster.add_slice(slice);
    }
    cluster
}

#[test]
fn what_the_changes_of_many_slices_let_go_is_gone_after_one_sync() {
    let mut fixture = Fixture::new();
    fixture.cluster = many(244);
    fixture.take_all();
    assert!(fixture.next().is_ok());
    let slices = many(245).slices;
    let count = slices.len();
    for slice in slices.into_values() {
        fixture.take(Change::Slice(Box::new(slice)));
    }
    let report = fixture.next();
    assert_eq!((report.task, report.draining), (Task::Changes, 0));
    // Each endpoint is added, and another gets weight 0 and is deleted.
    assert_eq!((report.is_ok(), report.done()), (true, 3 * count));
    let state = fixture.syncer.machine().state();
    let mut found = state.servers.iter().flat_map(|server| &server.destinations);
    assert_eq!(found.clone().count(), count);
    assert!(found.all(|found| {
        let address = found.destination.id.address;
        matches!(address, IpAddr::V4(address) if address.octets()[1] == 245)
    }));
}

#[test]
fn nothing_is_done_until_everything_has_been_listed() {
    let mut fixture = Fixture::new();
    fixture.take(Change::Services(Vec::new()));
    fixture.take(Change::Slices(Vec::new()));
    fixture.pass(Duration::from_secs(3600));
    assert_eq!(fixture.syncer.next(), None);
    assert!(fixture.step().is_none());
    assert_eq!(
        fixture.syncer.machine().state(),
        MemoryKernel::new().state()
    );
    fixture.take(Change::Nodes(Vec::new()));
    assert_eq!(fixture.step().unwrap().task, Task::Full);
}

#[test]
fn a_change_is_one_small_sync() {
    let mut fixture = Fixture::new();
    fixture.take_all();
    let first = fixture.next();
    assert!(first.is_ok() && first.task == Task::Full, "{first:?}");
    assert_eq!(first.programmed, []);
    assert_eq!(fixture.destinations().len(), 1);
    fixture.pass(Duration::from_secs(2));
    fixture.empty();
    let second = fixture.next();
    assert_eq!((second.task, second.is_ok()), (Task::Changes, true));
    // To weight 0, then away, since nobody was connected.
    assert_eq!(
        second.tally.get("ipvs"),
        Some(&Tally { done: 2, failed: 0 })
    );
    assert_eq!(second.draining, 0);
    assert_eq!(second.programmed, [(Family::V4, SystemTime::UNIX_EPOCH)]);
    assert_eq!(fixture.destinations(), []);
}

#[test]
fn destinations_with_connections_are_looked_at_until_they_are_done() {
    let mut fixture = Fixture::new();
    fixture.take_all();
    fixture.next();
    let connections = Connections {
        active: 1,
        ..Connections::default()
    };
    let (server, destination) = {
        let state = fixture.syncer.machine().state();
        let server = state.servers.first().unwrap();
        (
            server.id,
            server.destinations.first().unwrap().destination.id,
        )
    };
    fixture
        .syncer
        .machine
        .set_connections(&server, &destination, connections);
    fixture.pass(Duration::from_secs(2));
    fixture.empty();
    let report = fixture.next();
    assert_eq!(report.draining, 1);
    assert_eq!(fixture.destinations(), [(0, connections)]);
    fixture
        .syncer
        .machine
        .set_connections(&server, &destination, Connections::default());
    while fixture.next().draining > 0 {}
    assert_eq!(fixture.destinations(), []);
}

#[test]
fn causes_of_changes_are_bounded_while_nothing_can_be_synced() {
    let mut fixture = Fixture::new();
    fixture.take(Change::Services(Vec::new()));
    for _ in 0..5000 {
        fixture.empty();
    }
    assert_eq!(fixture.syncer.triggers.len(), 1000);
}

/// What others remove from the link is put back without waiting for the period, what we removed is not.
#[test]
fn what_others_remove_from_the_link_is_compared_at_once() {
    let mut fixture = Fixture::new();
    fixture.take_all();
    fixture.next();
    fixture.pass(Duration::from_secs(2));
    let removal = |address: &str| {
        Event::Removed(vec![Removal::Address {
            link: proxier::LINK.parse().unwrap(),
            address: address.parse().unwrap(),
        }])
    };
    let now = fixture.now.get();
    assert!(!fixture.syncer.take(removal("10.96.0.7/32"), now));
    let report = fixture.step().unwrap();
    assert_eq!(report.task, Task::Full);
    // Ours.
    fixture.pass(Duration::from_secs(2));
    fixture.take(Change::ServiceGone(ObjectName::new("default", "web")));
    assert_eq!(fixture.next().task, Task::Changes);
    fixture.pass(Duration::from_secs(2));
    let now = fixture.now.get();
    fixture.syncer.take(removal("10.96.0.7/32"), now);
    assert!(fixture.step().is_none());
}

#[test]
fn each_period_heals_what_others_changed() {
    let mut fixture = Fixture::new();
    fixture.take_all();
    fixture.next();
    let untouched = fixture.syncer.machine().state();
    fixture.syncer.machine = MemoryKernel::new();
    let report = fixture.next();
    assert_eq!(report.task, Task::Full);
    assert_eq!(fixture.syncer.machine().state(), untouched);
}

#[test]
fn another_configuration_is_followed() {
    let mut fixture = Fixture::new();
    fixture.take_all();
    fixture.next();
    let mut config = Config::default();
    config.scheduler = "lc".parse().unwrap();
    let now = fixture.now.get();
    assert!(fixture.syncer.take(Event::Config(Box::new(config)), now));
    fixture.next();
    let state = fixture.syncer.machine().state();
    assert_eq!(
        state.servers.first().unwrap().config.scheduler.as_str(),
        "lc"
    );
    assert_eq!(fixture.syncer.engine().cluster().services.len(), 1);
    fixture.take(Change::ServiceGone(ObjectName::new("default", "web")));
    fixture.next();
    assert!(fixture.syncer.machine().state().servers.is_empty());
}

/// Signs are looked at each second, so nothing waits for the period.
#[test]
fn what_others_remove_is_mended_at_the_next_look_and_reported() {
    let mut fixture = Fixture::new();
    fixture.take_all();
    fixture.next();
    let untouched = fixture.syncer.machine().state();
    let removals: [fn(&mut MemoryKernel); 3] = [
        |kernel| clear(kernel, |state| state.servers.clear()),
        |kernel| clear(kernel, |state| state.rules = Default::default()),
        |kernel| {
            clear(kernel, |state| {
                for set in state.sets.values_mut() {
                    set.entries.clear();
                }
            });
        },
    ];
    for remove in removals {
        fixture.pass(Duration::from_secs(5));
        while fixture.step().is_some() {}
        let before = fixture.now.get();
        remove(&mut fixture.syncer.machine);
        let mut report = None;
        let text = captured(|| report = Some(fixture.next()));
        assert_eq!(report.unwrap().task, Task::Full);
        assert!(fixture.now.get() - before <= Duration::from_secs(2));
        assert_eq!(fixture.syncer.machine().state(), untouched);
        assert_eq!(
            text.matches("others changed what is programmed").count(),
            1,
            "{text}"
        );
    }
    // What we change ourselves is nobody else's doing.
    let text = captured(|| {
        fixture.pass(Duration::from_secs(5));
        fixture.empty();
        assert_eq!(fixture.next().task, Task::Changes);
        assert_eq!(fixture.next().task, Task::Full);
    });
    assert!(!text.contains("others changed"), "{text}");
}

/// Another kernel that holds the same but for a change.
fn clear(kernel: &mut MemoryKernel, change: impl FnOnce(&mut Observed)) {
    let mut state = kernel.state();
    change(&mut state);
    *kernel = MemoryKernel::holding(&state);
}
