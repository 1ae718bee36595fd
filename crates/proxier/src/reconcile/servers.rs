//! Virtual servers and destinations.

use std::cmp::Ordering;

use ipvs_netlink::{Destination, DestinationConfig, Protocol, VirtualServerId};

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
            (None, Some(found)) if desired.owns(&found.id) => {
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
        |wanted, found| match (wanted, found) {
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
            (None, Some(found)) => retire(id, found, plan),
            _ => {}
        },
    );
}

/// Deletes a destination that is not wanted, or lets its connections come to their end first.
fn retire(server: VirtualServerId, found: &ObservedDestination, plan: &mut Plan) {
    let Destination { id, config } = found.destination;
    if !drains(server) || found.connections.active + found.connections.inactive == 0 {
        plan.push(Phase::Retire, Operation::DeleteDestination { server, id });
    } else if config.weight != 0 {
        let destination = Destination {
            id,
            config: DestinationConfig {
                weight: 0,
                ..config
            },
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

/// Only TCP has connections that end by themselves; those of UDP and SCTP would keep a dead destination.
fn drains(server: VirtualServerId) -> bool {
    match server {
        VirtualServerId::Address { protocol, .. } => {
            protocol != Protocol::UDP && protocol != Protocol::SCTP
        }
        VirtualServerId::FirewallMark { .. } => true,
    }
}

/// Walks two lists sorted by a common key side by side.
fn merge<'a, A, B, K: Ord>(
    wanted: &'a [A],
    found: &'a [B],
    wanted_key: impl Fn(&A) -> K,
    found_key: impl Fn(&B) -> K,
    mut each: impl FnMut(Option<&'a A>, Option<&'a B>),
) {
    let (mut wanted, mut found) = (wanted.iter().peekable(), found.iter().peekable());
    loop {
        let order = match (wanted.peek(), found.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(w), Some(f)) => wanted_key(w).cmp(&found_key(f)),
        };
        let wanted = if order == Ordering::Greater {
            None
        } else {
            wanted.next()
        };
        let found = if order == Ordering::Less {
            None
        } else {
            found.next()
        };
        each(wanted, found);
    }
}
