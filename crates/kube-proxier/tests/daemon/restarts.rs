//! Killed at any moment, and started again.

use std::thread;
use std::time::Duration;

use kernel_test::cmd;
use proxier::cluster::Family;
use proxier::{Config, Layout};
use proxier_linux::LinuxKernel;

use crate::api_server::ApiServer;
use crate::cluster::{Churn, Dice, STEADY, missing, steady};
use crate::daemon::Setup;
use scenarios::client::Conversation;
use scenarios::servers::serve;
use scenarios::topology::{POD, Topology};

/// Where no address is bound, the node sends to a Service only if it has a route to the address.
pub(crate) fn prepare(net: &Topology, layout: Layout) {
    if layout == Layout::Nftables {
        net.node.cmd("ip route add default via 192.168.10.2");
    }
}

/// The daemon with a layout; with `nftables` it finds no program.
pub(crate) fn of_layout(setup: Setup, layout: Layout) -> Setup {
    let setup = setup.flag(&format!("--layout={}", layout.as_str()));
    match layout {
        Layout::Nftables => setup.variable("PATH", ""),
        _ => setup,
    }
}

/// After each restart one sync reaches the expected state, and a connection lives through all of it. With the layout
/// `nftables` somebody flushes the rule set now and then while the daemon is dead.
pub(crate) fn killed_at_random_moments(rounds: usize, layout: Layout) {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    prepare(&net, layout);
    let server = ApiServer::start();
    let pod = POD.of(Family::V4).to_string();
    steady(&server, &[&pod]);
    // The limit of connections is the machine's, and this need not be its first network namespace.
    let fields = "ipvs: {minSyncPeriod: 10ms}\nconntrack: {maxPerCore: 0}\n";
    let setup = of_layout(Setup::new(&server, fields), layout);
    let mut kernel = LinuxKernel::open_for(layout).unwrap();
    let config = Config::with_layout(layout);

    let first = setup.started();
    let to = format!("{STEADY}:80").parse().unwrap();
    let (mut open, _) = Conversation::with(&net.client, to);
    open.say("before");
    first.kill();

    let seed = 4;
    let mut dice = Dice::new(seed);
    let churn = Churn::start(&server, 100, seed);
    for round in 1..=rounds {
        churn.go_on();
        // Some do not live to see their first sync.
        if dice.below(3) == 0 {
            let young = setup.start();
            thread::sleep(Duration::from_millis(dice.below(1500)));
            young.kill();
        }
        churn.pause();
        let daemon = setup.started();
        let left = missing(&server, &mut kernel, &config);
        assert_eq!(left, "", "round {round}, after one sync: {}", setup.log());
        open.say("still here");
        if round % 10 == 0 {
            println!("round {round}, {} changes so far", churn.made());
        }
        churn.go_on();
        thread::sleep(Duration::from_millis(dice.below(500)));
        daemon.kill();
        if layout == Layout::Nftables && round < rounds && dice.below(4) == 0 {
            cmd("nft flush ruleset");
        }
    }
    open.say("to the end");
    println!("{rounds} rounds, {} changes, one connection", churn.made());
}
