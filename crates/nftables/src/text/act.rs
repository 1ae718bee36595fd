//! Statements that are one expression each.

use netlink_wire::Family;

use super::rule::Printer;
use super::value;
use crate::DataType;
use crate::expression::{
    Expression, Limit, LimitKind, Log, LogFlags, Nat, NatFlags, NatKind, QueueFlags, Quota, Reject,
    RejectKind,
};
use crate::model::{ObjectKind, Register, TableFamily};

const LEVELS: [&str; 9] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit",
];

pub(super) fn offset(offset: u32) -> String {
    if offset == 0 {
        String::new()
    } else {
        format!(" offset {offset}")
    }
}

/// The text of a statement; `None` if it has none here.
pub(super) fn statement(printer: &Printer<'_>, expression: &Expression) -> Option<String> {
    Some(match expression {
        Expression::Log(log) => log_text(log),
        Expression::Reject(reject) => reject_text(printer, reject)?,
        Expression::Nat(nat) => nat_text(printer, nat)?,
        Expression::Masq(masq) => {
            let ports = ports(printer, masq.port_min, masq.port_max)?;
            let to = if ports.is_empty() {
                String::new()
            } else {
                format!(" to {ports}")
            };
            format!("masquerade{to}{}", flags(masq.flags))
        }
        Expression::Redir(redir) => {
            let ports = ports(printer, redir.port_min, redir.port_max)?;
            let to = if ports.is_empty() {
                String::new()
            } else {
                format!(" to {ports}")
            };
            format!("redirect{to}{}", flags(redir.flags))
        }
        Expression::Tproxy(tproxy) => {
            let family = match tproxy.family {
                2 if !printer.of_one_family() => "ip ",
                10 if !printer.of_one_family() => "ip6 ",
                _ => "",
            };
            let address = match tproxy.address {
                Some(register) => printer.valued(register, address_type(tproxy.family))?,
                None => String::new(),
            };
            format!(
                "tproxy {family}to {address}{}",
                ports(printer, tproxy.port, None)?
            )
        }
        Expression::Queue(queue) => {
            let first = queue.number?;
            let last = first.checked_add(queue.total.unwrap_or(1).saturating_sub(1))?;
            let mut words = Vec::new();
            if queue.flags.contains(QueueFlags::BYPASS) {
                words.push("bypass");
            }
            if queue.flags.contains(QueueFlags::FANOUT) {
                words.push("fanout");
            }
            let flags = if words.is_empty() {
                String::new()
            } else {
                format!(" flags {}", words.join(","))
            };
            let range = if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            };
            format!("queue{flags} to {range}")
        }
        Expression::Objref(objref) => match (objref.kind, &objref.name) {
            (Some(kind), Some(name)) => format!("{} name \"{name}\"", ObjectKind(kind).name()?),
            _ => return None,
        },
        Expression::Dup(dup) if dup.device.is_none() => {
            let network = printer.headers.network?;
            format!(
                "dup to {}",
                printer.valued(dup.address?, address_type(network.0.into()))?
            )
        }
        Expression::Notrack(_) => "notrack".to_owned(),
        other => stateful(other)?,
    })
}

/// The text of an expression that keeps something.
pub(super) fn stateful(expression: &Expression) -> Option<String> {
    Some(match expression {
        Expression::Counter(counter) => {
            format!(
                "counter packets {} bytes {}",
                counter.packets, counter.bytes
            )
        }
        Expression::Limit(limit) => format!("limit {}", limit_text(limit)),
        Expression::Quota(quota) => format!("quota {}", quota_text(quota)),
        Expression::Connlimit(limit) => {
            let over = if limit.flags & 1 == 1 { "over " } else { "" };
            format!("ct count {over}{}", limit.count)
        }
        Expression::Last(last) if last.set == 0 => "last used never".to_owned(),
        Expression::Last(last) => format!("last used {}", value::duration(last.milliseconds)),
        _ => return None,
    })
}

pub(super) fn limit_text(limit: &Limit) -> String {
    let over = if limit.flags & 1 == 1 { "over " } else { "" };
    let unit = match limit.unit {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        604_800 => "week".to_owned(),
        seconds => format!("{seconds} seconds"),
    };
    if limit.kind == LimitKind::PACKETS {
        // The burst that nft takes where none is given.
        let burst = match limit.burst {
            0 | 5 => String::new(),
            burst => format!(" burst {burst} packets"),
        };
        return format!("rate {over}{}/{unit}{burst}", limit.rate);
    }
    let burst = match limit.burst {
        0 => String::new(),
        burst => format!(" burst {}", bytes(burst.into())),
    };
    format!("rate {over}{}/{unit}{burst}", bytes(limit.rate))
}

pub(super) fn quota_text(quota: &Quota) -> String {
    let over = if quota.flags & 1 == 1 { "over " } else { "" };
    let used = match quota.consumed {
        0 => String::new(),
        used => format!(" used {}", bytes(used)),
    };
    format!("{over}{}{used}", bytes(quota.bytes))
}

/// Bytes in the largest unit that divides them.
fn bytes(number: u64) -> String {
    let mut number = number;
    for unit in ["bytes", "kbytes", "mbytes"] {
        if unit == "mbytes" || number == 0 || number % 1024 != 0 {
            return format!("{number} {unit}");
        }
        number /= 1024;
    }
    format!("{number} bytes")
}

