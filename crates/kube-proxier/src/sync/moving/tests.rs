//! Modes on a kernel in memory, on a machine that lacks something.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::time::{Duration, Instant};

use ipvs_netlink::Connections;
use proxier::cluster::{Change, Host, PerFamily};
use proxier::kernel::Applied;
use proxier::{Config, Kernel, KernelError, MemoryKernel, Observed};
use proxier_linux::{Signs, Touched};

use super::*;
use crate::event::Event;
use crate::logging::tests::captured;
use crate::machine::SwitchError;
use crate::sync::tests::YAML;

/// A Service without endpoints, beside those of the loop's tests.
const OTHER: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {clusterIP: 10.96.0.8, ports: [{name: http, port: 80}]}
";

/// A machine that lacks something of what ipvs mode needs, and whether it was released from what another mode needed.
struct Lacking(MemoryKernel, &'static str, bool);

impl Kernel for Lacking {
    fn observe(&mut self) -> Result<Observed, KernelError> {
        self.0.observe()
    }

    fn connections(
        &mut self,
        servers: &[VirtualServerId],
    ) -> Result<Vec<ServerConnections>, KernelError> {
        self.0.connections(servers)
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        self.0.apply(plan)
    }
}

impl Machine for Lacking {
    fn host(&mut self, node_name: &str) -> Result<Host, KernelError> {
        Ok(Host::new(node_name))
    }

    fn signs(&mut self, _: &Touched) -> Signs {
        Signs {
            servers: None,
            listing: None,
            sets: None,
            rules: PerFamily { v4: None, v6: None },
            settings: None,
        }
    }

    fn settled(&mut self) {
        self.2 = true;
    }

    fn switch_to(&mut self, config: &Config) -> Result<(), SwitchError> {
        self.2 = false;
        match config.layout.uses_ipvs() && !self.1.is_empty() {
            true => Err(SwitchError::Lacks(self.1.to_owned())),
            false => Ok(()),
        }
    }

    fn forget_flows(
        &mut self,
        _: &[(VirtualServerId, Vec<ipvs_netlink::DestinationId>)],
    ) -> Result<usize, KernelError> {
        Ok(0)
    }
}

struct Fixture {
    syncer: Syncer<Lacking>,
    now: Instant,
}

impl Fixture {
    fn new(lacks: &'static str) -> Self {
        let now = Instant::now();
        let machine = Lacking(MemoryKernel::new(), lacks, false);
        let config = Config::with_layout(Layout::Iptables);
        let mut syncer = Syncer::new(machine, "node-a", config, now).unwrap();
        for change in [
            Change::Services(Vec::new()),
            Change::Slices(Vec::new()),
            Change::Nodes(Vec::new()),
        ] {
            let triggered = None;
            syncer.take(Event::Cluster { change, triggered }, now);
        }
        let mut fixture = Self { syncer, now };
        fixture.full_sync();
        fixture
    }

    fn full_sync(&mut self) -> String {
        self.now += Duration::from_secs(60);
        let now = self.now;
        captured(|| assert!(self.syncer.step(|| now).unwrap().is_ok()))
    }

    fn ask_for(&mut self, layout: Layout) -> String {
        let config = Box::new(Config::with_layout(layout));
        self.syncer.take(Event::Config(config), self.now);
        self.full_sync()
    }

    fn layout(&self) -> Layout {
        self.syncer.engine().config().layout
    }
}

#[test]
fn virtual_servers_with_connections_stay_until_these_end() {
    let mut fixture = Fixture::new("");
    let reading = proxier_manifest::read_cluster("test", format!("{YAML}{OTHER}").as_bytes());
    let cluster = reading.cluster;
    for change in [
        Change::Services(cluster.services.into_values().collect()),
        Change::Slices(cluster.slices.into_values().collect()),
    ] {
        let triggered = None;
        fixture
            .syncer
            .take(Event::Cluster { change, triggered }, fixture.now);
    }
    fixture.ask_for(Layout::Current);
    let ids = |fixture: &Fixture| -> Vec<_> {
        let state = fixture.syncer.machine.0.state();
        state.servers.iter().map(|server| server.id).collect()
    };
    let [first, _] = ids(&fixture)[..] else {
        panic!()
    };
    let state = fixture.syncer.machine.0.state();
    let destination = state.servers[0].destinations[0].destination.id;
    let open = Connections {
        active: 1,
        ..Connections::default()
    };
    let memory = &mut fixture.syncer.machine.0;
    memory.set_connections(&first, &destination, open);

    let lines = fixture.ask_for(Layout::Iptables);
    assert!(lines.contains("stay until these end"), "{lines}");
    assert!(!lines.contains("no Service wants them"), "{lines}");
    assert_eq!(fixture.layout(), Layout::Iptables);
    assert_eq!(ids(&fixture), [first]);
    let bound = |fixture: &Fixture| {
        fixture
            .syncer
            .machine
            .0
            .state()
            .addresses
            .map(|all| all.len())
    };
    assert_eq!(bound(&fixture), Some(1));
    fixture.full_sync();
    assert_eq!((ids(&fixture), bound(&fixture)), (vec![first], Some(1)));
    assert!(!fixture.syncer.machine.2, "IPVS is needed still");

    let memory = &mut fixture.syncer.machine.0;
    memory.set_connections(&first, &destination, Connections::default());
    fixture.full_sync();
    assert_eq!((ids(&fixture), bound(&fixture)), (Vec::new(), None));
    assert!(fixture.syncer.machine.2);
}

#[test]
fn iptables_mode_stands_in_until_what_is_missing_is_there() {
    let mut fixture = Fixture::new("module ip_vs: absent");
    let lines = fixture.ask_for(Layout::Current);
    for line in [
        "Can't use ipvs proxier, trying iptables proxier",
        "Using iptables Proxier.",
        "module ip_vs: absent",
    ] {
        assert!(lines.contains(line), "{line}: {lines}");
    }
    assert_eq!(fixture.layout(), Layout::Iptables);
    assert_eq!(fixture.syncer.missing(), Some("module ip_vs: absent"));

    // Said once, and again when it is something else.
    assert_eq!(fixture.full_sync(), "");
    assert_eq!(fixture.ask_for(Layout::Current), "");
    fixture.syncer.machine.1 = "module ip_vs_rr: absent";
    let lines = fixture.full_sync();
    assert!(lines.contains("still stands in"), "{lines}");
    assert_eq!(fixture.syncer.missing(), Some("module ip_vs_rr: absent"));

    fixture.syncer.machine.1 = "";
    let lines = fixture.full_sync();
    assert!(lines.contains("Using ipvs Proxier."), "{lines}");
    assert_eq!(fixture.layout(), Layout::Current);
    assert_eq!(fixture.syncer.missing(), None);
}

#[test]
fn iptables_mode_that_is_asked_for_itself_stays() {
    let mut fixture = Fixture::new("module ip_vs: absent");
    fixture.ask_for(Layout::Current);
    fixture.ask_for(Layout::Iptables);
    assert_eq!(fixture.syncer.missing(), None);
    fixture.syncer.machine.1 = "";
    fixture.full_sync();
    assert_eq!(fixture.layout(), Layout::Iptables);
    let lines = fixture.ask_for(Layout::Current);
    assert!(lines.contains("Using ipvs Proxier."), "{lines}");
    assert_eq!(fixture.layout(), Layout::Current);
}
