//! Virtual servers and destinations.

use ipvs_netlink::{Destination, VirtualServerId};

use super::merge;
use crate::desired::{Desired, Server};
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
                remove(desired, found, plan);
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
        drains: _,
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
/// find their way by address and port whatever the mark. Those of UDP count as inactive: they go on elsewhere.
fn remove(desired: &Desired, found: &ObservedServer, plan: &mut Plan) {
    let by_mark = matches!(found.id, VirtualServerId::FirewallMark { .. });
    if !(by_mark && desired.drain_marks && found.destinations.iter().any(is_active)) {
        plan.push(Phase::Retire, Operation::DeleteServer(found.id));
        return;
    }
    for found_one in &found.destinations {
        if let Some(operation) = drain(found.id, found_one) {
            plan.push(Phase::Retire, operation);
        }
    }
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
    let found_id = |found: &ObservedDestination| found.destination.id;
    merge(
        &wanted.destinations,
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
    if wanted.drains && !is_idle(found) {
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

/// Whether a destination has connections that are established, of TCP or SCTP. IPVS counts all others as inactive
/// (`IP_VS_CONN_F_INACTIVE` in `net/netfilter/ipvs/ip_vs_ctl.c` and `ip_vs_proto_tcp.c`).
const fn is_active(found: &ObservedDestination) -> bool {
    found.connections.active > 0
}
