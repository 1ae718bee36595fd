//! Ports that the node gives to its own connections, and node ports among them.
//!
//! A connection of the node itself that happens to come from a port which is also a node port gets no answer: the answer is
//! taken for a request to the Service (kubernetes/kubernetes#111682). The kernel keeps ports out that are reserved.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use proxier::cluster::Service;

/// The node ports that an API server gives out unless configured otherwise (`--service-node-port-range`).
pub(crate) const NODE_PORTS: RangeInclusive<u16> = 30000..=32767;

/// The kernel's settings for local ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalPorts {
    /// `net.ipv4.ip_local_port_range`.
    range: RangeInclusive<u16>,
    /// `net.ipv4.ip_local_reserved_ports`.
    reserved: Vec<RangeInclusive<u16>>,
}

impl LocalPorts {
    /// Reads them below `root`; `None` if the setting is missing or cannot be read.
    pub(crate) fn read(root: &Path) -> Option<Self> {
        let read = |name: &str| {
            let path = root.join("proc/sys/net/ipv4").join(name);
            fs::read_to_string(path).ok()
        };
        let range = read("ip_local_port_range")?;
        let mut ends = range.split_whitespace().map(str::parse);
        let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
        // Kernels before 3.2 cannot reserve any.
        let reserved = read("ip_local_reserved_ports").unwrap_or_default();
        Some(Self {
            range: first..=last,
            reserved: reserved.trim().split(',').filter_map(ports).collect(),
        })
    }

    /// Those of the ports that the kernel may give to a connection of the node.
    pub(crate) fn taken(&self, ports: impl IntoIterator<Item = u16>) -> BTreeSet<u16> {
        let free = |port: &u16| {
            self.range.contains(port) && !self.reserved.iter().any(|range| range.contains(port))
        };
        ports.into_iter().filter(free).collect()
    }

    /// The command that reserves more of them.
    pub(crate) fn remedy(&self, more: &BTreeSet<u16>) -> String {
        let mut all: Vec<_> = self.reserved.iter().map(shown).collect();
        all.extend(ranges(more).iter().map(shown));
        format!(
            "sysctl -w net.ipv4.ip_local_reserved_ports={}",
            all.join(",")
        )
    }

    /// The range of local ports.
    pub(crate) fn range(&self) -> String {
        shown(&self.range)
    }
}

/// The node ports of a Service, that of its health check included.
pub(crate) fn node_ports(service: &Service) -> impl Iterator<Item = u16> {
    let of_ports = service.ports.iter().filter_map(|port| port.node_port);
    let all = of_ports.chain(service.health_check_node_port);
    all.map(std::num::NonZeroU16::get)
}

/// Ports as ranges, in order.
pub(crate) fn ranges(ports: &BTreeSet<u16>) -> Vec<RangeInclusive<u16>> {
    let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
    for port in ports {
        match ranges.last_mut() {
            Some(range) if range.end().checked_add(1) == Some(*port) => {
                *range = *range.start()..=*port;
            }
            _ => ranges.push(*port..=*port),
        }
    }
    ranges
}

/// A range as sysctl has it.
pub(crate) fn shown(range: &RangeInclusive<u16>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}

fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn settings(range: &str, reserved: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("proc/sys/net/ipv4");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ip_local_port_range"), range).unwrap();
        fs::write(folder.join("ip_local_reserved_ports"), reserved).unwrap();
        root
    }

    #[test]
    fn ports_that_are_local_and_not_reserved_are_taken() {
        let root = settings("32000\t60999\n", "8080,32100-32700\n");
        let local = LocalPorts::read(root.path()).unwrap();
        assert_eq!(local.range(), "32000-60999");
        let taken = local.taken([30080, 31999, 32000, 32099, 32100, 32700, 32701, 61000]);
        assert_eq!(taken, [32000, 32099, 32701].into());
        assert_eq!(
            local.remedy(&taken),
            "sysctl -w net.ipv4.ip_local_reserved_ports=8080,32100-32700,32000,32099,32701"
        );
        assert_eq!(
            ranges(&local.taken(NODE_PORTS)),
            [32000..=32099, 32701..=32767]
        );
    }

    #[test]
    fn none_are_reserved_by_default() {
        let root = settings("32768\t60999\n", "\n");
        let local = LocalPorts::read(root.path()).unwrap();
        assert!(local.taken(NODE_PORTS).is_empty());
        assert_eq!(
            local.remedy(&[40000, 40001].into()),
            "sysctl -w net.ipv4.ip_local_reserved_ports=40000-40001"
        );
        let nowhere = tempfile::tempdir().unwrap();
        assert_eq!(LocalPorts::read(nowhere.path()), None);
    }
}
