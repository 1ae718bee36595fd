//! What the `nftables` layout lets its user choose.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use dummy_link::Table;
use ipvs_netlink::Protocol;

use crate::cluster::{ObjectName, Service};
use crate::config::InvalidConfig;

/// Marks, routing and ping of [`Layout::Nftables`](crate::Layout::Nftables).
///
/// The default marks avoid those of Calico (`0xffff0000`), Tailscale (`0xff0000`), Cilium (`0xf00`), the AWS VPC CNI
/// (`0x80`), old kubelets (`0x8000`) and the default of `iptables.masqueradeBit` (`0x4000`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Options {
    /// The bit by which packets are routed to this machine. Default `0x2000`.
    pub route_mark: u32,
    /// The bits of the marks of Service ports with `externalTrafficPolicy: Local`, of those that are not masqueraded
    /// ([`Forwarding`](crate::cluster::Forwarding)), and of ranges of ports. With eight bits there are 255 marks; a
    /// Service port for which none is left is served as if its policy were `Cluster`, or masqueraded, and ranges are not
    /// served, which is reported as a [`Conflict`](crate::Conflict). Default `0x107f`.
    pub service_marks: u32,
    /// The routing table for marked packets. Default 8192.
    pub routing_table: Table,
    /// The priority of the first of two routing rules; the second has the next. Default 77.
    pub rule_priority: u32,
    /// Whether this node answers ICMP echo requests to cluster IPs, from pods, from itself and from outside. Default: no, they
    /// are refused.
    pub answer_ping: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            route_mark: 0x2000,
            service_marks: 0x107f,
            routing_table: Table(8192),
            rule_priority: 77,
            answer_ping: false,
        }
    }
}

impl Options {
    /// Checks marks and routing, beside the bit that asks for masquerading.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] with the field and what is wrong with it.
    pub fn check(&self, masquerade_mark: u32) -> Result<(), InvalidConfig> {
        let invalid = |field, reason| Err(InvalidConfig { field, reason });
        if self.route_mark.count_ones() != 1 {
            return invalid("ipvs.routeMark", "is not exactly one bit");
        }
        if self.route_mark == masquerade_mark {
            return invalid(
                "ipvs.routeMark",
                "is the bit of iptables.masqueradeBit; choose another",
            );
        }
        if self.service_marks == 0 {
            return invalid("ipvs.serviceMarks", "has no bits");
        }
        if self.service_marks & self.route_mark != 0 {
            return invalid("ipvs.serviceMarks", "contains the bit of ipvs.routeMark");
        }
        if self.service_marks & masquerade_mark != 0 {
            return invalid(
                "ipvs.serviceMarks",
                "contains the bit of iptables.masqueradeBit",
            );
        }
        if matches!(
            self.routing_table,
            Table::UNSPEC | Table::DEFAULT | Table::MAIN | Table::LOCAL
        ) {
            return invalid(
                "ipvs.routingTable",
                "is one of the kernel's own tables; choose another number",
            );
        }
        if !(1..32_765).contains(&self.rule_priority) {
            return invalid(
                "ipvs.rulePriority",
                "is not from 1 to 32764, before the rule of the main table",
            );
        }
        Ok(())
    }

    /// How many marks there are for Service ports.
    #[must_use]
    pub const fn marks(&self) -> u32 {
        let bits = self.service_marks.count_ones();
        match 1_u32.checked_shl(bits) {
            Some(all) => all - 1,
            None => u32::MAX,
        }
    }

    /// The mark of a number from 1 to [`marks`](Self::marks): its bits, put into those of the mask.
    const fn mark(&self, number: u32) -> u32 {
        let (mut mark, mut rest, mut number) = (0, self.service_marks, number);
        while rest != 0 && number != 0 {
            let lowest = rest & rest.wrapping_neg();
            if number & 1 == 1 {
                mark |= lowest;
            }
            rest ^= lowest;
            number >>= 1;
        }
        mark
    }
}

/// What needs a mark, in the order in which marks are given: that of the Services' seniority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MarkKey {
    /// Whether nothing is known of its age.
    pub(crate) unknown: bool,
    pub(crate) created: i64,
    pub(crate) service: ObjectName,
    pub(crate) marked: Marked,
}

/// What of a Service has a mark of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Marked {
    /// A port.
    Port(Protocol, u16, MarkFor),
    /// Its ranges of ports.
    Ranges(RangeServer),
}

/// Which of the virtual servers of a Service's ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RangeServer {
    /// With all endpoints.
    Cluster,
    /// Of the cluster IP, with `internalTrafficPolicy: Local`.
    Internal,
    /// For what comes from outside, with `externalTrafficPolicy: Local`.
    Local,
}

/// What a Service port needs a mark for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MarkFor {
    /// The endpoints of `externalTrafficPolicy: Local`.
    Policy,
    /// Forwarding other than masquerading.
    Forwarding,
}

impl MarkKey {
    pub(crate) fn new(service: &Service, marked: Marked) -> Self {
        let (unknown, created, name) = service.seniority();
        Self {
            unknown,
            created,
            service: name.clone(),
            marked,
        }
    }

