//! The daemon at work, for a profile of what it runs (`deploy/profiled`): each end in order writes what was counted until then.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use proxier::Layout;

use crate::api_server::ApiServer;
use crate::cluster::Churn;
use crate::daemon::{Daemon, HEALTH, METRICS, Setup, get};
use crate::restarts::of_layout;
use crate::size::{changed, fill};

/// Services of ten endpoints each.
const SERVICES: u32 = 1000;
/// Changes of one endpoint, one after the other.
const CHANGES: u32 = 2000;
/// For as long as this, Services come, go and move as well.
const CHURN: Duration = Duration::from_secs(5);

/// Starts with a cluster, follows its changes, and is asked what operators ask: in protobuf by HTTP/2 over TLS, and in JSON by
/// plain HTTP.
pub(crate) fn at_work(layout: Layout) {
    let plain = ApiServer::start();
    plain.speak_json();
    for server in [ApiServer::start_with_http2(), plain] {
        fill(&server, SERVICES);
        let fields = "ipvs: {minSyncPeriod: 1ms, syncPeriod: 2s}\n";
        let setup = of_layout(Setup::new(&server, fields), layout);
        let daemon = setup.started();
        for number in 0..CHANGES {
            server.put(changed(number % SERVICES, number));
            // Some come alone, and some with others.
            if number % 10 == 0 {
                thread::sleep(Duration::from_millis(10));
            }
        }
        let churn = Churn::start(&server, 100, 5);
        churn.go_on();
        thread::sleep(CHURN);
        churn.pause();
        drop(churn);
        ask();
        end(daemon, &setup);
        // After a restart all is in the kernel.
        let daemon = setup.started();
        ask();
        if layout == Layout::Current {
            // Followed live, to the other mode and back.
            setup.reconfigure(&format!("mode: iptables\n{fields}"));
            thread::sleep(CHURN);
        }
        end(daemon, &setup);
    }
}

/// What a probe, Prometheus and a person at the node ask.
fn ask() {
    for (server, path) in [
        (METRICS, "/metrics"),
        (METRICS, "/proxyMode"),
        (METRICS, "/configz"),
        (HEALTH, "/healthz"),
        (HEALTH, "/livez"),
    ] {
        for _ in 0..5 {
            let (status, _) = get(server, path).unwrap();
            assert_eq!(status, 200, "{path}");
        }
    }
}

fn end(daemon: Daemon, setup: &Setup) {
    let (status, _) = daemon.stop(Signal::SIGTERM);
    assert!(status.success(), "{status}: {}", setup.log());
}
