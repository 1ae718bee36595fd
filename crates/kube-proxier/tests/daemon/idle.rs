//! What the daemon costs while nothing happens.

use std::thread;
use std::time::Duration;

use crate::api_server::ApiServer;
use crate::cluster::{service, slice, steady};
use crate::daemon::Setup;

/// How long it is watched.
const LONG: Duration = Duration::from_secs(60);

/// Prints the processor time of a minute in which nothing changes, with so many Services.
pub(crate) fn processor_time(services: u8) {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    for n in 0..services {
        let name = format!("web-{n}");
        server.put(service(&name, &format!("10.96.1.{n}")));
        server.put(slice(&name, &["10.244.1.5".to_owned()]));
    }
    let setup = Setup::new(&server, "");
    let daemon = setup.started();
    thread::sleep(Duration::from_secs(5));
    let before = daemon.processor_time();
    thread::sleep(LONG);
    let spent = daemon.processor_time() - before;
    let share = spent.as_secs_f64() / LONG.as_secs_f64();
    println!(
        "{services} Services: {spent:?} in {LONG:?}, {:.3} % of a processor",
        share * 100.0
    );
    let log = setup.log();
    assert!(!log.contains("others changed"), "{log}");
}
