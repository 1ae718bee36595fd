//! IP protocol numbers and the one table of their names.

use std::fmt;
use std::str::FromStr;

/// An IP protocol number ([IANA](https://www.iana.org/assignments/protocol-numbers)).
///
/// Displays as the name that Debian's `/etc/protocols` (package netbase 6.4) has for it, which is what
/// `ipset save` and `iptables-save` print there, or as the number if it has no name. Other tools have
/// names of their own (`ipvsadm`: `TCP`; `conntrack`: `icmpv6`, `unknown`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4, 1.
    pub const ICMP: Self = Self(1);
    /// TCP, 6.
    pub const TCP: Self = Self(6);
    /// UDP, 17.
    pub const UDP: Self = Self(17);
    /// DCCP, 33.
    pub const DCCP: Self = Self(33);
    /// GRE, 47.
    pub const GRE: Self = Self(47);
    /// The encapsulating security payload of IPsec, 50.
    pub const ESP: Self = Self(50);
    /// The authentication header of IPsec, 51.
    pub const AH: Self = Self(51);
    /// ICMP for IPv6, 58: `ipv6-icmp`.
    pub const ICMPV6: Self = Self(58);
    /// SCTP, 132.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite, 136.
    pub const UDPLITE: Self = Self(136);

    /// The name, in lower case, if it has one. 0 has none: to tools it is "any" (`iptables`) or invalid
    /// (`ipset`).
    #[inline]
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        #[allow(clippy::indexing_slicing, reason = "a u8 into 256 entries")]
        BY_NUMBER[self.0 as usize]
    }

    /// Whether packets of this protocol start with a source and a destination port: TCP, UDP, UDP-Lite,
    /// SCTP and DCCP.
    ///
    /// Subsystems may know fewer: ipset reads no ports from DCCP (`ip_set_proto_with_ports` in
    /// [`ip_set_getport.h`](https://github.com/torvalds/linux/blob/v6.12/include/linux/netfilter/ipset/ip_set_getport.h)),
    /// IPVS only those of TCP, UDP and SCTP.
    #[inline]
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(
            self,
            Self::TCP | Self::UDP | Self::UDPLITE | Self::SCTP | Self::DCCP
        )
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol({self})")
    }
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

impl From<Protocol> for u8 {
    fn from(protocol: Protocol) -> Self {
        protocol.0
    }
}

/// Text that is neither the name of an IP protocol nor its number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an IP protocol: give its name, as in `tcp`, or its number, 0 to 255")]
#[non_exhaustive]
pub struct ParseProtocolError {
    /// The text as given.
    pub text: String,
}

impl FromStr for Protocol {
    type Err = ParseProtocolError;

    /// Reads a number in decimal, a name, or one of the aliases of `/etc/protocols` and `iptables`
    /// (`icmpv6`, `mh`, `ip`, …). Case does not matter.
    fn from_str(text: &str) -> Result<Self, ParseProtocolError> {
        let unknown = || ParseProtocolError {
            text: text.to_owned(),
        };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            // A leading zero means octal to some tools, so it is refused.
            let zero = text.len() > 1 && text.starts_with('0');
            let number = text.parse().ok().filter(|_| !zero);
            return number.map(Self).ok_or_else(unknown);
        }
        NAMES
            .iter()
            .chain(ALIASES)
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(number, _)| Self(*number))
            .ok_or_else(unknown)
    }
}

/// [`NAMES`] by number.
#[allow(
    clippy::indexing_slicing,
    reason = "a u8 into 256 entries, by the compiler"
)]
const BY_NUMBER: [Option<&str>; 256] = {
    let mut table = [None; 256];
    let mut rest = NAMES;
    while let Some((&(number, name), after)) = rest.split_first() {
        table[number as usize] = Some(name);
        rest = after;
    }
    table
};

