use std::time::Duration;

use ipvs_netlink::{Connections, DestinationConfig, Scheduler, VirtualServer, VirtualServerConfig};

use super::*;
use crate::check::Check;
use crate::config::{Backend, Process};

const WEB: &str = "TCP 192.0.2.10:80";
const DNS: &str = "UDP 192.0.2.11:53";
const DRAIN: Duration = Duration::from_secs(30);

/// Servers with backends of weight 1.
pub(crate) fn config(servers: &[(&str, &[&str])]) -> Config {
    let id = |text: &str| text.parse::<VirtualServerId>().unwrap();
    let backends = servers.iter().flat_map(|(server, backends)| {
        backends.iter().map(move |backend| {
            let target = Target {
                address: backend.parse().unwrap(),
                check: Check::default(),
            };
            let config = DestinationConfig::masquerade(1);
            let key = (id(server), backend.parse().unwrap());
            (key, Backend { config, target })
        })
    });
    Config {
        process: Process {
            link: "lb0".parse().unwrap(),
            metrics: None,
        },
        drain: DRAIN,
        backends: backends.collect(),
        servers: servers
            .iter()
            .map(|(server, _)| (id(server), VirtualServerConfig::new(Scheduler::RR)))
            .collect(),
    }
}

/// A virtual server as found: destinations with weight and active connections.
pub(crate) fn entry(server: &str, destinations: &[(&str, u32, u32)]) -> TableEntry {
    let config = VirtualServerConfig::new(Scheduler::RR);
    let server = VirtualServer::new(server.parse().unwrap(), config);
    let statuses = destinations.iter().map(|(id, weight, active)| {
        let id = id.parse().unwrap();
        let config = DestinationConfig::masquerade(*weight);
        let connections = Connections {
            active: *active,
            ..Connections::default()
        };
        DestinationStatus::new(Destination { id, config }, connections)
    });
    TableEntry::new(server, statuses.collect())
}

/// A kernel in memory with its clock, and the states of backends.
struct World {
    found: Observed,
    drains: Drains,
    now: Instant,
    down: Vec<&'static str>,
    unknown: Vec<&'static str>,
}

