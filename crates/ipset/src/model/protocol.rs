//! IP protocol numbers and the names `ipset` prints for them.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// An IP protocol number, in the port part of an element.
///
/// Prints as `ipset` does where `/etc/protocols` is Debian's (`tcp`, `ipv6-icmp`), or as a number
/// where it has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP: the port holds type and code.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMPv6: the port holds type and code.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite.
    pub const UDPLITE: Self = Self(136);

    /// Whether the kernel reads ports from packets of this protocol (`ip_set_proto_with_ports`).
    #[must_use]
    pub fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP | Self::UDPLITE)
    }

    /// The name `ipset` prints, if there is one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES
            .iter()
            .find(|(number, _)| *number == self.0)
            .map(|(_, name)| *name)
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

impl FromStr for Protocol {
    type Err = Error;

    /// A name that [`Protocol`] prints, `icmpv6`, or a number; names in any case.
    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(number) = text.parse() {
            return Ok(Self(number));
        }
        if text.eq_ignore_ascii_case("icmpv6") {
            return Ok(Self::ICMPV6);
        }
        NAMES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(number, _)| Self(*number))
            .ok_or_else(|| {
                Error::token(
                    "protocol",
                    text,
                    "give its name, as in `tcp`, or its number",
                )
            })
    }
}

/// `/etc/protocols` of Debian 12 (package netbase); zero is left out, since the kernel refuses it.
const NAMES: [(u8, &str); 54] = [
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_from_what_it_prints() {
        for number in 0..=u8::MAX {
            let protocol = Protocol(number);
            assert_eq!(protocol.to_string().parse::<Protocol>().unwrap(), protocol);
        }
    }

    #[test]
    fn names_are_what_ipset_prints() {
        assert_eq!(Protocol::TCP.to_string(), "tcp");
        assert_eq!(Protocol::ICMPV6.to_string(), "ipv6-icmp");
        assert_eq!(Protocol(200).to_string(), "200");
        assert_eq!("icmpv6".parse::<Protocol>().unwrap(), Protocol::ICMPV6);
        assert_eq!("TCP".parse::<Protocol>().unwrap(), Protocol::TCP);
    }

    #[test]
    fn what_is_no_protocol_is_named() {
        let error = "256".parse::<Protocol>().unwrap_err();
        assert!(error.to_string().contains("256"), "{error}");
    }
}
