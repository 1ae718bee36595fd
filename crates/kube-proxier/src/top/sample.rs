//! What the kernel counts at one moment, by Service port and by endpoint.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use clap::ValueEnum;
use ipvs_netlink::{Counters, DestinationId, DestinationStatus, TableEntry, VirtualServerId};

use crate::traffic::{Names, PortName, add};

/// By what the busiest are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    /// Connections per second.
    Connections,
    /// Packets per second, both ways.
    Packets,
    /// Bytes per second, both ways.
    #[default]
    Bytes,
    /// Active connections.
    Active,
    /// The name.
    Name,
}

impl SortBy {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Packets => "packets",
            Self::Bytes => "bytes",
            Self::Active => "active",
            Self::Name => "name",
        }
    }
}

/// What a virtual server is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Port(PortName),
    /// No Service has it, as far as is known.
    Server(VirtualServerId),
}

/// A line: of a Service port, or of one of its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) owner: Owner,
    pub(super) endpoint: Option<Endpoint>,
    /// Per second.
    pub(super) rates: Counters,
    pub(super) active: u64,
    pub(super) inactive: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) id: DestinationId,
    /// The greatest that it has at the port's virtual servers.
    pub(super) weight: u32,
}

/// All lines, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) services: Vec<Row>,
    pub(super) endpoints: Vec<Row>,
}

impl Sample {
    /// Of the virtual servers that have ever been sent anything. With a namespace, of those of its Services alone.
    pub(super) fn of(
        names: &Names,
        table: &[TableEntry],
        namespace: Option<&str>,
        sort: SortBy,
    ) -> Self {
        let mut services = BTreeMap::new();
        let mut endpoints = BTreeMap::new();
        for entry in table {
            let id = entry.server.id;
            let port = names.port_of(&id);
            if namespace.is_some() && port.map(|port| port.service.namespace()) != namespace {
                continue;
            }
            let owner = port.map_or(Owner::Server(id), |port| Owner::Port(port.clone()));
            let service = services
                .entry(owner.clone())
                .or_insert_with(|| Row::new(owner.clone(), None));
            add(&mut service.rates, &entry.server.statistics.rates);
            for found in &entry.destinations {
                service.connect(found);
                let DestinationStatus { destination, .. } = found;
                let endpoint = Endpoint {
                    id: destination.id,
                    weight: destination.config.weight,
                };
                let row = endpoints
                    .entry((owner.clone(), destination.id))
                    .or_insert_with(|| Row::new(owner.clone(), Some(endpoint)));
                if let Some(known) = &mut row.endpoint {
                    known.weight = known.weight.max(endpoint.weight);
                }
                add(&mut row.rates, &found.statistics.rates);
                row.connect(found);
            }
        }
        let sorted = |rows: Vec<Row>| {
            let mut rows = rows;
            // Stable, and sorted by name already.
            rows.sort_by_key(|row| Reverse(row.key(sort)));
            rows
        };
        Self {
            services: sorted(services.into_values().collect()),
            endpoints: sorted(endpoints.into_values().collect()),
        }
    }

    /// Keeps no more than so many lines of each.
    pub(super) fn cut(mut self, services: usize, endpoints: usize) -> Self {
        self.services.truncate(services);
        self.endpoints.truncate(endpoints);
        self
    }
}

impl Row {
    fn new(owner: Owner, endpoint: Option<Endpoint>) -> Self {
        Self {
            owner,
            endpoint,
            rates: Counters::default(),
            active: 0,
            inactive: 0,
        }
    }

    fn connect(&mut self, found: &DestinationStatus) {
        self.active += u64::from(found.connections.active);
        self.inactive += u64::from(found.connections.inactive);
    }

