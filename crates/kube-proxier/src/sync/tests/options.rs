//! What Services ask for by annotation, as far as the loop has a part in it.

use ipvs_netlink::Scheduler;
use proxier::cluster::{Service, ServiceOptions};

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