    /// Where its mark is looked for first: 64-bit FNV-1a of `namespace/name:port/protocol`, with
    /// ` forwarding` behind it for that, or `namespace/name:ranges/internal`, which must be the same in every version of this crate.
    fn hash(&self) -> u64 {
        let text = match self.marked {
            Marked::Port(protocol, port, wanted_for) => {
                let purpose = match wanted_for {
                    MarkFor::Policy => "",
                    MarkFor::Forwarding => " forwarding",
                };
                format!("{}:{port}/{protocol}{purpose}", self.service)
            }
            Marked::Ranges(server) => {
                let server = match server {
                    RangeServer::Cluster => "cluster",
                    RangeServer::Internal => "internal",
                    RangeServer::Local => "local",
                };
                format!("{}:ranges/{server}", self.service)
            }
        };
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

/// The marks of Service ports.
pub(crate) type Marks = BTreeMap<MarkKey, NonZeroU32>;

/// Gives a mark to each Service port, each another one: that of its hash, or the next that is free. Those for which none is
/// left are missing.
pub(crate) fn allocate(options: &Options, keys: impl IntoIterator<Item = MarkKey>) -> Marks {
    let count = options.marks();
    let keys: BTreeSet<_> = keys.into_iter().collect();
    let mut taken = BTreeSet::new();
    let mut marks = BTreeMap::new();
    if count == 0 {
        return marks;
    }
    for key in keys {
        #[allow(clippy::cast_possible_truncation, reason = "less than a u32")]
        let first = (key.hash() % u64::from(count)) as u32;
        let free = next_free(&taken, first).filter(|free| *free < count);
        let Some(free) = free.or_else(|| next_free(&taken, 0).filter(|free| *free < first)) else {
            break;
        };
        taken.insert(free);
        marks.extend(NonZeroU32::new(options.mark(free + 1)).map(|mark| (key, mark)));
    }
    marks
}

/// The first number from `from` on that is not among these.
fn next_free(taken: &BTreeSet<u32>, from: u32) -> Option<u32> {
    let mut free = from;
    for used in taken.range(from..) {
        if *used != free {
            break;
        }
        free = free.checked_add(1)?;
    }
    Some(free)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn key(name: &str, created: i64) -> MarkKey {
        MarkKey {
            unknown: false,
            created,
            service: ObjectName::new("default", name),
            marked: Marked::Port(Protocol::TCP, 80, MarkFor::Policy),
        }
    }

    #[test]
    fn the_default_avoids_the_marks_of_others() {
        let options = Options::default();
        assert_eq!(options.check(1 << 14), Ok(()));
        let own = options.route_mark | options.service_marks;
        for others in [0xffff_0000, 0xff_0000, 0xf00, 0x80, 0x8000, 0x4000] {
            assert_eq!(own & others, 0, "{others:#x}");
        }
        assert_eq!(options.marks(), 255);
    }

    #[test]
    fn bits_that_overlap_and_tables_of_the_kernel_are_refused() {
        let field = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            options.check(1 << 14).unwrap_err().field
        };
        assert_eq!(field(|o| o.route_mark = 0), "ipvs.routeMark");
        assert_eq!(field(|o| o.route_mark = 0x3000), "ipvs.routeMark");
        assert_eq!(field(|o| o.route_mark = 0x4000), "ipvs.routeMark");
        assert_eq!(field(|o| o.service_marks = 0), "ipvs.serviceMarks");
        assert_eq!(field(|o| o.service_marks = 0x2001), "ipvs.serviceMarks");
        assert_eq!(field(|o| o.service_marks = 0x4001), "ipvs.serviceMarks");
        assert_eq!(
            field(|o| o.routing_table = Table::MAIN),
            "ipvs.routingTable"
        );
        assert_eq!(field(|o| o.rule_priority = 32_765), "ipvs.rulePriority");
        assert_eq!(field(|o| o.rule_priority = 0), "ipvs.rulePriority");
    }

    #[test]
    fn every_mark_is_given_once_and_lies_in_the_mask() {
        let options = Options::default();
        let keys: Vec<_> = (0..300).map(|n| key(&format!("s{n}"), n)).collect();
        let marks = allocate(&options, keys.iter().cloned());
        assert_eq!(marks.len(), 255);
        let distinct: BTreeSet<_> = marks.values().copied().collect();
        assert_eq!(distinct.len(), 255);
        assert!(
            distinct
                .iter()
                .all(|mark| mark.get() & !options.service_marks == 0)
        );
        // The older ones have them.
        assert!(keys.iter().take(255).all(|key| marks.contains_key(key)));
    }

    #[test]
    fn a_younger_service_moves_no_mark_of_an_older_one() {
        let options = Options {
            service_marks: 0x7,
            ..Options::default()
        };
        let keys: Vec<_> = (0..7).map(|n| key(&format!("s{n}"), n)).collect();
        for count in 1..=keys.len() {
            let all = allocate(&options, keys.iter().take(count).cloned());
            let fewer = allocate(&options, keys.iter().take(count - 1).cloned());
            assert_eq!(all.len(), count);
            assert!(fewer.iter().all(|(key, mark)| all.get(key) == Some(mark)));
        }
    }

    /// A restart with another version must find the marks that this one gave.
    #[test]
    fn marks_depend_on_names_alone() {
        assert_eq!(key("web", 1).hash(), key("web", 2).hash());
        let web = key("web", 1);
        let marks = allocate(&Options::default(), [web.clone()]);
        assert_eq!(marks.get(&web).map(|mark| mark.get()), Some(0x105d));
    }
}
