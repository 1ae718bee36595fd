//! What can be in the way of layout `nftables`.

use std::fs;
use std::net::Ipv4Addr;

use dummy_link::{Mark, Rule, host_address};
use nftables_netlink::{Chain, HookNumber, TableFamily, VerdictCode};
use proxier::Config;
use proxier::cluster::Family;
use proxier::nftables::{Options as Marks, ROUTING_PROTOCOL, TABLE, TableRules};
use proxier_linux::probe_nftables;

use super::{Check, Machine, Verdict};
use crate::options::Options;

impl Machine {
    /// What may be in the way of this layout, which has all it [needs](Self::expressions). Neither a tool is run nor a module
    /// loaded that the layout does not need.
    pub(super) fn nftables(&self, options: &Options) -> Vec<Check> {
        let marks = &options.config.nftables;
        let ipv6 = self.has_ipv6();
        let families = Family::ALL
            .into_iter()
            .filter(|family| ipv6 || *family == Family::V4);
        let routes = families.filter_map(|family| self.default_route(family));
        let mut checks: Vec<_> = routes.collect();
        checks.push(self.source_checks());
        checks.extend(routing(marks, options.config.masquerade_bit));
        checks.extend(input(marks));
        checks
    }

    /// Whether the kernel has all that the tables are made of.
    pub(super) fn expressions(&self, config: &Config) -> Vec<Check> {
        let ipv6 = self.has_ipv6();
        let families = Family::ALL
            .into_iter()
            .filter(|family| ipv6 || *family == Family::V4);
        families.map(|family| expressions(family, config)).collect()
    }

    /// What this machine, or a pod, sends to a Service is routed by its address first.
    fn default_route(&self, family: Family) -> Option<Check> {
        let name = match family {
            Family::V4 => "IPv4 route",
            Family::V6 => "IPv6 route",
        };
        let file = match family {
            Family::V4 => "proc/net/route",
            Family::V6 => "proc/net/ipv6_route",
        };
        let text = fs::read_to_string(self.root.join(file)).ok()?;
        if family == Family::V6 && !has_global_ipv6(&self.read("proc/net/if_inet6")) {
            return None;
        }
        let flag = if family == Family::V6 { "-6 " } else { "" };
        Some(match has_default(family, &text) {
            true => Check::works(name, "there is a default route"),
            false => Check::no(
                Verdict::Warning,
                name,
                "there is no default route: this node itself can reach Services only with one, or with a route to \
                 their addresses",
                format!(
                    "ip {flag}route add default via GATEWAY, or for the cluster's service CIDR: ip {flag}route add CIDR dev LINK"
                ),
            ),
        })
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// The kernel's checks of source addresses, which the first routing rule keeps in order.
    fn source_checks(&self) -> Check {
        let value = |setting: &str| {
            let text = self.read(&format!("proc/sys/net/ipv4/conf/all/{setting}"));
            text.trim().to_owned()
        };
        let (valid_mark, filter) = (value("src_valid_mark"), value("rp_filter"));
        let found = format!("rp_filter={filter}, src_valid_mark={valid_mark}");
        let found = match valid_mark == "1" {
            true => format!(
                "{found}: the kernel checks sources with the packet's mark; the proxy's routing rule of `iif lo` keeps that \
                 check in table main"
            ),
            false => found,
        };
        Check::works("source checks", found)
    }
}

/// Whether the kernel has all that the table is made of.
fn expressions(family: Family, config: &Config) -> Check {
    let name = match family {
        Family::V4 => "nf_tables ip",
        Family::V6 => "nf_tables ip6",
    };
    let mut rules = TableRules::new(family);
    let asks_for_loopback = config.localhost_node_ports == Some(true);
    if family == Family::V4 && asks_for_loopback {
        rules.loopback = vec![host_address(Ipv4Addr::LOCALHOST.into())];
    }
    match probe_nftables(&rules) {
        Ok(()) => Check::works(name, "has all sets, chains and expressions needed"),
        Err(error) => Check::no(
            Verdict::Fails,
            name,
            error.to_string(),
            "modprobe -a nf_tables nft_ct nft_fib nft_chain_nat nft_masq nft_reject, or boot a kernel (5.9 or later) that has \
             them; or run it with --layout=current",
        ),
    }
}

/// Whether a line of `/proc/net/route` or `/proc/net/ipv6_route` is a default route that can be used.
fn has_default(family: Family, text: &str) -> bool {
    let mut lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.any(|fields| match (family, &fields[..]) {
        // RTF_REJECT is 0x200.
        (Family::V4, [_, "00000000", _, flags, _, _, _, "00000000", ..]) => usable(flags),
        (Family::V6, [to, "00", _, "00", _, _, _, _, flags, link, ..]) => {
            to.bytes().all(|digit| digit == b'0') && *link != "lo" && usable(flags)
        }
        _ => false,
    })
}

fn usable(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 != 0 && flags & 0x200 == 0)
}

/// Whether a link has a global address; scope 0 in `/proc/net/if_inet6`.
fn has_global_ipv6(text: &str) -> bool {
    let mut scopes = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3));
    scopes.any(|scope| scope == "00")
}

fn routing(marks: &Marks, masquerade_bit: u8) -> Vec<Check> {
    let name = "routing";
    let read = dummy_link::Client::open().and_then(|mut client| {
        let rules = client.rules()?;
        let routes = client.routes(marks.routing_table)?;
        Ok((rules, routes))
    });
    let (rules, routes) = match read {
        Ok(read) => read,
        Err(error) => return vec![Check::no(Verdict::Warning, name, error.to_string(), "")],
    };
    let mut checks = rules_of_others(&rules, marks, masquerade_bit);
    let foreign = routes
        .iter()
        .filter(|route| route.protocol != ROUTING_PROTOCOL)
        .count();
    if foreign > 0 {
        let table = marks.routing_table;
        checks.push(Check::no(
            Verdict::Warning,
            name,
            format!("table {table}, which is the proxy's, has {foreign} routes of others: packets to Services may go there"),
            format!("ip route show table {table}; have their owner use another table, and delete them"),
        ));
    }
    if checks.is_empty() {
        checks.push(Check::works(
            name,
            "no rule or route of others uses the proxy's marks, priorities or table",
        ));
    }
    checks
}

