//! Killed at any moment, and started again.

use std::thread;
use std::time::Duration;

use proxier::Config;
use proxier::cluster::Family;
use proxier_linux::LinuxKernel;

use crate::api_server::ApiServer;
use crate::cluster::{Churn, Dice, STEADY, missing, steady};
use crate::daemon::Setup;
use scenarios::client::Conversation;
use scenarios::servers::serve;
use scenarios::topology::{POD, Topology};

/// After each restart one sync reaches the expected state, and a connection lives through all of it.
pub(crate) fn killed_at_random_moments(rounds: usize) {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    let server = ApiServer::start();
    let pod = POD.of(Family::V4).to_string();
    steady(&server, &[&pod]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 10ms}\n");
    let mut kernel = LinuxKernel::open().unwrap();

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
        let left = missing(&server, &mut kernel, &Config::default());
        assert_eq!(left, "", "round {round}, after one sync: {}", setup.log());
        open.say("still here");
        churn.go_on();
        thread::sleep(Duration::from_millis(dice.below(500)));
        daemon.kill();
    }
    open.say("to the end");
    println!("{rounds} rounds, {} changes, one connection", churn.made());
}
