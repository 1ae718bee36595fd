//! What others do to the tables, rules and routes, and how soon it is mended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel_test::{cmd, try_cmd};
use nftables_netlink::{Event, Monitor};
use proxier::{Config, Layout};
use serde_json::json;

use super::{kernel, without_tools};
use crate::api_server::ApiServer;
use crate::cluster::{missing, service, slice, steady};
use crate::daemon::metric;

/// When the kernel reported changes of nf_tables, of routing rules and of routes, whoever made them.
struct Watch {
    times: Receiver<Instant>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, times) = channel();
        let mut tables = Monitor::open().unwrap();
        let routing = dummy_link::Monitor::open().unwrap();
        let mut routing = routing.with_routing().unwrap();
        let each: [Box<dyn FnMut(Duration) -> bool + Send>; 2] = [
            Box::new(move |wait| {
                matches!(tables.next(Some(wait)).unwrap(), Some(Event::Changed(_)))
            }),
            Box::new(move |wait| routing.wait(wait).unwrap().is_some()),
        ];
        let threads = each.map(|mut changed| {
            let (stop, sender): (_, Sender<Instant>) = (Arc::clone(&stop), sender.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    if changed(Duration::from_secs(1)) && sender.send(Instant::now()).is_err() {
                        return;
                    }
                }
            })
        });
        Self {
            times,
            stop,
            threads: threads.into(),
        }
    }

    /// From the first report since the last call to the last one.
    fn span(&self) -> Duration {
        let times: Vec<_> = self.times.try_iter().collect();
        *times.iter().max().unwrap() - *times.iter().min().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The next period is an hour away: the kernel reports what others do, and it is mended at once.
pub(crate) fn what_others_do_is_mended_at_once() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let mut six = service("six", "fd00:10:96::10");
    six["spec"]["ipFamilies"] = json!(["IPv6"]);
    server.put(six);
    let fields = "conntrack: {maxPerCore: 0}\nipvs: {syncPeriod: 1h, minSyncPeriod: 1h}\n";
    let setup = without_tools(&server, fields);
    let mut daemon = setup.started();
    let mut kernel = kernel();
    let config = Config::with_layout(Layout::Nftables);
    assert_eq!(missing(&server, &mut kernel, &config), "");
    let held = || {
        let commands = [
            "nft list table ip kube-proxier || true",
            "nft list table ip6 kube-proxier || true",
            "ip rule",
            "ip -6 rule",
            "ip route show table 8192",
            "ip -6 route show table 8192",
        ];
        commands.map(cmd)
    };
    let before = held();
    let watch = Watch::start();
    let full = "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}";
    let mut syncs = metric(full).unwrap();
    for tampering in [
        "nft flush ruleset",
        "nft delete table ip6 kube-proxier",
        "nft delete element ip kube-proxier services '{ 10.96.0.10 . tcp . 80 }'",
        "nft add element ip kube-proxier services '{ 10.96.0.99 . tcp . 80 }'",
        "nft flush chain ip kube-proxier prerouting",
        "ip rule del priority 77",
        "ip -6 rule del priority 78",
        "ip route flush table 8192",
    ] {
        let began = Instant::now();
        if let Err(error) = try_cmd(tampering) {
            assert!(
                tampering.contains("nft delete table") || tampering.contains("flush"),
                "{error}"
            );
        }
        let did = began.elapsed();
        daemon.wait_until(tampering, || {
            if metric(full) > Some(syncs) && held() == before {
                Ok(())
            } else {
                Err(format!("{:#?}\n{}", held(), setup.log()))
            }
        });
        syncs = metric(full).unwrap();
        println!(
            "{tampering}: from the kernel's report to the last change that mends it {:?}; the command took {did:?}, seen to be \
             mended after {:?}",
            watch.span(),
            began.elapsed()
        );
    }
    let log = setup.log();
    assert!(
        log.contains("others changed: table ip kube-proxier removed"),
        "{log}"
    );
    assert!(log.contains("(by nft, process "), "{log}");
    assert_eq!(missing(&server, &mut kernel, &config), "");
    // Its own changes do not wake it, and neither do those of others elsewhere.
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    cmd(
        "nft add table inet other && nft delete table inet other && ip rule add fwmark 7 table 99 && ip rule del fwmark 7 table 99",
    );
    thread::sleep(Duration::from_secs(3));
    assert_eq!(metric(full), Some(syncs), "{}", setup.log());
}
