//! Virtual servers and destinations.

use ipvs_netlink::Destination;

use super::merge;
use crate::desired::{Desired, Server};
use crate::observed::{Observed, ObservedDestination, ObservedServer};
use crate::plan::{Operation, Phase, Plan};

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    merge(
        &desired.servers,
        &observed.servers,
        |s| s.id,
        |s| s.id,
        |wanted, found| match (wanted, found) {
            (Some(wanted), None) => add(wanted, plan),
            (Some(wanted), Some(found)) => change(wanted, found, plan),
            (None, Some(found)) if desired.owns(&found.id, observed) => {
                plan.push(Phase::Retire, Operation::DeleteServer(found.id));
            }
            _ => {}
        },
    );
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

fn change(wanted: &Server, found: &ObservedServer, plan: &mut Plan) {
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
            (None, Some(found)) => retire(wanted, found, plan),
            _ => {}
        },
    );
}

/// Deletes a destination that is not wanted, or lets its connections come to their end first.
fn retire(wanted: &Server, found: &ObservedDestination, plan: &mut Plan) {
    let Destination { id, config } = found.destination;
    let server = wanted.id;
    if !wanted.drains || is_idle(found) {
        plan.push(Phase::Retire, Operation::DeleteDestination { server, id });
    } else if config.weight != 0 {
        let destination = Destination {
            id,
            config: config.with_weight(0),
        };
        let was = config.weight;
        plan.push(
            Phase::Retire,
            Operation::SetDestination {
                server,
                destination,
                was,
            },
        );
    }
}

/// Whether a destination has no connections. Templates of persistence are none.
pub(crate) const fn is_idle(found: &ObservedDestination) -> bool {
    found.connections.active == 0 && found.connections.inactive == 0
}
