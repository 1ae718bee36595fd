use ipvs_netlink::{Scheduler, Statistics, VirtualServerConfig};
use proxier::cluster::ObjectName;

use super::*;

fn port(name: &str) -> PortName {
    PortName {
        service: ObjectName::new("default", name),
        port: "http".into(),
    }
}

fn id(number: u8) -> VirtualServerId {
    VirtualServerId::tcp(([10, 96, 0, number], 80))
}

/// These ports, each with these virtual servers.
fn names(ports: &[(&str, &[u8])]) -> Arc<Names> {
    let mut names = Names {
        of_ipvs: true,
        ..Names::default()
    };
    for (at, (name, servers)) in ports.iter().enumerate() {
        names.ports.push(port(name));
        names
            .servers
            .extend(servers.iter().map(|server| (id(*server), at)));
    }
    assert!(names.ports.is_sorted());
    names.servers.sort_unstable();
    Arc::new(names)
}

/// Virtual servers that have counted so many bytes from clients.
fn table(bytes: &[(u8, u64)]) -> Vec<VirtualServer> {
    let servers = bytes.iter().map(|(number, bytes)| {
        let config = VirtualServerConfig::new(Scheduler::RR);
        let mut server = VirtualServer::new(id(*number), config);
        let mut statistics = Statistics::default();
        statistics.totals.incoming_bytes = *bytes;
        statistics.rates.incoming_bytes = bytes / 10;
        server.statistics = statistics;
        server
    });
    servers.collect()
}

fn shown(counted: &Counted) -> Vec<(&str, u64)> {
    let shown = counted.shown();
    shown
        .map(|(name, traffic)| (name.service.name(), traffic.totals.incoming_bytes))
        .collect()
}

fn rest(counted: &Counted) -> (usize, u64) {
    let (hidden, traffic) = counted.rest();
    (hidden, traffic.totals.incoming_bytes)
}

#[test]
fn virtual_servers_of_a_port_are_added_up_and_those_of_others_left_out() {
    let mut counted = Counted::new(10);
    let names = names(&[("a", &[1, 3]), ("b", &[2])]);
    counted.take(&names, &table(&[(1, 100), (2, 20), (3, 7), (9, 1000)]));
    assert_eq!(shown(&counted), [("a", 107), ("b", 20)]);
    let rates = counted
        .shown()
        .map(|(_, traffic)| traffic.rates.incoming_bytes);
    assert!(rates.eq([10, 2]));
    assert_eq!(rest(&counted), (0, 0));
}

#[test]
fn a_virtual_server_that_goes_takes_nothing_away_and_one_that_comes_back_adds_what_it_counts() {
    let mut counted = Counted::new(10);
    let both = names(&[("a", &[1, 2])]);
    counted.take(&both, &table(&[(1, 100), (2, 50)]));
    let one = names(&[("a", &[1])]);
    counted.take(&one, &table(&[(1, 110)]));
    assert_eq!(shown(&counted), [("a", 160)]);
    counted.take(&both, &table(&[(1, 110), (2, 5)]));
    assert_eq!(shown(&counted), [("a", 165)]);
    // Made anew between two readings.
    counted.take(&both, &table(&[(1, 3), (2, 5)]));
    assert_eq!(shown(&counted), [("a", 168)]);
    // A port that is gone, and comes back.
    counted.take(&names(&[]), &table(&[(1, 3), (2, 5)]));
    assert_eq!(shown(&counted), []);
    counted.take(&one, &table(&[(1, 4)]));
    assert_eq!(shown(&counted), [("a", 4)]);
}

#[test]
fn what_is_above_the_limit_is_summed_up_and_the_busiest_are_shown() {
    let mut counted = Counted::new(2);
    let all = names(&[("a", &[1]), ("b", &[2]), ("c", &[3]), ("d", &[4])]);
    counted.take(&all, &table(&[(1, 0), (2, 0), (3, 0), (4, 0)]));
    // None has traffic: none is worth a series yet.
    assert_eq!((shown(&counted), rest(&counted)), (vec![], (4, 0)));
    counted.take(&all, &table(&[(1, 5), (2, 70), (3, 0), (4, 60)]));
    assert_eq!(shown(&counted), [("b", 70), ("d", 60)]);
    assert_eq!(rest(&counted), (2, 5));
    // Those that are shown stay, however busy others become.
    counted.take(&all, &table(&[(1, 500), (2, 70), (3, 9), (4, 60)]));
    assert_eq!(shown(&counted), [("b", 70), ("d", 60)]);
    assert_eq!(rest(&counted), (2, 509));
    // One that goes makes room. The sum of the rest never falls.
    let fewer = names(&[("a", &[1]), ("c", &[3]), ("d", &[4])]);
    counted.take(&fewer, &table(&[(1, 510), (3, 10), (4, 60)]));
    assert_eq!(shown(&counted), [("a", 510), ("d", 60)]);
    assert_eq!(rest(&counted), (1, 510));
}

#[test]
fn all_are_shown_where_there_is_room_for_all() {
    let mut counted = Counted::new(2);
    let all = names(&[("a", &[1]), ("b", &[2])]);
    counted.take(&all, &table(&[(1, 0), (2, 0)]));
    assert_eq!(shown(&counted), [("a", 0), ("b", 0)]);
    // One that comes later does not displace them.
    let more = names(&[("a", &[1]), ("aa", &[3]), ("b", &[2])]);
    counted.take(&more, &table(&[(1, 0), (2, 0), (3, 8)]));
    assert_eq!(shown(&counted), [("a", 0), ("b", 0)]);
    assert_eq!(rest(&counted), (1, 8));
}
