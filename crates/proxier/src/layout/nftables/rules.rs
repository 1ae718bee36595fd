//! The chains and rules of a table.

use nftables_netlink::{Chain, Rule};

use super::{Kind, SetId, Structure, name, table};
use crate::cluster::Family;
use crate::layout::LocalSource;

/// All that the chains and rules of a family's table depend on: options, and no Services.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRules {
    /// For which addresses.
    pub family: Family,
    /// The bit by which packets are routed to this machine.
    pub route_mark: u32,
    /// The bit that asks for masquerading.
    pub masquerade_mark: u32,
    /// The bits of Services' marks.
    pub service_marks: u32,
    /// Whether all traffic to cluster IPs is masqueraded.
    pub masquerade_all: bool,
    /// How traffic of this node's pods is recognized, where it can be.
    pub local_source: Option<LocalSource>,
}

impl TableRules {
    /// The rules of a family as the default configuration has them.
    #[must_use]
    pub const fn new(family: Family) -> Self {
        Self {
            family,
            route_mark: 0x2000,
            masquerade_mark: 1 << 14,
            service_marks: 0x107f,
            masquerade_all: false,
            local_source: None,
        }
    }

    /// The table: sets, chains and rules.
    #[must_use]
    pub fn structure(&self) -> Structure {
        let sets = SetId::ALL.map(|id| id.spec(self.family));
        Structure::new(sets, self.chains(), self.rules())
    }

    fn chains(&self) -> Vec<Chain> {
        let kinds = Kind::ALL.into_iter().filter_map(Kind::chain);
        kinds
            .map(|chain| Chain::new(self.family, table(), name(chain)))
            .collect()
    }

    #[allow(clippy::unused_self, reason = "nftlinux fills it")]
    const fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }
}
