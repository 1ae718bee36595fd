//! Virtual servers and destinations.

use std::num::NonZeroU32;

use ipvs_netlink::{Destination, Protocol, VirtualServerId};

use super::merge;
use crate::cluster::Family;
use crate::desired::{Desired, Drain, Server};
use crate::layout::nftables::{Element, Kind};
use crate::observed::{Observed, ObservedDestination, ObservedServer};
use crate::plan::{Operation, Phase, Plan};

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    // Of virtual servers by mark, which may have been another Service's: before elements lead there.
    let mut of_marks = Vec::new();
    merge(
        &desired.servers,
        &observed.servers,
        |s| s.id,
        |s| s.id,
        |wanted, found| match (wanted, found) {
            (Some(wanted), None) => add(wanted, plan),
            (Some(wanted), Some(found)) => change(wanted, found, &mut of_marks, plan),
            (None, Some(found)) if desired.owns(&found.id, observed) => {
                remove(desired, observed, found, plan);
            }
            _ => {}
        },
    );
    for operation in of_marks {
        plan.push(Phase::Serve, operation);
    }
}

fn add(wanted: &Server, plan: &mut Plan) {
    let Server {
        id,
        config,
        destinations,
        drain: _,
    } = wanted;
    plan.push(
        Phase::Serve,
        Operation::AddServer {
            id: *id,
            config: *config,
        },
    );
    for &destination in destinations.iter() {
        plan.push(
            Phase::Serve,
            Operation::AddDestination {
                server: *id,
                destination,
            },
        );
    }
}

/// Deletes a virtual server that is not wanted. One by mark lets its connections come to their end first, since their packets
/// find their way by address and port whatever the mark.
fn remove(desired: &Desired, observed: &Observed, found: &ObservedServer, plan: &mut Plan) {
    let drains = match found.id {
        VirtualServerId::FirewallMark { family, mark } => {
            desired.drain_marks
                && found.destinations.iter().any(is_active)
                && keeps_packets(family, mark, desired, observed)
        }
        VirtualServerId::Address { .. } => false,
    };
    if !drains {
        plan.push(Phase::Retire, Operation::DeleteServer(found.id));
        return;
    }
    let operations = found.destinations.iter();
    for operation in operations.filter_map(|destination| drain(found.id, destination)) {
        plan.push(Phase::Retire, operation);
    }
}

/// Whether packets of open connections still come to a virtual server whose mark no new packet gets. Those of ranges do not
/// once the range is gone, whose ports are nothing else's; but a port that was served together with them may now be served by
/// itself. Nothing shows what had a mark once nothing has it.
fn keeps_packets(family: Family, mark: NonZeroU32, desired: &Desired, observed: &Observed) -> bool {
    let wanted = desired.tables.get(family).as_ref();
    let wanted = wanted.map_or(&[][..], |table| &table.elements);
    let table = observed.tables.get(family).as_ref();
    let elements = table.map_or(&[][..], |table| &table.elements);
    let drains = |protocol: Protocol| Drain::by_default(protocol) != Drain::Never;
    let is_wanted = |element: &Element| wanted.binary_search(element).is_ok();
    let is_gone = |element: &Element| match element {
        Element::PortMark(at, _) => {
            let mut kinds = Kind::ALL.into_iter();
            let is_served = kinds.any(|kind| is_wanted(&Element::Service(*at, kind)));
            !(is_wanted(element) || (is_served && drains(at.protocol)))
        }
        _ => !is_wanted(element),
    };
    let of_ranges = |mark: u32| {
        elements.iter().filter(move |element| match element {
            Element::PortMark(_, of) | Element::RangeMark(_, of) => *of == mark,
            _ => false,
        })
    };
    let of_mark = |element: &Element| match element {
        Element::ServiceMark(at, of) if *of == mark.get() => Some(drains(at.protocol)),
        Element::NodePortMark(at, of) if *of == mark.get() => Some(drains(at.protocol)),
        Element::PortMark(_, of) | Element::RangeMark(_, of) if *of == mark.get() => {
            Some(!of_ranges(*of).all(is_gone))
        }
        Element::RangeLocalMark(range, of) if *of == mark.get() => {
            Some(!of_ranges(*range).any(is_gone))
        }
        _ => None,
    };
    elements.iter().find_map(of_mark).unwrap_or(true)
}

fn change(wanted: &Server, found: &ObservedServer, of_marks: &mut Vec<Operation>, plan: &mut Plan) {
    let id = wanted.id;
    if wanted.config != found.config {
        let operation = Operation::SetServer {
            id,
            config: wanted.config,
            was: found.config,
        };
        plan.push(Phase::Serve, operation);
    }
    let found_id = |found: &&ObservedDestination| found.destination.id;
    merge(
        &*wanted.destinations,
        &found.destinations,
        |d| d.id,
        found_id,
        |destination, found| match (destination, found) {
            (Some(&destination), None) => {
                plan.push(
                    Phase::Serve,
                    Operation::AddDestination {
                        server: id,
                        destination,
                    },
                );
            }
            (Some(&destination), Some(found)) if destination != found.destination => {
                let was = found.destination.config.weight;
                plan.push(
                    Phase::Serve,
                    Operation::SetDestination {
                        server: id,
                        destination,
                        was,
                    },
                );
            }
            (None, Some(found)) => {
                let by_mark = matches!(id, VirtualServerId::FirewallMark { .. });
                match retire(wanted, found) {
                    Some(operation) if by_mark => of_marks.push(operation),
                    Some(operation) => plan.push(Phase::Retire, operation),
                    None => {}
                }
            }
            _ => {}
        },
    );
}

/// Deletes a destination that is not wanted, or lets its connections come to their end first.
fn retire(wanted: &Server, found: &ObservedDestination) -> Option<Operation> {
    if !is_idle(found) && wanted.drain.lets_stay(&found.destination.id) {
        return drain(wanted.id, found);
    }
    Some(Operation::DeleteDestination {
        server: wanted.id,
        id: found.destination.id,
    })
}

/// Keeps new connections away from a destination.
fn drain(server: VirtualServerId, found: &ObservedDestination) -> Option<Operation> {
    let Destination { id, config } = found.destination;
    let destination = Destination {
        id,
        config: config.with_weight(0),
    };
    let was = config.weight;
    (was != 0).then_some(Operation::SetDestination {
        server,
        destination,
        was,
    })
}

/// Whether a destination has no connections. Templates of persistence are none.
pub(crate) const fn is_idle(found: &ObservedDestination) -> bool {
    found.connections.active == 0 && found.connections.inactive == 0
}

/// Whether a destination has connections that are established. IPVS counts those that close, and all of UDP, as inactive
/// (`IP_VS_CONN_F_INACTIVE` in `net/netfilter/ipvs/ip_vs_ctl.c` and `ip_vs_proto_tcp.c`).
const fn is_active(found: &ObservedDestination) -> bool {
    found.connections.active > 0
}
