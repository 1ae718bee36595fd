//! The changes between two tables.

use std::collections::BTreeMap;

use crate::table::{Server, Table};
use crate::{Destination, DestinationConfig, DestinationId, Request, VirtualServerId};

/// The requests that change the table `found` into the table `wanted`, in the order to send them.
///
/// What is equal in both is left alone, with its connections and counters. What differs is changed in
/// place. Virtual servers are added before their destinations. Everything that is deleted is deleted at
/// the end, so that a client always finds a destination where both tables have one. A virtual server is
/// deleted with its destinations by one request.
///
/// `owns` decides which virtual servers that are found and not wanted may be deleted; the others stay
/// as they are. A wanted virtual server is changed whether it is owned or not.
///
/// ```
/// use ipvs_netlink::{Protocol, Table, VirtualServerId, diff};
///
/// let found: Table = "\
/// -A -t 10.0.0.1:80 -s rr
/// -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1
/// -A -t 10.0.0.2:80 -s rr
/// -A -u 10.0.0.3:53 -s rr
/// ".parse()?;
/// let wanted: Table = "\
/// -A -t 10.0.0.1:80 -s wrr
/// -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 1
/// ".parse()?;
/// // Ours are those of TCP.
/// let ours = |id: &VirtualServerId| {
///     matches!(id, VirtualServerId::Address { protocol: Protocol::TCP, .. })
/// };
/// let changes = diff(&wanted, &found, ours);
/// let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
/// assert_eq!(changes, [
///     "change virtual server -t 10.0.0.1:80",
///     "add destination 10.1.0.2:8080 of -t 10.0.0.1:80",
///     "delete destination 10.1.0.1:8080 of -t 10.0.0.1:80",
///     "delete virtual server -t 10.0.0.2:80",
/// ]);
/// # Ok::<(), ipvs_netlink::Error>(())
/// ```
///
/// With a client: `client.table()?.into_iter().collect::<Table>()` is what the kernel has, and
/// `client.apply(&changes)` sends the requests.
#[must_use]
pub fn diff(
    wanted: &Table,
    found: &Table,
    mut owns: impl FnMut(&VirtualServerId) -> bool,
) -> Vec<Request> {
    let none = BTreeMap::new();
    let mut changes = Vec::new();
    for (&id, server) in &wanted.servers {
        let config = server.config;
        let found = match found.servers.get(&id) {
            None => {
                changes.push(Request::NewService { id, config });
                &none
            }
            Some(found) => {
                if found.config != config {
                    changes.push(Request::SetService { id, config });
                }
                &found.destinations
            }
        };
        set_destinations(id, server, found, &mut changes);
    }
    for (&id, server) in &found.servers {
        match wanted.servers.get(&id) {
            Some(wanted) => {
                let unwanted = |id: &&DestinationId| !wanted.destinations.contains_key(id);
                let ids = server.destinations.keys().filter(unwanted);
                changes.extend(ids.map(|&destination| Request::DeleteDestination {
                    service: id,
                    id: destination,
                }));
            }
            None if owns(&id) => changes.push(Request::DeleteService { id }),
            None => {}
        }
    }
    changes
}

/// Adds and changes the destinations of a virtual server.
fn set_destinations(
    service: VirtualServerId,
    wanted: &Server,
    found: &BTreeMap<DestinationId, DestinationConfig>,
    changes: &mut Vec<Request>,
) {
    for (&id, &config) in &wanted.destinations {
        let destination = Destination { id, config };
        match found.get(&id) {
            None => changes.push(Request::NewDestination {
                service,
                destination,
            }),
            Some(found) if *found != config => changes.push(Request::SetDestination {
                service,
                destination,
            }),
            Some(_) => {}
        }
    }
}
