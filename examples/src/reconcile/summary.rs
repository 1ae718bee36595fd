//! What became of a cluster's Services, on one screen.

use std::collections::BTreeSet;
use std::io::{self, Write};

use ipvs_netlink::{Destination, VirtualServerId};
use proxier::cluster::{Cluster, Family, Service, ServicePort, ServiceType};
use proxier::{Desired, Layout, Sign};

use super::trace::{claimed, named, server_id};

/// How many Services, and how many warnings, are shown.
const MAX_SERVICES: usize = 20;
const MAX_WARNINGS: usize = 10;
/// How wide a column of names or addresses may get.
const MAX_WIDTH: usize = 48;

/// What is shown of one step.
pub(crate) struct Summary<'a> {
    pub(crate) name: &'a str,
    pub(crate) node: &'a str,
    pub(crate) cluster: &'a Cluster,
    pub(crate) desired: &'a Desired,
    /// How many lines of the plan add, change and remove something.
    pub(crate) signs: &'a [Sign],
    /// Objects that no proxy needs and rejected ones, by kind.
    pub(crate) not_used: &'a str,
    pub(crate) warnings: &'a [String],
}

/// A Service and what became of it.
struct Row {
    name: String,
    service_type: &'static str,
    served_at: String,
    result: String,
    served: bool,
}

impl Summary<'_> {
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut rows: Vec<_> = self
            .cluster
            .services
            .values()
            .map(|s| self.row(s))
            .collect();
        let total = rows.len();
        let served = rows.iter().filter(|row| row.served).count();
        // Those that are not served are what one looks for.
        rows.sort_by_key(|row| row.served);
        rows.truncate(MAX_SERVICES);
        writeln!(out, "{} on Node {}", self.name, self.node)?;
        let width = |column: fn(&Row) -> &str| {
            let widths = rows.iter().map(|row| column(row).chars().count());
            widths.max().unwrap_or(0).min(MAX_WIDTH)
        };
        let (names, types, places) = (
            width(|row| &row.name),
            width(|row| row.service_type),
            width(|row| &row.served_at),
        );
        for row in &rows {
            writeln!(
                out,
                "  {:names$}  {:types$}  {:places$}  {}",
                cut(&row.name),
                row.service_type,
                cut(&row.served_at),
                row.result
            )?;
        }
        if total > rows.len() {
            writeln!(out, "  … and {} more Services", total - rows.len())?;
        }
        writeln!(out, "Services: {total}, of which {served} are served.")?;
        let count = |sign| self.signs.iter().filter(|found| **found == sign).count();
        writeln!(
            out,
            "Plan: {} to add, {} to change, {} to remove.",
            count(Sign::Add),
            count(Sign::Change),
            count(Sign::Remove)
        )?;
        if !self.not_used.is_empty() {
            writeln!(out, "Objects not used: {}.", self.not_used)?;
        }
        if !self.warnings.is_empty() {
            writeln!(out, "Warnings:")?;
        }
        for warning in self.warnings.iter().take(MAX_WARNINGS) {
            writeln!(out, "  {warning}")?;
        }
        if self.warnings.len() > MAX_WARNINGS {
            let more = self.warnings.len() - MAX_WARNINGS;
            writeln!(out, "  … and {more} more; --output plan has all of them")?;
        }
        writeln!(out)
    }

    fn row(&self, service: &Service) -> Row {
        let mut places = Vec::new();
        let mut node_ports = BTreeSet::new();
        let mut endpoints = BTreeSet::new();
        let mut without = 0;
        for port in &service.ports {
            let protocol = port.protocol.to_string().to_uppercase();
            for address in claimed(service) {
                let id = server_id(port, address);
                let granted = self.destinations(service, port, &id);
                let granted = granted.filter(|_| !self.conflicts(service, &id));
                let Some(destinations) = granted else {
                    continue;
                };
                let socket = std::net::SocketAddr::new(address, port.port.get());
                places.push(format!("{socket}/{protocol}"));
                let in_use = destinations.iter().filter(|d| d.config.weight > 0);
                let before = endpoints.len();
                endpoints.extend(in_use.map(|d| d.id));
                without += usize::from(before == endpoints.len() && destinations.is_empty());
            }
            node_ports.extend(port.node_port.map(|p| format!("node port {p}/{protocol}")));
        }
        if !places.is_empty() {
            places.extend(node_ports);
        }
        let served = !places.is_empty() && !endpoints.is_empty();
        let result = match service.service_type {
            ServiceType::ExternalName => "not proxied: only a name".to_owned(),
            _ if service.other_proxy => "not proxied: it is another proxy's".to_owned(),
            _ if service.cluster_ips.is_empty() => "not proxied: no cluster IP".to_owned(),
            _ if service.ports.is_empty() => "not proxied: no ports".to_owned(),
            _ if places.is_empty() => "not served: see the warnings".to_owned(),
            _ if endpoints.is_empty() => "refused: no endpoints".to_owned(),
            _ if without > 0 => format!("{}, none for {without} ports", plural(endpoints.len())),
            _ => plural(endpoints.len()),
        };
        Row {
            name: named(service.name.namespace(), service.name.name(), ""),
            service_type: match service.service_type {
                ServiceType::NodePort => "NodePort",
                ServiceType::LoadBalancer => "LoadBalancer",
                ServiceType::ExternalName => "ExternalName",
                _ => "ClusterIP",
            },
            served_at: places.join(" "),
            result,
            served,
        }
    }

    /// Where a port's traffic to an address goes, if it has the address.
    fn destinations(
        &self,
        service: &Service,
        port: &ServicePort,
        id: &VirtualServerId,
    ) -> Option<&[Destination]> {
        let VirtualServerId::Address { address, .. } = *id else {
            return None;
        };
        if self.desired.layout != Layout::Iptables {
            return self.desired.server(id).map(|server| &*server.destinations);
        }
        let family = self.desired.families.get(Family::of(address)).as_ref()?;
        let mut ports = family.rules.iptables.ports.iter();
        let rules = ports.find(|rules| {
            let spec = &rules.spec;
            let same = (&spec.service, &spec.name, spec.protocol);
            same == (&service.name, &port.name, port.protocol)
        })?;
        let internal = rules.cluster_ip == Some(address);
        let mut outside = rules.external_ips.iter().chain(&rules.load_balancer_ips);
        if !internal && !outside.any(|ip| *ip == address) {
            return None;
        }
        let local = match internal {
            true => rules.spec.internal_local,
            false => rules.spec.external_local,
        };
        Some(match local {
            true => &rules.spec.local,
            false => &rules.spec.cluster,
        })
    }

    fn conflicts(&self, service: &Service, id: &VirtualServerId) -> bool {
        let mut conflicts = self.desired.conflicts.iter();
        conflicts.any(|conflict| conflict.service == service.name && conflict.server == *id)
    }
}

fn plural(endpoints: usize) -> String {
    match endpoints {
        1 => "1 endpoint".to_owned(),
        n => format!("{n} endpoints"),
    }
}

/// Cut where it would spoil the columns.
fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_WIDTH {
        return text.to_owned();
    }
    let head: String = text.chars().take(MAX_WIDTH - 1).collect();
    format!("{head}…")
}