impl World {
    fn new(entries: Vec<TableEntry>, addresses: &[&str]) -> Self {
        let addresses = addresses
            .iter()
            .map(|text| host_address(text.parse().unwrap()));
        let addresses = addresses.collect();
        Self {
            found: Observed { entries, addresses },
            drains: Drains::new(),
            now: Instant::now(),
            down: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// The steps as text.
    fn steps(&mut self, config: &Config) -> Vec<String> {
        let state = |target: &Target| {
            let address = target.address.to_string();
            if self.down.contains(&address.as_str()) {
                State::Down
            } else if self.unknown.contains(&address.as_str()) {
                State::Unknown
            } else {
                State::Up
            }
        };
        let plan = plan(config, state, &self.found, &mut self.drains, self.now).unwrap();
        let added = plan
            .new_addresses
            .iter()
            .map(|address| format!("+ {address}"));
        let requests = plan.requests.iter().map(|request| match request {
            Request::NewDestination { destination, .. }
            | Request::SetDestination { destination, .. } => {
                format!("{request} weight {}", destination.config.weight)
            }
            request => request.to_string(),
        });
        let removed = plan
            .old_addresses
            .iter()
            .map(|address| format!("- {address}"));
        added.chain(requests).chain(removed).collect()
    }
}

#[test]
fn from_nothing_the_address_comes_first() {
    let mut world = World::new(vec![], &[]);
    world.down = vec!["10.1.0.2:80"];
    world.unknown = vec!["10.1.0.3:80"];
    let steps = world.steps(&config(&[(
        WEB,
        &["10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80"],
    )]));
    assert_eq!(
        steps,
        [
            "+ 192.0.2.10/32",
            "add virtual server -t 192.0.2.10:80",
            "add destination 10.1.0.1:80 of -t 192.0.2.10:80 weight 1",
        ],
        "neither one that is down nor one that is not checked yet"
    );
}

#[test]
fn what_is_as_it_should_be_takes_no_steps() {
    let mut world = World::new(vec![entry(WEB, &[("10.1.0.1:80", 1, 7)])], &["192.0.2.10"]);
    assert_eq!(world.steps(&config(&[(WEB, &["10.1.0.1:80"])])), [""; 0]);
    assert!(world.drains.is_empty());
}

#[test]
fn a_backend_that_is_down_takes_nothing_new_and_keeps_its_connections() {
    let config = config(&[(WEB, &["10.1.0.1:80"])]);
    let mut world = World::new(vec![entry(WEB, &[("10.1.0.1:80", 1, 0)])], &["192.0.2.10"]);
    world.down = vec!["10.1.0.1:80"];
    let set = "change destination 10.1.0.1:80 of -t 192.0.2.10:80 weight";
    assert_eq!(world.steps(&config), [format!("{set} 0")]);
    world.found.entries = vec![entry(WEB, &[("10.1.0.1:80", 0, 0)])];
    assert_eq!(
        world.steps(&config),
        [""; 0],
        "it stays as long as it is configured"
    );
    world.now += 10 * DRAIN;
    assert_eq!(world.steps(&config), [""; 0]);
    world.down.clear();
    assert_eq!(world.steps(&config), [format!("{set} 1")]);
}

#[test]
fn a_udp_backend_that_is_down_goes_at_once() {
    let config = config(&[(DNS, &["10.1.0.1:53"])]);
    let mut world = World::new(vec![entry(DNS, &[("10.1.0.1:53", 1, 3)])], &["192.0.2.11"]);
    world.down = vec!["10.1.0.1:53"];
    assert_eq!(
        world.steps(&config),
        ["delete destination 10.1.0.1:53 of -u 192.0.2.11:53"]
    );
    world.found.entries = vec![entry(DNS, &[])];
    assert_eq!(world.steps(&config), [""; 0]);
}

#[test]
fn until_its_first_check_a_backend_stays_as_it_is_found() {
    let config = config(&[(WEB, &["10.1.0.1:80", "10.1.0.2:80"])]);
    let found = entry(WEB, &[("10.1.0.1:80", 1, 0), ("10.1.0.2:80", 0, 0)]);
    let mut world = World::new(vec![found], &["192.0.2.10"]);
    world.unknown = vec!["10.1.0.1:80", "10.1.0.2:80"];
    assert_eq!(world.steps(&config), [""; 0]);
}

#[test]
fn a_removed_backend_drains_until_it_is_idle() {
    let config = config(&[(WEB, &["10.1.0.2:80"])]);
    let second = ("10.1.0.2:80", 1, 0);
    let mut world = World::new(
        vec![entry(WEB, &[("10.1.0.1:80", 1, 0), second])],
        &["192.0.2.10"],
    );
    let zero = ["change destination 10.1.0.1:80 of -t 192.0.2.10:80 weight 0"];
    assert_eq!(world.steps(&config), zero, "a connection may be coming in");
    assert_eq!(world.drains.len(), 1);

    world.found.entries = vec![entry(WEB, &[("10.1.0.1:80", 0, 1), second])];
    world.now += DRAIN / 2;
    assert_eq!(world.steps(&config), [""; 0]);
    let gone = ["delete destination 10.1.0.1:80 of -t 192.0.2.10:80"];
    world.found.entries = vec![entry(WEB, &[("10.1.0.1:80", 0, 0), second])];
    assert_eq!(world.steps(&config), gone);
    assert!(world.drains.is_empty());
}

#[test]
fn closing_connections_are_connections() {
    let config = config(&[(WEB, &[])]);
    let mut found = entry(WEB, &[("10.1.0.1:80", 0, 0)]);
    found.destinations[0].connections.inactive = 1;
    let mut world = World::new(vec![found], &["192.0.2.10"]);
    assert_eq!(world.steps(&config), [""; 0]);
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let config = config(&[(WEB, &[])]);
    let mut world = World::new(vec![entry(WEB, &[("10.1.0.1:80", 0, 1)])], &["192.0.2.10"]);
    assert_eq!(world.steps(&config), [""; 0]);
    world.now += DRAIN - Duration::from_millis(1);
    assert_eq!(world.steps(&config), [""; 0]);
    world.now += Duration::from_millis(1);
    assert_eq!(
        world.steps(&config),
        ["delete destination 10.1.0.1:80 of -t 192.0.2.10:80"]
    );
}

#[test]
fn a_backend_that_comes_back_while_it_drains_starts_anew() {
    let (without, with) = (config(&[(WEB, &[])]), config(&[(WEB, &["10.1.0.1:80"])]));
    let mut world = World::new(vec![entry(WEB, &[("10.1.0.1:80", 0, 1)])], &["192.0.2.10"]);
    world.steps(&without);
    world.now += DRAIN / 2;
    let back = ["change destination 10.1.0.1:80 of -t 192.0.2.10:80 weight 1"];
    assert_eq!(world.steps(&with), back);
    assert!(world.drains.is_empty());
    world.now += DRAIN / 2;
    assert_eq!(world.steps(&without), [""; 0], "it has all its time again");
}

#[test]
fn a_removed_server_goes_with_its_last_backend_and_then_the_address() {
    let config = config(&[]);
    let mut world = World::new(vec![entry(WEB, &[("10.1.0.1:80", 1, 1)])], &["192.0.2.10"]);
    let zero = ["change destination 10.1.0.1:80 of -t 192.0.2.10:80 weight 0"];
    assert_eq!(world.steps(&config), zero);
    world.found.entries = vec![entry(WEB, &[("10.1.0.1:80", 0, 0)])];
    assert_eq!(
        world.steps(&config),
        ["delete virtual server -t 192.0.2.10:80", "- 192.0.2.10/32"]
    );
}

#[test]
fn a_removed_server_of_udp_goes_at_once() {
    let mut world = World::new(vec![entry(DNS, &[("10.1.0.1:53", 1, 9)])], &["192.0.2.11"]);
    assert_eq!(
        world.steps(&config(&[])),
        ["delete virtual server -u 192.0.2.11:53", "- 192.0.2.11/32"]
    );
}

#[test]
fn virtual_servers_of_others_stay() {
    let others = vec![
        entry("TCP 198.51.100.1:80", &[("10.1.0.1:80", 1, 0)]),
        entry("FWM 7", &[("10.1.0.1:80", 1, 0)]),
    ];
    let mut world = World::new(others, &["192.0.2.10"]);
    assert_eq!(world.steps(&config(&[])), ["- 192.0.2.10/32"]);
}

#[test]
fn an_address_stays_for_another_server() {
    let config = config(&[("TCP 192.0.2.10:443", &[])]);
    let found = vec![entry(WEB, &[]), entry("TCP 192.0.2.10:443", &[])];
    let mut world = World::new(found, &["192.0.2.10"]);
    assert_eq!(
        world.steps(&config),
        ["delete virtual server -t 192.0.2.10:80"]
    );
}
