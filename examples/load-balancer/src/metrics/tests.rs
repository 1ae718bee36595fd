use std::net::Shutdown;
use std::thread;

use dummy_link::host_address;
use ipvs_netlink::{TableEntry, VirtualServerId};

use super::*;
use crate::check::Checker;
use crate::plan::tests::{config, entry};

const WEB: &str = "TCP 192.0.2.10:80";

/// The samples of a text, without the comments.
fn samples(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

fn of(found: Vec<TableEntry>, drains: &Drains) -> String {
    let found = Observed {
        entries: found,
        addresses: [host_address([192, 0, 2, 10].into())].into(),
    };
    let config = config(&[(WEB, &["10.1.0.1:80", "10.1.0.2:80"])]);
    let targets = config.targets().into_iter().cloned();
    let checks: Checks = targets
        .map(|target| {
            let mut checker = Checker::idle();
            if target.address.ip().to_string() == "10.1.0.1" {
                checker.health.record(true, &target.check);
            } else {
                checker.health.record(false, &target.check);
                checker.health.record(false, &target.check);
            }
            (target, checker)
        })
        .collect();
    let counters = Counters {
        reloads: 3,
        reload_failures: 1,
        last_reload_failed: true,
        changes: 7,
        failures: 2,
    };
    text(&config, &checks, drains, &counters, &found)
}

#[test]
fn what_is_known_is_told() {
    let server: VirtualServerId = WEB.parse().unwrap();
    let gone = "10.1.0.9:80".parse().unwrap();
    let drains = Drains::from([((server, gone), std::time::Instant::now())]);
    let found = vec![
        entry(WEB, &[("10.1.0.1:80", 1, 5), ("10.1.0.9:80", 0, 2)]),
        entry("TCP 198.51.100.1:80", &[("10.9.0.1:80", 1, 1)]),
    ];
    let text = of(found, &drains);
    let label = |backend: &str| format!("{{server=\"{WEB}\",backend=\"{backend}\"}}");
    let [one, two, nine] = ["10.1.0.1:80", "10.1.0.2:80", "10.1.0.9:80"].map(label);
    assert_eq!(
        samples(&text),
        [
            format!("lb_backend_up{one} 1"),
            format!("lb_backend_up{two} 0"),
            format!("lb_backend_checks_passed_total{one} 1"),
            format!("lb_backend_checks_passed_total{two} 0"),
            format!("lb_backend_checks_failed_total{one} 0"),
            format!("lb_backend_checks_failed_total{two} 2"),
            format!("lb_backend_draining{one} 0"),
            format!("lb_backend_draining{nine} 1"),
            format!("lb_backend_weight{one} 1"),
            format!("lb_backend_weight{nine} 0"),
            format!("lb_backend_active_connections{one} 5"),
            format!("lb_backend_active_connections{nine} 2"),
            format!("lb_backend_inactive_connections{one} 0"),
            format!("lb_backend_inactive_connections{nine} 0"),
            format!("lb_backend_connections_total{one} 0"),
            format!("lb_backend_connections_total{nine} 0"),
            "lb_reloads_total 3".to_owned(),
            "lb_reload_failures_total 1".to_owned(),
            "lb_last_reload_failed 1".to_owned(),
            "lb_changes_total 7".to_owned(),
            "lb_failures_total 2".to_owned(),
        ]
    );
    assert!(text.starts_with(
        "# HELP lb_backend_up 1 if it passes its checks or has none\n# TYPE lb_backend_up gauge\n"
    ));
    let comments = text.lines().filter(|line| line.starts_with("# TYPE lb_"));
    assert_eq!(comments.count(), METRICS.lines().count());
}

/// The answer to a request, from a server whose main loop has the text `metrics`.
fn asked(request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (events, received) = channel();
    thread::spawn(move || serve(&listener, &events));
    thread::spawn(move || {
        for event in received {
            if let Event::Scrape(reply) = event {
                reply.send("metrics\n".to_owned()).unwrap();
            }
        }
    });
    // One that hangs up first keeps no other waiting.
    TcpStream::connect(address)
        .unwrap()
        .shutdown(Shutdown::Both)
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_are_served() {
    assert_eq!(
        asked("GET /metrics HTTP/1.1\r\nHost: lb\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 8\r\n\
         Connection: close\r\n\r\nmetrics\n"
    );
    let other = asked("GET / HTTP/1.1\r\n\r\n");
    assert!(other.starts_with("HTTP/1.1 404 Not Found\r\n"), "{other}");
}

#[test]
fn the_readme_has_every_metric() {
    let readme = include_str!("../../README.md");
    for line in METRICS.lines() {
        let (name, _) = line.split_once(' ').unwrap();
        assert!(readme.contains(&format!("`lb_{name}`")), "{name}");
    }
}