/// What a rule of somebody else's may do to marked packets.
fn rules_of_others(rules: &[Rule], marks: &Marks, masquerade_bit: u8) -> Vec<Check> {
    let masquerade = 1_u32.checked_shl(masquerade_bit.into()).unwrap_or_default();
    let bits = marks.route_mark | marks.service_marks | masquerade;
    let others = rules
        .iter()
        .filter(|rule| rule.protocol != ROUTING_PROTOCOL);
    others
        .filter_map(|rule| {
            let Rule { family, priority, table, .. } = rule;
            let flag = if *family == Family::V6 { "-6 " } else { "" };
            let check = |found: String, remedy: String| {
                Some(Check::no(Verdict::Warning, "routing", found, remedy))
            };
            if let Some(Mark { value, mask }) = rule.mark.filter(|mark| mark.mask & bits != 0) {
                let shared = mask & bits;
                return check(
                    format!(
                        "ip {flag}rule {priority}: fwmark {value:#x}/{mask:#x} shares the bits {shared:#x} with the proxy's \
                         marks: packets to Services may be routed by table {table}"
                    ),
                    format!(
                        "have whatever made it use other bits than {bits:#x} (Calico: FELIX_IPTABLESMARKMASK; others have a \
                         setting like it), or run this proxy with --layout=current"
                    ),
                );
            }
            if *table == marks.routing_table {
                return check(
                    format!("ip {flag}rule {priority} looks up table {table}, which is the proxy's"),
                    format!("ip {flag}rule del priority {priority}, or have whatever made it use another table"),
                );
            }
            let own = [marks.rule_priority, marks.rule_priority.saturating_add(1)];
            if own.contains(priority) {
                return check(
                    format!("ip {flag}rule {priority} has the priority of one of the proxy's: which comes first is undefined"),
                    "have whatever made it use another priority".to_owned(),
                );
            }
            None
        })
        .collect()
}

/// Chains of others that drop what no rule accepts: packets to Services are delivered to this machine.
fn input(marks: &Marks) -> Vec<Check> {
    let name = "input";
    let mut checks = Vec::new();
    let client = nftables_netlink::Client::open();
    let Ok(mut client) = client else {
        // Another check has the error.
        return checks;
    };
    for family in [TableFamily::IPV4, TableFamily::IPV6, TableFamily::INET] {
        let chains = client.chains(family).unwrap_or_default();
        checks.extend(chains.iter().filter_map(|chain| dropping(chain, marks)));
    }
    if checks.is_empty() {
        checks.push(Check::works(
            name,
            "no chain of nf_tables drops all by default",
        ));
    }
    checks
}

fn dropping(chain: &Chain, marks: &Marks) -> Option<Check> {
    let is_input = chain
        .hook
        .as_ref()
        .is_some_and(|hook| hook.number == HookNumber::INPUT);
    if !is_input || chain.table == TABLE || chain.policy != Some(VerdictCode::DROP) {
        return None;
    }
    let (family, table) = (chain.family, &chain.table);
    let chain = chain.name.as_ref()?;
    let mark = marks.route_mark;
    let is_iptables = *table == "filter" && *chain == "INPUT";
    let remedy = match (is_iptables, family) {
        (true, TableFamily::IPV6) => {
            format!("ip6tables -I INPUT -m mark --mark {mark:#x}/{mark:#x} -j ACCEPT")
        }
        (true, _) => format!("iptables -I INPUT -m mark --mark {mark:#x}/{mark:#x} -j ACCEPT"),
        _ => format!(
            "nft insert rule {family} {table} {chain} meta mark and {mark:#x} == {mark:#x} accept"
        ),
    };
    Some(Check::no(
        Verdict::Warning,
        "input",
        format!(
            "chain {chain} of table {family} {table} drops what no rule accepts: packets to Services, which have the mark \
             {mark:#x} there, do not get through"
        ),
        remedy,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.1 prints them.
    #[test]
    fn a_default_route_is_one_that_can_be_used() {
        let head =
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let v4 = |lines: &str| has_default(Family::V4, &format!("{head}{lines}"));
        assert!(!v4(""));
        assert!(v4(
            "eth0\t00000000\t020AA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        ));
        // 0.0.0.0/1, an unreachable default route, another network.
        assert!(!v4(
            "eth0\t00000000\t020AA8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
        ));
        assert!(!v4(
            "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"
        ));
        assert!(!v4(
            "eth0\t000AA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        ));
        let v6 = |flags: &str, link: &str| {
            let zeros = "0".repeat(32);
            let line = format!(
                "{zeros} 00 {zeros} 00 {zeros} 00000400 00000001 00000000 {flags} {link}\n"
            );
            has_default(Family::V6, &line)
        };
        assert!(v6("00000003", "eth0"));
        assert!(!v6("00200200", "lo"));
        assert!(!v6("00000203", "eth0"));
    }

    #[test]
    fn a_link_local_address_is_no_global_one() {
        let local = "fe800000000000000000000000000001 02 40 20 80     eth0\n";
        assert!(!has_global_ipv6(local));
        let global = "20010db8000000000000000000000001 02 40 00 80     eth0\n";
        assert!(has_global_ipv6(&format!("{local}{global}")));
    }
}
