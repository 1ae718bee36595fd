//! Transport protocols by number and name.

use std::borrow::Cow;
use std::fmt;

/// A transport protocol as `-p` prints it: by its name in Debian's `/etc/protocols` where it has one, else by number.
///
/// Numbers and aliases are turned into that name, so that one protocol has one value. A name that is not known here is
/// kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(Cow<'static, str>);

impl Protocol {
    /// ICMP for IPv4, 1.
    pub const ICMP: Self = Self(Cow::Borrowed("icmp"));
    /// TCP, 6.
    pub const TCP: Self = Self(Cow::Borrowed("tcp"));
    /// UDP, 17.
    pub const UDP: Self = Self(Cow::Borrowed("udp"));
    /// ICMP for IPv6, 58.
    pub const ICMPV6: Self = Self(Cow::Borrowed("ipv6-icmp"));
    /// SCTP, 132.
    pub const SCTP: Self = Self(Cow::Borrowed("sctp"));

    /// The name, or the number in decimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number; `None` for a name not known here.
    pub fn number(&self) -> Option<u8> {
        NAMES
            .iter()
            .find(|(_, name)| *name == self.0)
            .map(|(number, _)| *number)
            .or_else(|| self.0.parse().ok())
    }

    /// `all` and `0`: every protocol, the same as giving none.
    pub(crate) fn is_any(&self) -> bool {
        self.0 == "all" || self.0 == "0"
    }
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Self {
        match NAMES.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => Self(Cow::Borrowed(name)),
            None => Self(Cow::Owned(number.to_string())),
        }
    }
}

impl From<&str> for Protocol {
    fn from(text: &str) -> Self {
        if let Ok(number) = text.parse::<u8>() {
            return number.into();
        }
        let lower = text.to_ascii_lowercase();
        let name = match lower.as_str() {
            "icmpv6" | "icmp6" => "ipv6-icmp",
            "mh" | "ipv6-mh" => "mobility-header",
            other => other,
        };
        match NAMES.iter().find(|(_, known)| *known == name) {
            Some((_, known)) => Self(Cow::Borrowed(known)),
            None => Self(Cow::Owned(text.to_owned())),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Assigned numbers (IANA protocol-numbers) under the names of Debian's netbase 6.4, which `iptables-save` looks up.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_aliases_are_one_value() {
        assert_eq!(Protocol::from(6), Protocol::TCP);
        assert_eq!(Protocol::from("6"), Protocol::TCP);
        assert_eq!(Protocol::from("TCP"), Protocol::TCP);
        assert_eq!(Protocol::from("icmpv6"), Protocol::ICMPV6);
        assert_eq!(Protocol::SCTP.number(), Some(132));
        assert_eq!(Protocol::from(253).as_str(), "253");
        assert_eq!(Protocol::from(253).number(), Some(253));
        assert_eq!(Protocol::from("no-such").number(), None);
    }
}
