//! Packets while everything else changes.

use std::thread;
use std::time::{Duration, Instant};

use kernel_test::{Netns, sysctl};
use proxier::cluster::Family;
use proxier::{Config, Layout};
use proxier_linux::LinuxKernel;

use crate::api_server::ApiServer;
use crate::cluster::{Churn, STEADY, missing, steady};
use crate::daemon::Setup;
use crate::restarts::{of_layout, prepare};
use scenarios::client::{Protocol, answer};
use scenarios::servers::serve;
use scenarios::topology::{POD, Topology};

/// How long a round of six requests takes at least. The guest tracks 8,192 flows at a time, each for two minutes,
/// and drops what begins another: a minute may hold 6,000.
const ROUND: Duration = Duration::from_millis(60);

/// No request to a Service that does not change is lost.
pub(crate) fn nothing_is_lost_while_others_change(span: Duration, layout: Layout) {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    prepare(&net, layout);
    let server = ApiServer::start();
    steady(&server, &[&POD.of(Family::V4).to_string()]);
    let fields = "ipvs: {minSyncPeriod: 100ms, syncPeriod: 5s}\nconntrack: {maxPerCore: 0}\n";
    let setup = of_layout(Setup::new(&server, fields), layout);
    let mut daemon = setup.started();
    let churn = Churn::start(&server, 100, 5);
    churn.go_on();
    let to = format!("{STEADY}:80").parse().unwrap();
    let end = Instant::now() + span;
    let mut asked = 0;
    while Instant::now() < end {
        let next = Instant::now() + ROUND;
        for from in [&net.client, &net.pod, &Netns::current().unwrap()] {
            for protocol in Protocol::BOTH {
                // Panics where no answer comes.
                answer(from, protocol, to);
                asked += 1;
            }
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    churn.pause();
    let mut kernel = LinuxKernel::open_for(layout).unwrap();
    let config = Config::with_layout(layout);
    daemon.wait_until("end of all changes", || {
        match missing(&server, &mut kernel, &config).as_str() {
            "" => Ok(()),
            left => Err(left.to_owned()),
        }
    });
    println!(
        "{asked} requests answered, {} changes, {} of {} flows tracked",
        churn.made(),
        sysctl("net.netfilter.nf_conntrack_count"),
        sysctl("net.netfilter.nf_conntrack_max")
    );
}