fn log_text(log: &Log) -> String {
    let mut text = String::from("log");
    if let Some(prefix) = &log.prefix {
        text.push_str(&format!(" prefix {}", value::quoted(prefix.as_bytes())));
    }
    if let Some(group) = log.group {
        text.push_str(&format!(" group {group}"));
    }
    if let Some(snaplen) = log.snaplen.filter(|snaplen| *snaplen != 0) {
        text.push_str(&format!(" snaplen {snaplen}"));
    }
    if let Some(threshold) = log.queue_threshold.filter(|threshold| *threshold != 0) {
        text.push_str(&format!(" queue-threshold {threshold}"));
    }
    // nft leaves its own default out.
    if let Some(level) = log.level.filter(|level| *level != 4 && log.group.is_none()) {
        let known = usize::try_from(level)
            .ok()
            .and_then(|level| LEVELS.get(level));
        let level = known.map_or_else(|| level.to_string(), |word| (*word).to_owned());
        text.push_str(&format!(" level {level}"));
    }
    for (flag, words) in [
        (
            LogFlags::TCP_SEQUENCE | LogFlags::TCP_OPTIONS,
            " flags tcp sequence,options",
        ),
        (LogFlags::TCP_SEQUENCE, " flags tcp sequence"),
        (LogFlags::TCP_OPTIONS, " flags tcp options"),
    ] {
        if log.flags.contains(flag) {
            text.push_str(words);
            break;
        }
    }
    for (flag, words) in [
        (LogFlags::IP_OPTIONS, " flags ip options"),
        (LogFlags::UID, " flags skuid"),
        (LogFlags::MACDECODE, " flags ether"),
    ] {
        if log.flags.contains(flag) {
            text.push_str(words);
        }
    }
    text
}

/// Words of ICMP's codes: of IPv4, of IPv6, of both.
const ICMP: [(u8, &str); 7] = [
    (0, "net-unreachable"),
    (1, "host-unreachable"),
    (2, "prot-unreachable"),
    (3, "port-unreachable"),
    (9, "net-prohibited"),
    (10, "host-prohibited"),
    (13, "admin-prohibited"),
];
const ICMPV6: [(u8, &str); 6] = [
    (0, "no-route"),
    (1, "admin-prohibited"),
    (3, "addr-unreachable"),
    (4, "port-unreachable"),
    (5, "policy-fail"),
    (6, "reject-route"),
];
const ICMPX: [(u8, &str); 4] = [
    (0, "no-route"),
    (1, "port-unreachable"),
    (2, "host-unreachable"),
    (3, "admin-prohibited"),
];

fn reject_text(printer: &Printer<'_>, reject: &Reject) -> Option<String> {
    let code = reject.code.unwrap_or(0);
    let (word, table, default): (_, &[(u8, &str)], _) = match (reject.kind, printer.headers.network)
    {
        (RejectKind::TCP_RESET, _) => return Some("reject with tcp reset".to_owned()),
        (RejectKind::ICMPX, _) => ("icmpx", &ICMPX, 1),
        (RejectKind::ICMP, Some(TableFamily::IPV6)) => ("icmpv6", &ICMPV6, 4),
        (RejectKind::ICMP, Some(_)) => ("icmp", &ICMP, 3),
        _ => return None,
    };
    if code == default {
        return Some("reject".to_owned());
    }
    let known = table.iter().find(|(number, _)| *number == code);
    let code = known.map_or_else(|| code.to_string(), |(_, word)| (*word).to_owned());
    Some(format!("reject with {word} {code}"))
}

fn address_type(family: u32) -> DataType {
    if family == 10 {
        DataType::IPV6_ADDR
    } else {
        DataType::IPV4_ADDR
    }
}

fn nat_text(printer: &Printer<'_>, nat: &Nat) -> Option<String> {
    let family = match nat.ip_family()? {
        _ if printer.of_one_family() => "",
        Family::V4 => " ip",
        Family::V6 => " ip6",
    };
    let kind = address_type(nat.family);
    let word = if nat.kind == NatKind::SNAT {
        "snat"
    } else {
        "dnat"
    };
    let mut to = String::new();
    let mut mapped = false;
    if let Some(min) = nat.address_min {
        let brackets = kind == DataType::IPV6_ADDR && nat.port_min.is_some();
        to = printer.valued(min, kind)?;
        mapped = printer.held(min)?.constant.is_none();
        if let Some(max) = nat.address_max.filter(|max| *max != min) {
            to = format!("{to}-{}", printer.valued(max, kind)?);
        }
        if brackets && !mapped {
            to = format!("[{to}]");
        }
    }
    // The port of a map's data is in what the map is called already.
    let ports = if mapped {
        String::new()
    } else {
        ports(printer, nat.port_min, nat.port_max)?
    };
    Some(format!("{word}{family} to {to}{ports}{}", flags(nat.flags)))
}

/// `:first-last`, or nothing.
fn ports(printer: &Printer<'_>, min: Option<Register>, max: Option<Register>) -> Option<String> {
    let Some(min) = min else {
        return Some(String::new());
    };
    let port = |register| printer.valued(register, DataType::INET_SERVICE);
    let first = port(min)?;
    Some(match max.filter(|max| *max != min) {
        Some(max) => format!(":{first}-{}", port(max)?),
        None => format!(":{first}"),
    })
}

fn flags(flags: NatFlags) -> String {
    let mut words = Vec::new();
    for (flag, word) in [
        (NatFlags::RANDOM, "random"),
        (NatFlags::FULLY_RANDOM, "fully-random"),
        (NatFlags::PERSISTENT, "persistent"),
    ] {
        if flags.contains(flag) {
            words.push(word);
        }
    }
    if words.is_empty() {
        String::new()
    } else {
        format!(" {}", words.join(","))
    }
}
