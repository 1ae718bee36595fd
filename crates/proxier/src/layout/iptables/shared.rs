//! The chains that the rules of all Services are in.

use iptables_restore::{Match, Rule, TableName};

use super::base::{EXTERNAL_SERVICES, FIREWALL, NODE_PORTS, SERVICES};
use super::names::is_service_chain_name;
use crate::cluster::ObjectName;

/// A chain that has rules of many Services, in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SharedChain {
    /// nat: where service addresses lead.
    Services,
    /// nat: where node ports lead.
    NodePorts,
    /// filter: cluster IPs that are refused.
    Refused,
    /// filter: other addresses and node ports that are refused.
    RefusedOutside,
    /// filter: health checks, which are let through.
    HealthChecks,
    /// filter: what no source range let pass.
    Firewall,
}

impl SharedChain {
    pub(crate) const COUNT: usize = 6;

    /// All of them; each is at its [index](Self::index).
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Services,
        Self::NodePorts,
        Self::Refused,
        Self::RefusedOutside,
        Self::HealthChecks,
        Self::Firewall,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    pub(crate) const fn table(self) -> TableName {
        match self {
            Self::Services | Self::NodePorts => TableName::Nat,
            _ => TableName::Filter,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Services | Self::Refused => SERVICES,
            Self::NodePorts | Self::HealthChecks => NODE_PORTS,
            Self::RefusedOutside => EXTERNAL_SERVICES,
            Self::Firewall => FIREWALL,
        }
    }

    /// The chain of a name in a table.
    pub(crate) fn of(table: &TableName, name: &str) -> Option<Self> {
        let of = |chain: &Self| chain.name() == name && chain.table() == *table;
        Self::ALL.into_iter().find(of)
    }

    /// The Service that a rule of this chain is for, as its comment says; `None` for a rule that is for none.
    pub(crate) fn service_of(self, rule: &Rule) -> Option<ObjectName> {
        if self.table() == TableName::Nat {
            let target = rule.target.as_ref()?.chain()?;
            if !is_service_chain_name(target) {
                return None;
            }
        }
        let text = rule.matches.iter().find_map(|part| match part {
            Match::Comment(text) => Some(text),
            _ => None,
        })?;
        let label = text.split([' ', ':']).next()?;
        let (namespace, name) = label.split_once('/')?;
        Some(ObjectName::new(namespace, name))
    }
}

/// Whether the rules of a Service can be told from its name, which holds for all that Kubernetes allows.
pub(crate) fn is_plain(name: &ObjectName) -> bool {
    const KEPT: usize = 128;
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let (namespace, name) = (name.namespace(), name.name());
    namespace.len() + name.len() < KEPT && plain(namespace) && plain(name)
}