/// The names in `/etc/protocols` of Debian's netbase 6.4.
const NAMES: &[(u8, &str)] = &[
    (1, "icmp"),
    (2, "igmp"),
    (3, "ggp"),
    (4, "ipencap"),
    (5, "st"),
    (6, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (12, "pup"),
    (17, "udp"),
    (20, "hmp"),
    (22, "xns-idp"),
    (27, "rdp"),
    (29, "iso-tp4"),
    (33, "dccp"),
    (36, "xtp"),
    (37, "ddp"),
    (38, "idpr-cmtp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (45, "idrp"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (57, "skip"),
    (58, "ipv6-icmp"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (73, "rspf"),
    (81, "vmtp"),
    (88, "eigrp"),
    (89, "ospf"),
    (93, "ax.25"),
    (94, "ipip"),
    (97, "etherip"),
    (98, "encap"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (124, "isis"),
    (132, "sctp"),
    (133, "fc"),
    (135, "mobility-header"),
    (136, "udplite"),
    (137, "mpls-in-ip"),
    (138, "manet"),
    (139, "hip"),
    (140, "shim6"),
    (141, "wesp"),
    (142, "rohc"),
    (143, "ethernet"),
];

/// Other names that are read: the aliases of netbase 6.4 that differ from the name by more than case,
/// and those that iptables 1.8 has built in.
const ALIASES: &[(u8, &str)] = &[
    (0, "ip"),
    (0, "hopopt"),
    (4, "ip-encap"),
    (50, "ipsec-esp"),
    (51, "ipsec-ah"),
    (58, "icmpv6"),
    (58, "icmp6"),
    (73, "cphb"),
    (89, "ospfigp"),
    (135, "ipv6-mh"),
    (135, "mh"),
    (136, "udp-lite"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_from_what_it_prints() {
        for number in 0..=u8::MAX {
            let protocol = Protocol(number);
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
            assert_eq!(protocol.to_string().to_uppercase().parse(), Ok(protocol));
            assert_eq!(number.to_string().parse(), Ok(protocol));
        }
    }

    #[test]
    fn names_are_those_of_the_tools() {
        for (protocol, text) in [
            (Protocol::ICMP, "icmp"),
            (Protocol::TCP, "tcp"),
            (Protocol::UDP, "udp"),
            (Protocol::DCCP, "dccp"),
            (Protocol::GRE, "gre"),
            (Protocol::ESP, "esp"),
            (Protocol::AH, "ah"),
            (Protocol::ICMPV6, "ipv6-icmp"),
            (Protocol::SCTP, "sctp"),
            (Protocol::UDPLITE, "udplite"),
            (Protocol(200), "200"),
            (Protocol(0), "0"),
        ] {
            assert_eq!(protocol.to_string(), text);
            assert_eq!(format!("{protocol:?}"), format!("Protocol({text})"));
        }
        assert_eq!(
            format!("{:>5}|{:>5}", Protocol::TCP, Protocol(200)),
            "  tcp|  200"
        );
    }

    #[test]
    fn aliases_are_read_in_any_case() {
        for (text, protocol) in [
            ("TCP", Protocol::TCP),
            ("icmpv6", Protocol::ICMPV6),
            ("ICMP6", Protocol::ICMPV6),
            ("IP-ENCAP", Protocol(4)),
            ("mh", Protocol(135)),
            ("IPSEC-ESP", Protocol::ESP),
            ("UDPLite", Protocol::UDPLITE),
            ("ip", Protocol(0)),
        ] {
            assert_eq!(text.parse(), Ok(protocol), "{text}");
        }
    }

    #[test]
    fn other_text_is_refused_with_the_text() {
        for text in ["", "tcpx", "256", "-1", "+6", "06", "6 ", "0x6", "all"] {
            let error = text.parse::<Protocol>().unwrap_err();
            assert_eq!(error.text, text);
        }
        let error = "all".parse::<Protocol>().unwrap_err().to_string();
        assert!(
            error.contains("\"all\"") && error.contains("`tcp`"),
            "{error}"
        );
    }

    #[test]
    fn protocols_with_ports() {
        let with_ports: Vec<u8> = (0..=u8::MAX).filter(|n| Protocol(*n).has_ports()).collect();
        assert_eq!(with_ports, [6, 17, 33, 132, 136]);
    }

    /// Where the file is Debian's, it is the table.
    #[test]
    fn the_table_is_that_of_netbase() {
        let Ok(file) = std::fs::read_to_string("/etc/protocols") else {
            return;
        };
        if !file.contains("ip-encap") && !file.contains("IP-ENCAP") {
            return;
        }
        for line in file.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let (Some(name), Some(number)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(number) = number.parse() else {
                continue; // 262: mptcp, which never appears in a packet
            };
            if number != 0 {
                assert_eq!(Protocol(number).name(), Some(name));
            }
            for alias in std::iter::once(name).chain(words) {
                assert_eq!(alias.parse(), Ok(Protocol(number)), "{alias}");
            }
        }
    }
}
