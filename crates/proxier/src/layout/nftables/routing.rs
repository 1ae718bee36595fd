//! The routing that makes marked packets local.

use dummy_link::{LocalRoute, Mark, MarkRule, RoutingProtocol, every_address};

use super::Options;
use crate::cluster::Family;

/// The protocol number of the proxy's rules and routes, by which they are recognized.
pub const ROUTING_PROTOCOL: RoutingProtocol = RoutingProtocol(77);

/// The index of `lo`, the same in every network namespace (`LOOPBACK_IFINDEX` in the kernel).
const LOOPBACK: u32 = 1;

/// Rules by mark and local routes of the proxy's, both families. Sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The rules.
    pub rules: Vec<MarkRule>,
    /// The routes.
    pub routes: Vec<LocalRoute>,
}

impl Routing {
    /// What delivers packets with the route mark to this machine, for these families.
    #[must_use]
    pub fn of(options: &Options, families: impl IntoIterator<Item = Family>) -> Self {
        let mut routing = Self::default();
        for family in families {
            routing.rules.push(MarkRule {
                family,
                priority: options.rule_priority,
                mark: Mark::bits(options.route_mark),
                table: options.routing_table,
                protocol: ROUTING_PROTOCOL,
            });
            routing.routes.push(LocalRoute {
                destination: every_address(family),
                link: LOOPBACK,
                table: options.routing_table,
                protocol: ROUTING_PROTOCOL,
            });
        }
        routing.rules.sort_unstable();
        routing.routes.sort_unstable();
        routing
    }
}
