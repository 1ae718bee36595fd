//! Steps and lists in words. [`sentences`](super::sentences) has the causes.

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipvs_netlink::DestinationId;

use super::answer::{FrontendKind, Origin, Outcome, Part, PartState, Step};
use super::question::At;
use crate::cluster::{Family, Forwarding, TrafficPolicy, annotation};

/// How many of a list are shown.
const SHOWN: usize = 8;

/// A list in a sentence: a, b and 3 more.
pub(super) struct List<I>(pub(super) I);

impl<I> fmt::Display for List<I>
where
    I: IntoIterator + Clone,
    I::Item: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = self.0.clone().into_iter();
        let mut first = true;
        for item in items.by_ref().take(SHOWN) {
            if !first {
                f.write_str(", ")?;
            }
            first = false;
            write!(f, "{item}")?;
        }
        match items.count() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The text of a part that is not as it should be.
pub(super) fn difference(part: &Part) -> String {
    let Part { text, .. } = part;
    match &part.state {
        PartState::Present => text.clone(),
        PartState::Missing => format!("missing: {text}"),
        PartState::Differs(found) => format!("{text} (found: {found})"),
        PartState::Draining => format!("drains: {text}"),
        PartState::Unwanted => format!("not wanted: {text}"),
    }
}

pub(super) const fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

pub(super) const fn policy(policy: TrafficPolicy) -> &'static str {
    match policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    }
}

impl fmt::Display for FrontendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClusterIp => "cluster IP",
            Self::ExternalIp => "external IP",
            Self::LoadBalancer => "load balancer address",
            Self::NodePort => "node port",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pod => "a pod of this node",
            Self::Node => "this node",
            Self::Outside => "outside",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "served",
            Self::Refused => "REFUSED",
            Self::Dropped => "DROPPED",
            Self::Unserved => "NOT SERVED",
            Self::Unanswered => "NO ANSWER",
        })
    }
}

pub(super) fn ranges(ranges: &[IpNetwork]) -> impl fmt::Display + '_ {
    List(ranges.iter())
}

pub(super) fn ids(ids: &[DestinationId]) -> impl fmt::Display + '_ {
    List(ids.iter())
}

/// What becomes of a packet that is not masqueraded, and what the endpoint has to have for it.
fn direct(f: &mut fmt::Formatter<'_>, forwarding: Forwarding, address: IpAddr) -> fmt::Result {
    let overhead = forwarding.overhead(Family::of(address));
    let tunnel = match forwarding {
        Forwarding::Masquerade | Forwarding::Direct => {
            return write!(
                f,
                "it goes as it is to the link address of the endpoint, which answers the client itself: the endpoint has to be \
                 on a link of this node, and to have {address} on lo, without answering ARP for it on a link that clients or \
                 routers are on (arp_ignore=1, arp_announce=2)"
            );
        }
        Forwarding::Ipip => "an IPIP tunnel".to_owned(),
        Forwarding::Gre => "a GRE tunnel".to_owned(),
        Forwarding::Gue(port) => format!("a GUE tunnel to UDP port {port}"),
    };
    write!(
        f,
        "it goes as it is through {tunnel} to the endpoint, which answers the client itself: the endpoint has to have a device for \
         the tunnel, without strict rp_filter, and {address} on it; clients have to send {overhead} bytes less than the MTU"
    )
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(address, link) => write!(f, "{address} is on {link}: the packet is for this node"),
            Self::NotLocal(address) => {
                write!(f, "{address} is on no link of this node: the packet is routed away")
            }
            Self::Input(rule) => write!(f, "a rule of the filter table refuses it: {rule}"),
            Self::RouteMark { mark, works: true } => {
                write!(f, "the packet gets the mark {mark:#x} and is routed to this node")
            }
            Self::RouteMark { mark, works: false } => write!(
                f,
                "the packet does not get the mark {mark:#x}, or is not routed by it: it is routed away"
            ),
            Self::RangeMark { mark, works: true } => {
                write!(f, "rules of the mangle table give it the mark {mark:#x}, by which IPVS knows the virtual server")
            }
            Self::RangeMark { mark, works: false } => write!(
                f,
                "rules are missing by which it gets the mark {mark:#x} and passes this node: IPVS may not take it"
            ),
            Self::InRanges(all) => write!(f, "the source ranges admit it ({})", ranges(all)),
            Self::RangesDecide(all) => {
                write!(f, "only clients in the source ranges pass ({}), others are dropped", ranges(all))
            }
            Self::OutOfRanges(all) if all.is_empty() => {
                f.write_str("the source ranges of the Service admit nobody: dropped")
            }
            Self::OutOfRanges(all) => {
                write!(f, "its source is in none of the source ranges ({}): dropped", ranges(all))
            }
            Self::NoLocalEndpoint => {
                f.write_str("the policy is Local and no endpoint is on this node")
            }
            Self::NoEndpoint => f.write_str("there is no endpoint"),
            Self::NoServer(server) => write!(
                f,
                "IPVS has no virtual server {}: whatever listens there gets the packet, if anything does",
                At(*server)
            ),
            Self::NoDestination(server) => write!(
                f,
                "no destination of the virtual server {} takes new connections",
                At(*server)
            ),
            Self::Schedule {
                server,
                scheduler,
                destinations,
            } => write!(
                f,
                "IPVS sends it from {} to one of {} ({scheduler})",
                At(*server),
                ids(destinations)
            ),
            Self::Dnat {
                destinations,
                works: true,
            } => write!(f, "the nat table sends it to one of {}", ids(destinations)),
            Self::Dnat { works: false, .. } => {
                f.write_str("rules that would send it to an endpoint are missing")
            }
            Self::Direct {
                forwarding,
                address,
            } => direct(f, *forwarding, *address),
            Self::Masquerade => f.write_str("its source becomes an address of this node"),
            Self::MasqueradeAs(address) => {
                let key = annotation::MASQUERADE_ADDRESS;
                write!(f, "its source becomes {address}, as {key} says")
            }
            Self::NoMasquerade => f.write_str(
                "its source stays, since rules are missing: endpoints on other nodes answer the client directly",
            ),
            Self::KeepSource => f.write_str("its source stays"),
            Self::AnswersElsewhere(all) => write!(
                f,
                "{} on other nodes answer the client directly, which drops the answer",
                ids(all)
            ),
            Self::AnswerThisWay(all) => write!(
                f,
                "{} on other nodes must answer through this node: the client drops answers that come another way",
                ids(all)
            ),
        }
    }
}
