//! Routing rules and routes: requests, and reading what the kernel sends.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction as Action, RuleAttribute, RuleMessage};
use netlink_wire::{DecodeError, Family, Names, Problem, walk};

use super::read::{header, ip};
use crate::uapi::{
    FIB_RULE_INVERT, FRA_FWMARK, FRA_FWMASK, FRA_IIFNAME, FRA_PAD, FRA_PRIORITY, FRA_PROTOCOL,
    FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, RTA_DST, RTA_OIF, RTA_PRIORITY, RTA_TABLE, RTM_F_CLONED,
};
use crate::{
    LocalRoute, Mark, MarkRule, Route, RouteKind, RoutingProtocol, Rule, RuleAction, Table,
};

/// The loopback link, with the NUL that ends its name in messages.
const LO: &[u8] = b"lo\0";

const RULE_NAMES: &Names = &[
    (FRA_IIFNAME, "FRA_IIFNAME"),
    (FRA_PRIORITY, "FRA_PRIORITY"),
    (FRA_FWMARK, "FRA_FWMARK"),
    (FRA_SUPPRESS_PREFIXLEN, "FRA_SUPPRESS_PREFIXLEN"),
    (FRA_TABLE, "FRA_TABLE"),
    (FRA_FWMASK, "FRA_FWMASK"),
    (FRA_PROTOCOL, "FRA_PROTOCOL"),
];

const ROUTE_NAMES: &Names = &[
    (RTA_DST, "RTA_DST"),
    (RTA_OIF, "RTA_OIF"),
    (RTA_PRIORITY, "RTA_PRIORITY"),
    (RTA_TABLE, "RTA_TABLE"),
];

fn family_of(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// A rule by mark, for `RTM_NEWRULE` with `NLM_F_CREATE | NLM_F_EXCL`, and for `RTM_DELRULE`.
///
/// The kernel deletes the first rule that has all that the request names (`rule_find` in
/// [`fib_rules.c`](https://github.com/torvalds/linux/blob/v6.12/net/core/fib_rules.c)). It may have more
/// conditions besides.
pub fn mark_rule(rule: &MarkRule) -> RuleMessage {
    let mut message = all_rules();
    message.header.family = family_of(rule.family);
    message.header.action = Action::ToTable;
    message.attributes = vec![
        RuleAttribute::FwMark(rule.mark.value),
        RuleAttribute::FwMask(rule.mark.mask),
    ];
    if rule.iif_lo {
        message
            .attributes
            .push(RuleAttribute::Iifname("lo".to_owned()));
    }
    match u8::try_from(rule.table.0) {
        Ok(table) => message.header.table = table,
        Err(_) => message.attributes.push(RuleAttribute::Table(rule.table.0)),
    }
    message.attributes.extend([
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Protocol(rule.protocol.0.into()),
    ]);
    message
}

/// All rules, for `RTM_GETRULE` with `NLM_F_DUMP`.
pub fn all_rules() -> RuleMessage {
    RuleMessage::default()
}

/// A local route, for `RTM_NEWROUTE` with `NLM_F_CREATE | NLM_F_EXCL`, and for `RTM_DELROUTE`.
pub fn local_route(route: &LocalRoute) -> RouteMessage {
    let address = route.destination.ip();
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(Family::of(address));
    message.header.destination_prefix_length = route.destination.prefix();
    message.header.protocol = route.protocol.0.into();
    message.header.kind = RouteType::Local;
    // IPv6 has no scopes.
    if address.is_ipv4() {
        message.header.scope = RouteScope::Host;
    }
    if address.is_ipv6() || route.destination.prefix() > 0 {
        let destination = RouteAttribute::Destination(address.into());
        message.attributes.push(destination);
    }
    match u8::try_from(route.table.0) {
        Ok(table) => message.header.table = table,
        Err(_) => {
            let table = RouteAttribute::Table(route.table.0);
            message.attributes.push(table);
        }
    }
    message.attributes.push(RouteAttribute::Oif(route.link));
    message
}

/// The routes of a table, for `RTM_GETROUTE` with `NLM_F_DUMP`. The kernel ignores the table unless the
/// socket has `NETLINK_GET_STRICT_CHK` (Linux 4.20); with it, a table that is empty may be `ENOENT`.
pub fn routes_of(family: Family, table: Table) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(family);
    message.attributes = vec![RouteAttribute::Table(table.0)];
    message
}

