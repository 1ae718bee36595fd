//! The routing that makes marked packets local.

use dummy_link::{LocalRoute, Mark, MarkRule, RoutingProtocol, Table, every_address};

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
    ///
    /// The first rule of each keeps all but the routes of what comes in out of the proxy's table: the routes of what this
    /// machine sends itself, and those by which IPv4 checks the source of what it receives. With `src_valid_mark` that check
    /// looks the source up with the packet's mark, takes every source for an address of this machine's, and drops the packet.
    #[must_use]
    pub fn of(options: &Options, families: impl IntoIterator<Item = Family>) -> Self {
        let mut routing = Self::default();
        for family in families {
            let to_here = MarkRule {
                family,
                priority: options.rule_priority.saturating_add(1),
                iif_lo: false,
                mark: Mark::bits(options.route_mark),
                table: options.routing_table,
                protocol: ROUTING_PROTOCOL,
            };
            let own = MarkRule {
                priority: options.rule_priority,
                iif_lo: true,
                table: Table::MAIN,
                ..to_here
            };
            routing.rules.extend([own, to_here]);
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
