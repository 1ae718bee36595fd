//! Changes of links that could not be looked at.

use ipvs_netlink::{DestinationId, VirtualServerId};
use proxier::cluster::Host;
use proxier::kernel::Applied;
use proxier::{Kernel, Observed, ServerConnections};

use proxier_linux::{Signs, Touched};

use super::*;

/// A machine whose links cannot be listed for a while.
struct Blind {
    kernel: MemoryKernel,
    blind: bool,
    /// An address of the node.
    address: &'static str,
    looks: usize,
}

impl Kernel for Blind {
    fn observe(&mut self) -> Result<Observed, KernelError> {
        self.kernel.observe()
    }

    fn connections(
        &mut self,
        servers: &[VirtualServerId],
    ) -> Result<Vec<ServerConnections>, KernelError> {
        self.kernel.connections(servers)
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        self.kernel.apply(plan)
    }
}

impl Machine for Blind {
    fn host(&mut self, node_name: &str) -> Result<Host, KernelError> {
        self.looks += 1;
        if self.blind {
            let (part, kind) = (KernelPart::Links, KernelErrorKind::Busy);
            return Err(KernelError::new(part, kind, "not now"));
        }
        let mut host = Host::new(node_name);
        let address = self.address.parse().unwrap();
        host.links.insert("eth0".parse().unwrap(), address);
        Ok(host)
    }

    fn signs(&mut self, touched: &Touched) -> Signs {
        self.kernel.signs(touched)
    }

    fn forget_flows(
        &mut self,
        servers: &[(VirtualServerId, Vec<DestinationId>)],
    ) -> Result<usize, KernelError> {
        self.kernel.forget_flows(servers)
    }
}

/// Goes on to what is due next.
fn next(syncer: &mut Syncer<Blind>, now: &mut Instant) -> Report {
    loop {
        *now = syncer.next().unwrap().max(*now);
        let time = *now;
        if let Some(report) = syncer.step(|| time) {
            return report;
        }
    }
}

#[test]
fn an_event_about_links_that_could_not_be_followed_up_is_not_forgotten() {
    let mut now = Instant::now();
    let machine = Blind {
        kernel: MemoryKernel::new(),
        blind: false,
        address: "192.168.10.10/24",
        looks: 0,
    };
    // The next full sync is too far away to help.
    let mut config = Config::default();
    config.sync_period = Duration::from_secs(36_000);
    let mut syncer = Syncer::new(machine, "node-a", config, now).unwrap();
    for change in [
        Change::Services(Vec::new()),
        Change::Slices(Vec::new()),
        Change::Nodes(Vec::new()),
    ] {
        let triggered = None;
        syncer.take(Event::Cluster { change, triggered }, now);
    }
    assert!(next(&mut syncer, &mut now).is_ok());
    let addresses = |syncer: &Syncer<Blind>| -> Vec<String> {
        let all = syncer.engine().host().addresses();
        all.map(|address| address.to_string()).collect()
    };
    assert_eq!(addresses(&syncer), ["192.168.10.10"]);

    (syncer.machine.blind, syncer.machine.address) = (true, "192.168.10.99/24");
    assert!(syncer.take(Event::Links, now));
    let before = syncer.machine.looks;
    for _ in 0..3 {
        assert!(next(&mut syncer, &mut now).unread.is_some());
    }
    assert_eq!(syncer.machine.looks, before + 3);
    assert_eq!(addresses(&syncer), ["192.168.10.10"]);
    syncer.machine.blind = false;
    let report = next(&mut syncer, &mut now);
    assert_eq!((report.task, report.is_ok()), (Task::Changes, true));
    assert_eq!(addresses(&syncer), ["192.168.10.99"]);
    // Once is enough.
    let looks = syncer.machine.looks;
    syncer.take(
        Event::Cluster {
            change: Change::NodeGone("node-b".into()),
            triggered: None,
        },
        now,
    );
    next(&mut syncer, &mut now);
    assert_eq!(syncer.machine.looks, looks);
}
