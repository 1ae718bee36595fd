//! Which flows are meant.

use netlink_wire::Family;

use crate::{Flow, Status};

/// Some bits of the mark of a flow, and what they are.
///
/// Of a filter: the flow matches if its mark has the value in the bits of the mask. Of an update: these bits of the
/// mark become the value, the others stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Mark {
    /// What they are, within the mask.
    pub value: u32,
    /// Which bits.
    pub mask: u32,
}

impl Mark {
    /// The whole mark.
    #[must_use]
    pub const fn exactly(value: u32) -> Self {
        Self {
            value,
            mask: u32::MAX,
        }
    }

    /// These bits, all set.
    #[must_use]
    pub const fn bits(bits: u32) -> Self {
        Self {
            value: bits,
            mask: bits,
        }
    }

    /// Whether a mark has this value in these bits.
    #[must_use]
    pub const fn matches(self, mark: u32) -> bool {
        mark & self.mask == self.value
    }
}

/// Which flows to list or delete. A new one means all flows of both families; each choice narrows it.
///
/// Marks are filtered by the kernel, status bits since Linux 5.14 and zones since 6.8. Each flow is compared with the
/// filter here all the same, so that an older kernel only makes it slower.
///
/// ```
/// use conntrack_netlink::{Family, Filter, Mark, Status};
///
/// // Translated IPv4 flows of zone 7 that nobody answered.
/// let filter = Filter::new()
///     .family(Family::V4)
///     .zone(7)
///     .mark(Mark { value: 0x4000, mask: 0xf000 })
///     .with_status(Status::DST_NAT)
///     .without_status(Status::SEEN_REPLY);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Filter {
    /// Only those of this family.
    pub family: Option<Family>,
    /// Only those whose both directions are in this zone; 0 is the default zone.
    pub zone: Option<u16>,
    /// Only those with such a mark.
    pub mark: Option<Mark>,
    /// Only those that have all these bits.
    pub status: Status,
    /// Only those that have none of these bits.
    pub status_unset: Status,
}

impl Filter {
    /// All flows.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            family: None,
            zone: None,
            mark: None,
            status: Status::empty(),
            status_unset: Status::empty(),
        }
    }

    /// Only those of this family.
    #[must_use]
    pub const fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// Only those whose both directions are in this zone; 0 is the default zone.
    #[must_use]
    pub const fn zone(mut self, zone: u16) -> Self {
        self.zone = Some(zone);
        self
    }

    /// Only those with such a mark.
    #[must_use]
    pub const fn mark(mut self, mark: Mark) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Only those that have all these status bits, beside others.
    #[must_use]
    pub const fn with_status(mut self, bits: Status) -> Self {
        self.status = self.status.union(bits);
        self
    }

    /// Only those that have none of these status bits.
    #[must_use]
    pub const fn without_status(mut self, bits: Status) -> Self {
        self.status_unset = self.status_unset.union(bits);
        self
    }

    /// Whether it means this flow. A flow whose mark the kernel did not report has the mark 0; one without status
    /// bits matches only where no bits are asked for.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        let asked = self.status | self.status_unset;
        self.family.is_none_or(|family| family == flow.family())
            && self.zone.is_none_or(|zone| zone == flow.zone)
            && self
                .mark
                .is_none_or(|mark| mark.matches(flow.mark.unwrap_or(0)))
            && (asked.is_empty()
                || flow
                    .status
                    .is_some_and(|status| self.matches_status(status)))
    }

    fn matches_status(&self, status: Status) -> bool {
        status.contains(self.status) && !status.intersects(self.status_unset)
    }
}

impl From<Family> for Filter {
    /// All flows of a family.
    fn from(family: Family) -> Self {
        Self::new().family(family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Protocol, Tuple};

    #[test]
    fn a_flow_matches_if_every_choice_does() {
        let tuple = Tuple::ports(
            Protocol::UDP,
            ([10, 0, 0, 1].into(), 1),
            ([10, 0, 0, 2].into(), 2),
        );
        let mut flow = Flow::new(tuple, tuple);
        let all = Filter::new();
        assert!(all.matches(&flow) && all.family(Family::V4).matches(&flow));
        assert!(!all.family(Family::V6).matches(&flow));
        assert!(all.zone(0).matches(&flow) && !all.zone(7).matches(&flow));
        assert!(all.mark(Mark::exactly(0)).matches(&flow));
        // Without status bits.
        assert!(!all.with_status(Status::ASSURED).matches(&flow));
        assert!(!all.without_status(Status::ASSURED).matches(&flow));

        flow.mark = Some(0x1234);
        flow.zone = 7;
        flow.status = Some(Status::ASSURED | Status::CONFIRMED);
        let nibble = |value| Mark { value, mask: 0xf00 };
        assert!(all.mark(nibble(0x200)).zone(7).matches(&flow));
        assert!(!all.mark(nibble(0x300)).matches(&flow));
        assert!(all.mark(Mark::bits(0x1010)).matches(&flow));
        assert!(!all.mark(Mark::bits(0x1011)).matches(&flow));
        assert!(all.with_status(Status::ASSURED).matches(&flow));
        let unanswered = all.without_status(Status::SEEN_REPLY);
        assert!(unanswered.matches(&flow));
        let assured = all.with_status(Status::ASSURED);
        assert!(!assured.with_status(Status::SEEN_REPLY).matches(&flow));
        assert!(!unanswered.without_status(Status::ASSURED).matches(&flow));
        // What cannot be.
        assert!(!assured.without_status(Status::ASSURED).matches(&flow));
    }
}
