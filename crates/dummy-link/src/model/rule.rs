//! Routing rules: which routing table a packet's route is looked up in.

use std::fmt;

use netlink_wire::Family;

use crate::Mark;

/// The number of a routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Table(pub u32);

impl Table {
    /// No table: that of a rule which looks none up.
    pub const UNSPEC: Self = Self(0);
    /// The table of `ip route` where none is named, after [`MAIN`](Self::MAIN); usually empty.
    pub const DEFAULT: Self = Self(253);
    /// The table that holds a node's routes.
    pub const MAIN: Self = Self(254);
    /// The table in which the kernel keeps local and broadcast addresses.
    pub const LOCAL: Self = Self(255);
}

/// As `ip route` writes it: a name for the kernel's own tables, else the number.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DEFAULT => f.write_str("default"),
            Self::MAIN => f.write_str("main"),
            Self::LOCAL => f.write_str("local"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

/// What made a rule or route: `FRA_PROTOCOL` (Linux 4.17) and `rtm_protocol`. A program chooses a
/// number of its own to recognise what it made; `ip` reads names for them from
/// `/etc/iproute2/rt_protos`. The kernel does not interpret numbers from 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RoutingProtocol(pub u8);

impl RoutingProtocol {
    /// Unknown. In a request to delete it stands for any.
    pub const UNSPEC: Self = Self(0);
    /// The kernel, after an ICMP redirect.
    pub const REDIRECT: Self = Self(1);
    /// The kernel.
    pub const KERNEL: Self = Self(2);
    /// Somebody, while the machine booted; what `ip` sets if it is given no other.
    pub const BOOT: Self = Self(3);
    /// The administrator.
    pub const STATIC: Self = Self(4);
}

/// What a rule does with a packet that it matches: `FR_ACT_*` of
/// [`linux/fib_rules.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/fib_rules.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RuleAction(pub u8);

impl RuleAction {
    /// Look the route up in the rule's table. Without a match there, the next rule has its turn.
    pub const TO_TABLE: Self = Self(1);
    /// Go on with another rule.
    pub const GOTO: Self = Self(2);
    /// Go on with the next rule.
    pub const NOP: Self = Self(3);
    /// Drop the packet.
    pub const BLACKHOLE: Self = Self(6);
    /// Answer that the network is unreachable.
    pub const UNREACHABLE: Self = Self(7);
    /// Answer that communication is prohibited.
    pub const PROHIBIT: Self = Self(8);
}

/// A rule by mark: packets with this mark are routed by this table.
///
/// Displays as the arguments of `ip rule`: `priority 100 fwmark 0x2000/0x2000 table 8192 protocol 77`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MarkRule {
    /// The packets' family.
    pub family: Family,
    /// The rule's place: rules with lower numbers come first. The kernel's own are 0 (the table
    /// [`LOCAL`](Table::LOCAL)), 32766 (`MAIN`) and 32767 (`DEFAULT`, IPv4).
    pub priority: u32,
    /// Whether it is only for routes that are looked up as of this machine's own packets (`iif lo`): those of what it
    /// sends, and those by which IPv4 checks the source of what it receives (`src_valid_mark`).
    pub iif_lo: bool,
    /// The mark.
    pub mark: Mark,
    /// The table.
    pub table: Table,
    /// Whose rule it is.
    pub protocol: RoutingProtocol,
}

impl fmt::Display for MarkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            family: _,
            priority,
            iif_lo,
            mark,
            table,
            protocol,
        } = self;
        let iif = if *iif_lo { "iif lo " } else { "" };
        write!(
            f,
            "priority {priority} {iif}fwmark {mark} table {table} protocol {}",
            protocol.0
        )
    }
}

/// A rule as the kernel describes it, of whatever kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Rule {
    /// The packets' family.
    pub family: Family,
    /// The rule's place: rules with lower numbers come first.
    pub priority: u32,
    /// What it does.
    pub action: RuleAction,
    /// The table, if it looks one up; else [`Table::UNSPEC`].
    pub table: Table,
    /// Whether it has the condition `iif lo`.
    pub iif_lo: bool,
    /// Its condition on the mark.
    pub mark: Option<Mark>,
    /// Whose rule it is; `UNSPEC` on kernels before 4.17.
    pub protocol: RoutingProtocol,
    /// Whether it has conditions or options besides these: addresses, other links, ports, users, inverted,
    /// prefixes that are suppressed.
    pub has_more: bool,
}

impl Rule {
    /// The rule by mark that this is; `None` if it is another kind of rule, or has more conditions.
    #[must_use]
    pub fn by_mark(&self) -> Option<MarkRule> {
        let mark = self.mark?;
        let is_plain = self.action == RuleAction::TO_TABLE && !self.has_more;
        is_plain.then_some(MarkRule {
            family: self.family,
            priority: self.priority,
            iif_lo: self.iif_lo,
            mark,
            table: self.table,
            protocol: self.protocol,
        })
    }
}
