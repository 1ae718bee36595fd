//! The protocol of a rule.

use std::fmt;

use crate::text::Shown;

/// What `-p` names: an IP protocol by number, or a name that is not in the table of
/// [`netlink_wire::Protocol`].
///
/// Numbers, names and aliases of one protocol are one value. It prints as `iptables-save` prints it, by the name in Debian's
/// `/etc/protocols` where there is one, else by number. A name that is not in the table (somebody's own `/etc/protocols`
/// may have it) is kept as it is; it has no number here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Number(netlink_wire::Protocol),
    Name(String),
}

impl Protocol {
    /// ICMP for IPv4, 1.
    pub const ICMP: Self = Self(Repr::Number(netlink_wire::Protocol::ICMP));
    /// TCP, 6.
    pub const TCP: Self = Self(Repr::Number(netlink_wire::Protocol::TCP));
    /// UDP, 17.
    pub const UDP: Self = Self(Repr::Number(netlink_wire::Protocol::UDP));
    /// ICMP for IPv6, 58.
    pub const ICMPV6: Self = Self(Repr::Number(netlink_wire::Protocol::ICMPV6));
    /// SCTP, 132.
    pub const SCTP: Self = Self(Repr::Number(netlink_wire::Protocol::SCTP));

    /// The number; `None` for a name that is not in the table.
    pub fn number(&self) -> Option<u8> {
        match &self.0 {
            Repr::Number(protocol) => Some(protocol.0),
            Repr::Name(_) => None,
        }
    }

    /// The name, where it is one that is not in the table.
    pub(crate) fn unknown_name(&self) -> Option<&str> {
        match &self.0 {
            Repr::Number(_) => None,
            Repr::Name(name) => Some(name),
        }
    }

    /// `all` and `0`: every protocol, the same as giving none.
    pub(crate) fn is_any(&self) -> bool {
        self.number() == Some(0)
    }
}

impl From<netlink_wire::Protocol> for Protocol {
    fn from(protocol: netlink_wire::Protocol) -> Self {
        Self(Repr::Number(protocol))
    }
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Self {
        netlink_wire::Protocol(number).into()
    }
}

impl From<&str> for Protocol {
    /// Takes a name in any case, `all`, or a number as strtoul(3) reads it: decimal, after `0x` hexadecimal, after `0`
    /// octal.
    fn from(text: &str) -> Self {
        if let Some(number) = number(text) {
            return number.into();
        }
        if text.eq_ignore_ascii_case("all") {
            return 0.into();
        }
        match text.parse::<netlink_wire::Protocol>() {
            Ok(protocol) => protocol.into(),
            Err(_) => Self(Repr::Name(text.to_owned())),
        }
    }
}

fn number(text: &str) -> Option<u8> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // from_str_radix() would take a sign.
    if digits.starts_with('+') {
        return None;
    }
    u8::from_str_radix(digits, radix).ok()
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(protocol) => protocol.fmt(f),
            Repr::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(protocol) => protocol.fmt(f),
            Repr::Name(name) => write!(f, "Protocol({})", Shown(name)),
        }
    }
}

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
        assert_eq!(Protocol::from(253).to_string(), "253");
        assert_eq!(Protocol::from(253).number(), Some(253));
        assert_eq!(Protocol::from("no-such").number(), None);
        assert_eq!(Protocol::from("no-such").to_string(), "no-such");
    }

    /// `-p 010` is printed as `-p egp` by iptables-save 1.8.9 of both back ends.
    #[test]
    fn numbers_as_strtoul_reads_them() {
        assert_eq!(Protocol::from("010").to_string(), "egp");
        assert_eq!(Protocol::from("0x6"), Protocol::TCP);
        assert!(Protocol::from("all").is_any() && Protocol::from("ip").is_any());
        for name in ["+6", "256", "08", "0x"] {
            assert_eq!(Protocol::from(name).number(), None, "{name}");
        }
    }
}
