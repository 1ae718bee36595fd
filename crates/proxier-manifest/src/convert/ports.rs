//! Ranges of ports, as an annotation has them.

use std::num::NonZeroU16;

use ipvs_netlink::Protocol;
use proxier::cluster::PortRange;

/// How many ranges a Service may name: each is an element of the kernel's at each of its addresses.
const MOST: usize = 16;

/// `10000-20000/udp, 53/tcp`, `all/udp`, or `all` for every port of TCP, UDP and SCTP.
pub(super) fn ranges(text: &str) -> Result<Vec<PortRange>, String> {
    let mut ranges = Vec::new();
    for part in text.split(',').map(str::trim) {
        if part == "all" {
            ranges.extend(PortRange::EVERY_PORT);
        } else {
            ranges.push(range(part)?);
        }
        if ranges.len() > MOST {
            return Err(format!("are more than {MOST} ranges"));
        }
    }
    Ok(PortRange::merge(ranges))
}

fn range(text: &str) -> Result<PortRange, String> {
    let wrong = || {
        let known = "ports such as 10000-20000/udp, 53/tcp, all/udp or all";
        format!("{text:?} is not {known}")
    };
    let (ports, protocol) = text.split_once('/').ok_or_else(wrong)?;
    let protocol = match protocol.trim() {
        "tcp" | "TCP" => Protocol::TCP,
        "udp" | "UDP" => Protocol::UDP,
        "sctp" | "SCTP" => Protocol::SCTP,
        other => return Err(format!("{other:?} is not tcp, udp or sctp")),
    };
    let ports = ports.trim();
    if ports == "all" {
        return Ok(PortRange::all(protocol));
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| text.trim().parse::<NonZeroU16>();
    let (first, last) = (port(first), port(last));
    let (Ok(first), Ok(last)) = (first, last) else {
        return Err(wrong());
    };
    PortRange::new(protocol, first, last).ok_or_else(|| format!("{text:?} ends before it begins"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let ranges = ranges(text).unwrap();
        let ranges: Vec<_> = ranges.iter().map(PortRange::to_string).collect();
        ranges.join(", ")
    }

    #[test]
    fn ranges_are_read_sorted_and_merged() {
        for (text, read) in [
            ("10000-20000/udp", "10000-20000/udp"),
            (
                "8000-8100/TCP , 53/udp,53/tcp",
                "53/tcp, 8000-8100/tcp, 53/udp",
            ),
            ("1-10/tcp, 5-20/tcp, 21/tcp", "1-21/tcp"),
            ("1-65535/udp", "all/udp"),
            ("all/udp", "all/udp"),
            ("all", "all/tcp, all/udp, all/sctp"),
            ("7 - 9 / sctp", "7-9/sctp"),
        ] {
            assert_eq!(shown(text), read, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "\"\" is not ports such as"),
            ("80", "\"80\" is not ports such as"),
            ("80/tcp,", "\"\" is not ports such as"),
            ("0/tcp", "\"0/tcp\" is not ports such as"),
            ("80-65536/tcp", "\"80-65536/tcp\" is not ports such as"),
            ("http/tcp", "\"http/tcp\" is not ports such as"),
            ("80-/tcp", "\"80-/tcp\" is not ports such as"),
            ("1-2-3/tcp", "\"1-2-3/tcp\" is not ports such as"),
            ("80/icmp", "\"icmp\" is not tcp, udp or sctp"),
            ("20-10/udp", "\"20-10/udp\" ends before it begins"),
            ("80\u{1b}/tcp", "\\u{1b}"),
        ] {
            let error = ranges(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        let of = |count: usize| {
            let each = (1..=count).map(|n| format!("{}/tcp", n * 10));
            each.collect::<Vec<_>>().join(",")
        };
        assert_eq!(ranges(&of(16)).unwrap().len(), 16);
        assert_eq!(ranges(&of(17)).unwrap_err(), "are more than 16 ranges");
    }
}
