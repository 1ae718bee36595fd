//! Metrics: their text, in Prometheus' format, and the server for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use ipvs_netlink::{Destination, DestinationId, VirtualServerId};

use crate::Event;
use crate::check::{Checks, Kind, State};
use crate::config::Config;
use crate::plan::{Drains, Observed};

/// How long a client or the main loop may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Name, type and help of each.
const METRICS: &str = "\
backend_up gauge 1 if it passes its checks or has none
backend_checks_passed_total counter checks that passed
backend_checks_failed_total counter checks that failed
backend_draining gauge 1 if it goes once its connections have ended
backend_weight gauge weight in the kernel, 0 if it takes nothing new
backend_active_connections gauge established connections
backend_inactive_connections gauge other connections
backend_connections_total counter connections since it was added to the kernel
reloads_total counter times the file was read again
reload_failures_total counter times it could not be used
last_reload_failed gauge 1 if the file is not what is in force
changes_total counter changes asked of the kernel
failures_total counter changes that failed";

/// What the program has counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) reloads: u64,
    pub(crate) reload_failures: u64,
    pub(crate) last_reload_failed: bool,
    pub(crate) changes: u64,
    pub(crate) failures: u64,
}

/// The lines of each metric.
#[derive(Default)]
struct Samples(BTreeMap<&'static str, String>);

impl Samples {
    fn add<const N: usize>(&mut self, labels: &str, values: [(&'static str, u64); N]) {
        for (name, value) in values {
            // Writing to a string does not fail.
            let _ = writeln!(self.0.entry(name).or_default(), "lb_{name}{labels} {value}");
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for line in METRICS.lines() {
            let (name, rest) = line.split_once(' ').unwrap_or_default();
            let (kind, help) = rest.split_once(' ').unwrap_or_default();
            let samples = self.0.get(name).map_or("", String::as_str);
            text += &format!("# HELP lb_{name} {help}\n# TYPE lb_{name} {kind}\n{samples}");
        }
        text
    }
}

/// The text: of the backends in the configuration, of those in the kernel, and of the program.
pub(crate) fn text(
    config: &Config,
    checks: &Checks,
    drains: &Drains,
    counters: &Counters,
    found: &Observed,
) -> String {
    let mut all = Samples::default();
    // Nothing in an id needs escaping.
    let labels = |server: &VirtualServerId, backend: &DestinationId| {
        format!("{{server=\"{server:#}\",backend=\"{backend}\"}}")
    };
    for ((server, backend), of) in &config.backends {
        let checker = checks.get(&of.target);
        let health = checker.map(|checker| checker.health).unwrap_or_default();
        let up = health.state == State::Up || of.target.check.kind == Kind::None;
        let values = [
            ("backend_up", up.into()),
            ("backend_checks_passed_total", health.passed),
            ("backend_checks_failed_total", health.failed),
        ];
        all.add(&labels(server, backend), values);
    }
    let ours = |id: &VirtualServerId| config.servers.contains_key(id) || found.owns(id);
    let entries = found.entries.iter();
    for entry in entries.filter(|entry| ours(&entry.server.id)) {
        let server = entry.server.id;
        for status in &entry.destinations {
            let Destination { id, config } = status.destination;
            let draining = drains.contains_key(&(server, id));
            let (connections, totals) = (status.connections, status.statistics.totals);
            let values = [
                ("backend_draining", draining.into()),
                ("backend_weight", config.weight.into()),
                ("backend_active_connections", connections.active.into()),
                ("backend_inactive_connections", connections.inactive.into()),
                ("backend_connections_total", totals.connections),
            ];
            all.add(&labels(&server, &id), values);
        }
    }
    let values = [
        ("reloads_total", counters.reloads),
        ("reload_failures_total", counters.reload_failures),
        ("last_reload_failed", counters.last_reload_failed.into()),
        ("changes_total", counters.changes),
        ("failures_total", counters.failures),
    ];
    all.add("", values);
    all.text()
}

/// Answers `GET /metrics` with what the main loop has for [`Event::Scrape`], one client at a time.
pub(crate) fn serve(listener: &TcpListener, events: &Sender<Event>) {
    for stream in listener.incoming() {
        // A client that fails, or no file descriptor left for one: the next one may do better.
        if stream.and_then(|stream| answer(stream, events)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn answer(mut stream: TcpStream, events: &Sender<Event>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // The first packet has what matters.
    let mut request = [0; 4096];
    let length = stream.read(&mut request)?;
    let (reply, metrics) = channel();
    let (status, body) = match request.get(..length) {
        Some(request) if request.starts_with(b"GET /metrics ") => {
            events
                .send(Event::Scrape(reply))
                .map_err(io::Error::other)?;
            (
                "200 OK",
                metrics.recv_timeout(PATIENCE).map_err(io::Error::other)?,
            )
        }
        _ => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n");
    let head = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all((head + &body).as_bytes())
}

#[cfg(test)]
mod tests;
