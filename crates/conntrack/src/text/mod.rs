//! Flows as `conntrack` prints them.

mod protocol;

use std::fmt;

use netlink_wire::Protocol;

use crate::message::FlowEvent;
use crate::{Counters, Flow, FlowKey, Layer4, Status, Tuple};
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
        self.write_zone(f)
    }
}

impl Directed<'_> {
    fn write_zone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tuple.zone {
            Some(zone) => write!(f, " {}={zone}", self.zone),
            None => Ok(()),
        }
    }

    fn without_zone(&self) -> Tuple {
        Tuple {
            zone: None,
            ..*self.tuple
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
        write!(f, "{name:<8} {}", protocol.0)?;
        if f.alternate() {
            return self.write_in_full(f, &original, &reply);
        }
        write!(f, " {original} {reply}")?;
        write_zone(f, self.zone)
    }
}

impl Flow {
    /// With everything that `conntrack -L -o id` prints after the protocol.
    fn write_in_full(
        &self,
        f: &mut fmt::Formatter<'_>,
        original: &Directed<'_>,
        reply: &Directed<'_>,
    ) -> fmt::Result {
        if let Some(timeout) = self.timeout {
            write!(f, " {}", timeout.as_secs())?;
        }
        if let Some(state) = self.state {
            write!(f, " {state}")?;
        }
        // The zone of a direction is printed after its counters.
        write!(f, " {}", original.without_zone())?;
        write_counters(f, self.original_counters)?;
        original.write_zone(f)?;
        if self.has_status(Status::SEEN_REPLY) == Some(false) {
            f.write_str(" [UNREPLIED]")?;
        }
        write!(f, " {}", reply.without_zone())?;
        write_counters(f, self.reply_counters)?;
        reply.write_zone(f)?;
        let marks = [
            (Status::HW_OFFLOAD, " [HW_OFFLOAD]"),
            (Status::OFFLOAD, " [OFFLOAD]"),
            (Status::ASSURED, " [ASSURED]"),
        ];
        let mark = marks
            .into_iter()
            .find(|(bit, _)| self.has_status(*bit) == Some(true));
        f.write_str(mark.map_or("", |(_, mark)| mark))?;
        if let Some(mark) = self.mark {
            write!(f, " mark={mark}")?;
        }
        write_zone(f, self.zone)?;
        if let Some(uses) = self.uses {
            write!(f, " use={uses}")?;
        }
        match self.id {
            Some(id) => write!(f, " id={id}"),
            None => Ok(()),
        }
    }

    /// Whether it has these status bits; `None` if that is unknown.
    fn has_status(&self, bits: Status) -> Option<bool> {
        self.status.map(|status| status.contains(bits))
    }
}

fn write_counters(f: &mut fmt::Formatter<'_>, counters: Option<Counters>) -> fmt::Result {
    match counters {
        Some(Counters { packets, bytes }) => write!(f, " packets={packets} bytes={bytes}"),
        None => Ok(()),
    }
}

impl fmt::Display for FlowEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::New(_) => "[NEW]",
            Self::Updated(_) => "[UPDATE]",
            Self::Destroyed(_) => "[DESTROY]",
        };
        write!(f, "{kind:>9} {:#}", self.flow())
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
