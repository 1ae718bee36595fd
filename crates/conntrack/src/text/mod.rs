//! Flows as `conntrack` prints them.

mod protocol;

use std::fmt;

use netlink_wire::Protocol;

use crate::{Flow, FlowKey, Layer4, Tuple};
pub use protocol::{protocol_by_name, protocol_name};

/// A tuple, with the keyword for its zone: it depends on the direction.
struct Directed<'a> {
    tuple: &'a Tuple,
    zone: &'static str,
}

const ORIGINAL: &str = "zone-orig";
const REPLY: &str = "zone-reply";

impl fmt::Display for Directed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tuple = self.tuple;
        write!(f, "src={} dst={}", tuple.source, tuple.destination)?;
        match tuple.layer4 {
            Layer4::Ports {
                source,
                destination,
            } if tuple.protocol == Protocol::GRE => {
                write!(f, " srckey={source:#x} dstkey={destination:#x}")?;
            }
            Layer4::Ports {
                source,
                destination,
            } => write!(f, " sport={source} dport={destination}")?,
            Layer4::Icmp { kind, code, id } => write!(f, " type={kind} code={code} id={id}")?,
            Layer4::None => {}
        }
        match tuple.zone {
            Some(zone) => write!(f, " {}={zone}", self.zone),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tuple, zone) = (self, "zone");
        Directed { tuple, zone }.fmt(f)
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.original.protocol;
        let [original, reply] = [(&self.original, ORIGINAL), (&self.reply, REPLY)]
            .map(|(tuple, zone)| Directed { tuple, zone });
        let name = protocol_name(protocol);
        write!(f, "{name:<8} {} {original} {reply}", protocol.0)?;
        write_zone(f, self.zone)
    }
}

/// As a flow, without the reply.
impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let original = Directed {
            tuple: &self.original,
            zone: ORIGINAL,
        };
        write!(f, "{} {original}", protocol_name(self.original.protocol))?;
        write_zone(f, self.zone)
    }
}

/// The default zone is not printed.
fn write_zone(f: &mut fmt::Formatter<'_>, zone: u16) -> fmt::Result {
    match zone {
        0 => Ok(()),
        zone => write!(f, " zone={zone}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_zones_and_no_reply() {
        let original = Tuple::ports(
            Protocol::UDP,
            ([10, 0, 0, 1].into(), 40000),
            ([10, 96, 0, 10].into(), 53),
        );
        let text = "udp src=10.0.0.1 dst=10.96.0.10 sport=40000 dport=53";
        assert_eq!(FlowKey::new(original).to_string(), text);
        let key = FlowKey::new(original).in_zone(7).with_id(1);
        assert_eq!(key.to_string(), format!("{text} zone=7"));
        let key = FlowKey::new(original.with_zone(9));
        assert_eq!(key.to_string(), format!("{text} zone-orig=9"));
    }
}
