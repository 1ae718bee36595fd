//! Ranges of ports.

use std::fmt;
use std::num::NonZeroU16;

use ipvs_netlink::Protocol;

/// Ports of one protocol, from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    protocol: Protocol,
    first: u16,
    last: u16,
}

impl PortRange {
    /// All ports of TCP, UDP and SCTP.
    pub const EVERY_PORT: [Self; 3] = [
        Self::all(Protocol::TCP),
        Self::all(Protocol::UDP),
        Self::all(Protocol::SCTP),
    ];

    /// The ports from `first` to `last`; `None` if the last is before the first.
    #[must_use]
    pub const fn new(protocol: Protocol, first: NonZeroU16, last: NonZeroU16) -> Option<Self> {
        let (first, last) = (first.get(), last.get());
        if last < first {
            return None;
        }
        Some(Self {
            protocol,
            first,
            last,
        })
    }

    /// All ports of a protocol.
    #[must_use]
    pub const fn all(protocol: Protocol) -> Self {
        Self {
            protocol,
            first: 1,
            last: u16::MAX,
        }
    }

    /// TCP, UDP or SCTP.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The first port.
    #[must_use]
    pub const fn first(&self) -> u16 {
        self.first
    }

    /// The last port.
    #[must_use]
    pub const fn last(&self) -> u16 {
        self.last
    }

    /// Whether a port is one of these.
    #[must_use]
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        protocol == self.protocol && (self.first..=self.last).contains(&port)
    }

    /// Whether two ranges have a port in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.first <= other.last && other.first <= self.last
    }

    /// Several of them, as the annotation has them.
    pub(crate) fn display(ranges: &[Self]) -> String {
        if *ranges == Self::EVERY_PORT {
            return "all".to_owned();
        }
        let each = ranges.iter().map(Self::to_string);
        each.collect::<Vec<_>>().join(", ")
    }

    /// The same ports in as few ranges as there can be, sorted.
    #[must_use]
    pub fn merge(mut ranges: Vec<Self>) -> Vec<Self> {
        ranges.sort_unstable();
        ranges.dedup_by(|next, range| {
            let joins =
                next.protocol == range.protocol && next.first <= range.last.saturating_add(1);
            if joins {
                range.last = range.last.max(next.last);
            }
            joins
        });
        ranges
    }
}

/// As the annotation has it: `10000-20000/udp`, `53/tcp`, `all/udp`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (1, u16::MAX) => f.write_str("all")?,
            (first, last) if first == last => write!(f, "{first}")?,
            (first, last) => write!(f, "{first}-{last}")?,
        }
        write!(f, "/{}", self.protocol)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn range(protocol: Protocol, first: u16, last: u16) -> PortRange {
        let port = |port| NonZeroU16::new(port).unwrap();
        PortRange::new(protocol, port(first), port(last)).unwrap()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let (tcp, udp) = (Protocol::TCP, Protocol::UDP);
        let ranges = vec![
            range(udp, 20, 30),
            range(tcp, 31, 31),
            range(tcp, 5, 9),
            range(tcp, 10, 30),
            range(tcp, 7, 8),
            range(tcp, 33, u16::MAX),
            range(tcp, 40, 50),
        ];
        let merged = PortRange::merge(ranges);
        let expected = [
            range(tcp, 5, 31),
            range(tcp, 33, u16::MAX),
            range(udp, 20, 30),
        ];
        assert_eq!(merged, expected);
        assert_eq!(
            PortRange::display(&merged),
            "5-31/tcp, 33-65535/tcp, 20-30/udp"
        );
    }

    #[test]
    fn ports_of_another_protocol_are_others() {
        let one = range(Protocol::TCP, 10, 20);
        assert!(one.contains(Protocol::TCP, 10) && one.contains(Protocol::TCP, 20));
        assert!(!one.contains(Protocol::TCP, 21) && !one.contains(Protocol::UDP, 10));
        for (first, last, overlaps) in [
            (1, 9, false),
            (1, 10, true),
            (20, 30, true),
            (21, 30, false),
        ] {
            assert_eq!(one.overlaps(&range(Protocol::TCP, first, last)), overlaps);
            assert!(!one.overlaps(&range(Protocol::UDP, first, last)));
        }
        let port = |port| NonZeroU16::new(port).unwrap();
        assert_eq!(PortRange::new(Protocol::TCP, port(2), port(1)), None);
    }

    #[test]
    fn all_ports_are_written_in_short() {
        assert_eq!(PortRange::display(&PortRange::EVERY_PORT), "all");
        assert_eq!(
            PortRange::merge(PortRange::EVERY_PORT.to_vec()),
            PortRange::EVERY_PORT
        );
        assert_eq!(range(Protocol::UDP, 1, u16::MAX).to_string(), "all/udp");
        assert_eq!(range(Protocol::SCTP, 7, 7).to_string(), "7/sctp");
    }
}