    /// What comes first has the greatest.
    fn key(&self, sort: SortBy) -> u64 {
        let rates = &self.rates;
        match sort {
            SortBy::Connections => rates.connections,
            SortBy::Packets => rates
                .incoming_packets
                .saturating_add(rates.outgoing_packets),
            SortBy::Bytes => rates.incoming_bytes.saturating_add(rates.outgoing_bytes),
            SortBy::Active => self.active,
            SortBy::Name => 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
pub(super) mod tests {
    use ipvs_netlink::{
        Connections, Destination, DestinationConfig, Scheduler, Statistics, VirtualServer,
        VirtualServerConfig,
    };
    use proxier::cluster::ObjectName;

    use super::*;

    fn statistics(connections: u64, bytes: u64) -> Statistics {
        let mut statistics = Statistics::default();
        statistics.rates.connections = connections;
        statistics.rates.incoming_bytes = bytes;
        statistics
    }

    /// A virtual server with its rates, and destinations with theirs and active connections.
    fn entry(id: &str, rates: (u64, u64), destinations: &[(&str, u64, u32)]) -> TableEntry {
        let config = VirtualServerConfig::new(Scheduler::RR);
        let mut server = VirtualServer::new(id.parse().unwrap(), config);
        server.statistics = statistics(rates.0, rates.1);
        let destinations = destinations.iter().map(|(id, bytes, active)| {
            let connections = Connections {
                active: *active,
                inactive: 1,
                ..Connections::default()
            };
            let destination = Destination {
                id: id.parse().unwrap(),
                config: DestinationConfig::masquerade(1),
            };
            let mut status = DestinationStatus::new(destination, connections);
            status.statistics = statistics(0, *bytes);
            status
        });
        TableEntry::new(server, destinations.collect())
    }

    /// `shop/web`, at two addresses, `kube-system/dns`, and a virtual server of nobody.
    pub(crate) fn node() -> (Names, Vec<TableEntry>) {
        let port = |namespace: &str, name: &str, port: &str| PortName {
            service: ObjectName::new(namespace, name),
            port: port.into(),
        };
        let table = vec![
            entry(
                "-t 10.0.0.7:80",
                (5, 100),
                &[("10.1.0.1:8080", 60, 2), ("10.1.0.2:8080", 40, 9)],
            ),
            entry("-t 203.0.113.5:80", (1, 10), &[("10.1.0.1:8080", 10, 1)]),
            entry("-u 10.0.0.10:53", (900, 90), &[("10.1.0.3:53", 90, 0)]),
            entry("-f 7", (0, 0), &[]),
        ];
        let names = Names {
            ports: vec![
                port("kube-system", "dns", "dns"),
                port("shop", "web", "http"),
            ],
            servers: vec![
                (table[0].server.id, 1),
                (table[1].server.id, 1),
                (table[2].server.id, 0),
            ],
            of_ipvs: true,
        };
        assert!(names.servers.is_sorted());
        (names, table)
    }

    fn shown(rows: &[Row]) -> Vec<(String, u64)> {
        let rows = rows.iter().map(|row| {
            let owner = match &row.owner {
                Owner::Port(port) => port.service.to_string(),
                Owner::Server(id) => id.to_string(),
            };
            let endpoint = row.endpoint.map(|endpoint| format!(" {}", endpoint.id));
            let name = owner + &endpoint.unwrap_or_default();
            (name, row.rates.incoming_bytes)
        });
        rows.collect()
    }

    #[test]
    fn addresses_of_a_port_are_added_up_and_the_busiest_come_first() {
        let (names, table) = node();
        let sample = Sample::of(&names, &table, None, SortBy::Bytes);
        let expected = [("shop/web", 110), ("kube-system/dns", 90), ("-f 7", 0)];
        assert_eq!(
            shown(&sample.services),
            expected.map(|(name, bytes)| (name.to_owned(), bytes))
        );
        let web = sample.services.first().unwrap();
        assert_eq!(
            (web.rates.connections, web.active, web.inactive),
            (6, 12, 3)
        );
        let expected = [
            ("kube-system/dns 10.1.0.3:53", 90),
            ("shop/web 10.1.0.1:8080", 70),
            ("shop/web 10.1.0.2:8080", 40),
        ];
        assert_eq!(
            shown(&sample.endpoints),
            expected.map(|(name, bytes)| (name.to_owned(), bytes))
        );
    }

    #[test]
    fn it_is_sorted_as_asked() {
        let (names, table) = node();
        let first = |sort| {
            let sample = Sample::of(&names, &table, None, sort);
            let [services, endpoints] = [sample.services, sample.endpoints]
                .map(|rows| shown(&rows).first().unwrap().0.clone());
            (services, endpoints)
        };
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        let dns = "kube-system/dns 10.1.0.3:53";
        assert_eq!(first(SortBy::Connections), pair("kube-system/dns", dns));
        assert_eq!(
            first(SortBy::Active),
            pair("shop/web", "shop/web 10.1.0.2:8080")
        );
        assert_eq!(first(SortBy::Name), pair("kube-system/dns", dns));
        assert_eq!(first(SortBy::Packets), pair("kube-system/dns", dns));
    }

    #[test]
    fn a_namespace_has_its_own_alone() {
        let (names, table) = node();
        let sample = Sample::of(&names, &table, Some("shop"), SortBy::Bytes);
        assert_eq!(shown(&sample.services), [("shop/web".to_owned(), 110)]);
        assert_eq!(sample.endpoints.len(), 2);
        assert_eq!(sample.cut(0, 1).endpoints.len(), 1);
    }
}
