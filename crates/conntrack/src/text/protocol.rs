//! The names that `conntrack` has for protocols.

use netlink_wire::Protocol;

/// The protocols that the kernel tracks by more than addresses, and their names in the output and the
/// options of `conntrack`.
const NAMES: [(Protocol, &str); 8] = [
    (Protocol::ICMP, "icmp"),
    (Protocol::TCP, "tcp"),
    (Protocol::UDP, "udp"),
    (Protocol::DCCP, "dccp"),
    (Protocol::GRE, "gre"),
    (Protocol::ICMPV6, "icmpv6"),
    (Protocol::SCTP, "sctp"),
    (Protocol::UDPLITE, "udplite"),
];

/// The name that `conntrack` prints for a protocol: `unknown` for one that the kernel does not track by
/// more than addresses.
#[must_use]
pub fn protocol_name(protocol: Protocol) -> &'static str {
    let known = NAMES.iter().find(|(known, _)| *known == protocol);
    known.map_or("unknown", |(_, name)| name)
}

/// The protocol with this name in `conntrack`.
#[must_use]
pub fn protocol_by_name(name: &str) -> Option<Protocol> {
    let known = NAMES.iter().find(|(_, known)| *known == name);
    known.map(|(protocol, _)| *protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_conntrack() {
        for (protocol, name) in NAMES {
            assert_eq!(protocol_name(protocol), name);
            assert_eq!(protocol_by_name(name), Some(protocol));
        }
        // Where /etc/protocols has other names.
        assert_eq!(protocol_name(Protocol::ICMPV6), "icmpv6");
        assert_eq!(protocol_name(Protocol::ESP), "unknown");
        assert_eq!(protocol_by_name("esp"), None);
        assert_eq!(protocol_by_name("unknown"), None);
    }
}