/// The routes of a protocol in whatever table, for `RTM_GETROUTE` with `NLM_F_DUMP`. The kernel ignores the
/// protocol unless the socket has `NETLINK_GET_STRICT_CHK` (Linux 4.20).
pub fn routes_by(family: Family, protocol: RoutingProtocol) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(family);
    message.header.protocol = protocol.0.into();
    message
}

/// Reads a rule from the payload of `RTM_NEWRULE` or `RTM_DELRULE`; `None` if it is neither for IPv4 nor
/// IPv6.
///
/// # Errors
/// [`DecodeError`]: the payload is cut off or malformed.
pub fn parse_rule(payload: &[u8]) -> Result<Option<Rule>, DecodeError> {
    // struct fib_rule_hdr: family, two prefix lengths, type of service, table, two reserved, action
    // (1 byte each), flags (4 bytes).
    let (&[family, to, from, tos, table, _, _, action, f0, f1, f2, f3], attributes) =
        header::<12>(payload, "fib_rule_hdr")?;
    let Some(family) = Family::from_number(family.into()) else {
        return Ok(None);
    };
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let mut has_more = flags & FIB_RULE_INVERT != 0 || [to, from, tos] != [0; 3];
    let (mut priority, mut table, mut protocol) = (0, u32::from(table), 0);
    let (mut value, mut mask, mut iif_lo) = (None, None, false);
    walk(attributes, "RTM_NEWRULE", RULE_NAMES, |attribute| {
        match attribute.kind() {
            FRA_PRIORITY => priority = attribute.u32()?,
            FRA_FWMARK => value = Some(attribute.u32()?),
            FRA_FWMASK => mask = Some(attribute.u32()?),
            FRA_TABLE => table = attribute.u32()?,
            FRA_PROTOCOL => protocol = attribute.u8()?,
            FRA_SUPPRESS_PREFIXLEN => has_more |= attribute.u32()? != u32::MAX,
            FRA_IIFNAME if attribute.value() == LO => iif_lo = true,
            FRA_PAD => {}
            // Whatever it is, it is sent only where it is set.
            _ => has_more = true,
        }
        Ok(())
    })?;
    let mark = (value.is_some() || mask.is_some()).then(|| Mark {
        value: value.unwrap_or(0),
        mask: mask.unwrap_or(u32::MAX),
    });
    Ok(Some(Rule {
        family,
        priority,
        action: RuleAction(action),
        table: Table(table),
        iif_lo,
        mark,
        protocol: RoutingProtocol(protocol),
        has_more,
    }))
}

/// Reads a route from the payload of `RTM_NEWROUTE` or `RTM_DELROUTE`; `None` if it is neither IPv4 nor
/// IPv6, or one that the kernel copied for a single destination.
///
/// # Errors
/// [`DecodeError`]: the payload is cut off or malformed.
pub fn parse_route(payload: &[u8]) -> Result<Option<Route>, DecodeError> {
    // struct rtmsg: family, two prefix lengths, type of service, table, protocol, scope, type (1 byte
    // each), flags (4 bytes).
    let (
        &[
            family,
            prefix,
            _,
            _,
            table,
            protocol,
            _,
            kind,
            f0,
            f1,
            f2,
            f3,
        ],
        attributes,
    ) = header::<12>(payload, "rtmsg")?;
    let family = Family::from_number(family.into());
    let is_copy = u32::from_ne_bytes([f0, f1, f2, f3]) & RTM_F_CLONED != 0;
    let Some(family) = family.filter(|_| !is_copy) else {
        return Ok(None);
    };
    let mut address: IpAddr = family.unspecified();
    let (mut table, mut link, mut metric) = (u32::from(table), None, None);
    walk(attributes, "RTM_NEWROUTE", ROUTE_NAMES, |attribute| {
        match attribute.kind() {
            RTA_DST => address = ip(attribute, family)?,
            RTA_OIF => link = Some(attribute.u32()?),
            RTA_PRIORITY => metric = Some(attribute.u32()?),
            RTA_TABLE => table = attribute.u32()?,
            _ => {}
        }
        Ok(())
    })?;
    let destination = IpNetwork::new(address, prefix).map_err(|_| {
        let expected = "a prefix length of the family";
        Problem::Invalid { expected }.of("rtm_dst_len")
    })?;
    Ok(Some(Route {
        destination,
        table: Table(table),
        kind: RouteKind(kind),
        protocol: RoutingProtocol(protocol),
        link,
        metric,
    }))
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
