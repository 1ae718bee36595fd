//! What Services ask for by annotation, as far as the loop has a part in it.

use ipvs_netlink::Scheduler;
use proxier::cluster::{DrainLimit, Service, ServiceOptions};

use super::*;

impl Fixture {
    /// The Service with other options.
    fn take_options(&mut self, set: impl FnOnce(&mut ServiceOptions)) {
        let mut service: Service = self.cluster.services.values().next().unwrap().clone();
        let mut options = ServiceOptions::default();
        set(&mut options);
        service.options = Some(Box::new(options));
        self.take(Change::Service(Box::new(service)));
    }

    fn scheduler(&self) -> String {
        let state = self.syncer.machine().state();
        state.servers[0].config.scheduler.to_string()
    }
}

#[test]
fn a_scheduler_that_the_kernel_lacks_keeps_no_service_waiting() {
    let mut fixture = Fixture::new();
    fixture.take_all();
    fixture.next();
    let log = captured(|| {
        for name in ["absent", "absent", "wlc"] {
            fixture.take_options(|options| options.scheduler = Some(name.parse().unwrap()));
            fixture.pass(Duration::from_secs(2));
            let report = fixture.next();
            assert!(report.is_ok(), "{report:?}");
            let expected = if name == "absent" { "rr" } else { name };
            assert_eq!(fixture.scheduler(), expected);
        }
        // A look at the machine does not forget what is missing.
        fixture.take_options(|options| options.scheduler = Some("absent".parse().unwrap()));
        while fixture.next().task != Task::Full {}
        assert_eq!(fixture.scheduler(), "rr");
    });
    assert_eq!(log.matches("no scheduler absent").count(), 1, "{log}");
    assert!(log.contains("modprobe ip_vs_absent"), "{log}");
    let missing = &fixture.syncer.engine().host().missing_schedulers;
    assert!(
        missing
            .iter()
            .eq(["absent".parse::<Scheduler>().as_ref().unwrap()])
    );
}

/// What is asked for is said to have no effect once, until that changes.
#[test]
fn an_address_that_the_node_lacks_is_said_once() {
    let mut fixture = Fixture::new();
    fixture.take_all();
    let config = Config::with_layout(Layout::Nftables);
    fixture
        .syncer
        .take(Event::Config(Box::new(config)), fixture.now.get());
    fixture.next();
    let log = captured(|| {
        for network in ["198.18.0.0/15", "198.18.0.0/15", "198.19.0.0/16"] {
            let network = network.parse().unwrap();
            fixture.take_options(|options| options.masquerade_networks = vec![network]);
            fixture.pass(Duration::from_secs(2));
            let report = fixture.next();
            assert!(report.is_ok(), "{report:?}");
        }
        while fixture.next().task != Task::Full {}
    });
    let says = |network: &str| {
        let why = "this node has no IPv4 address there, and its kernel chooses one";
        let text = format!("kube-proxier/masquerade-address: {network} has no effect: {why}");
        log.matches(&text).count()
    };
    assert_eq!(
        (says("198.18.0.0/15"), says("198.19.0.0/16")),
        (1, 1),
        "{log}"
    );
}

/// A destination with a connection, whose endpoint goes; looks at the kernel as the loop takes them until it has gone.
fn gone_after(limit: DrainLimit) -> Option<Duration> {
    let mut fixture = Fixture::new();
    fixture.take_all();
    fixture.take_options(|options| options.drain = Some(limit));
    fixture.next();
    let state = fixture.syncer.machine().state();
    let server = &state.servers[0];
    let connections = Connections {
        active: 1,
        ..Connections::default()
    };
    let destination = server.destinations[0].destination.id;
    let kernel = &mut fixture.syncer.machine;
    kernel.set_connections(&server.id, &destination, connections);
    fixture.pass(Duration::from_secs(2));
    fixture.empty();
    fixture.next();
    let began = fixture.now.get();
    let log = captured(|| {
        while !fixture.destinations().is_empty()
            && fixture.now.get() - began < Duration::from_secs(600)
        {
            fixture.next();
        }
    });
    let gone = fixture.destinations().is_empty();
    let took = fixture.now.get() - began;
    assert_eq!(
        log.contains("they are cut"),
        gone && took > Duration::ZERO,
        "{log}"
    );
    assert!(!log.contains("others changed"), "{log}");
    gone.then_some(took)
}

#[test]
fn connections_are_cut_when_the_time_is_over() {
    assert_eq!(gone_after(DrainLimit::Idle), None);
    assert_eq!(gone_after(DrainLimit::Seconds(0)), Some(Duration::ZERO));
    for seconds in [7, 45, 200] {
        let after = gone_after(DrainLimit::Seconds(seconds));
        assert_eq!(after, Some(Duration::from_secs(seconds.into())));
    }
}
