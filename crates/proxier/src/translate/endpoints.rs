//! Which endpoints of a Service port get its traffic on this node.

use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use ipvs_netlink::{Destination, DestinationConfig, DestinationId};

use crate::cluster::{Endpoint, EndpointPort, EndpointSlice, Family, ServicePort, standing};
use crate::layout::EndpointRules;

/// What the choice depends on, apart from the endpoints.
pub(super) struct Selection<'a> {
    pub(super) family: Family,
    pub(super) node: &'a str,
    pub(super) zone: Option<&'a str>,
    pub(super) rules: EndpointRules,
    /// `internalTrafficPolicy: Local`.
    pub(super) internal_local: bool,
    /// `externalTrafficPolicy: Local`, where it is in force.
    pub(super) external_local: bool,
    /// Whether the port has any address besides the cluster IP.
    pub(super) reachable_outside: bool,
    /// The thresholds of connections, upper and lower; 0 for none.
    pub(super) thresholds: (u32, u32),
}

/// The endpoints of a Service port, and those of them that each kind of address gets.
pub(super) struct Endpoints {
    candidates: Vec<Candidate>,
    cluster: Arc<[Destination]>,
    internal: Arc<[Destination]>,
    external: Arc<[Destination]>,
}

/// An entry of a slice, as far as the choice among endpoints depends on it.
struct Candidate {
    address: IpAddr,
    port: u16,
    config: DestinationConfig,
    ready: bool,
    terminating: bool,
    /// Serving its last connections: used where no endpoint is ready.
    draining: bool,
    local: bool,
    node_hint: Hint,
    zone_hint: Hint,
}

/// Whether hints mean an endpoint for this node or zone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    None,
    Elsewhere,
    Here,
}

impl Hint {
    fn of(hints: &[Box<str>], here: Option<&str>) -> Self {
        if hints.is_empty() {
            Self::None
        } else if here.is_some_and(|here| hints.iter().any(|hint| **hint == *here)) {
            Self::Here
        } else {
            Self::Elsewhere
        }
    }
}

impl Endpoints {
    /// Gathers the endpoints of a port from the slices of its Service and chooses among them. Without a port they are those
    /// of ranges of ports: all addresses, each with port 0.
    pub(super) fn gather(
        slices: &[&EndpointSlice],
        port: Option<&ServicePort>,
        selection: &Selection<'_>,
    ) -> Self {
        let candidates = candidates(slices, port, selection);
        let full = selection.rules != EndpointRules::ReadyOnly;
        let internal_local = full && selection.internal_local;

        // A purely internal Service of policy Local never sends anything anywhere else.
        let needs_cluster = !internal_local || selection.reachable_outside;
        let cluster = if needs_cluster {
            for_cluster(&candidates, full)
        } else {
            Arc::default()
        };
        let local = || {
            let chosen = local_only(&candidates);
            // Without local endpoints pods of this node still get through to those elsewhere.
            if chosen.is_empty() && selection.rules == EndpointRules::Conditions {
                Arc::clone(&cluster)
            } else {
                chosen
            }
        };
        let (internal, external) = match (internal_local, selection.external_local) {
            (false, false) => (Arc::clone(&cluster), Arc::clone(&cluster)),
            (true, false) => (local(), Arc::clone(&cluster)),
            (false, true) => (Arc::clone(&cluster), local()),
            (true, true) => {
                let local = local();
                (Arc::clone(&local), local)
            }
        };
        Self {
            candidates,
            cluster,
            internal,
            external,
        }
    }

    /// What a virtual server with no policy gets.
    pub(super) const fn cluster(&self) -> &Arc<[Destination]> {
        &self.cluster
    }

    /// What the cluster IP gets.
    pub(super) const fn internal(&self) -> &Arc<[Destination]> {
        &self.internal
    }

    /// What every other address gets; with [`EndpointRules::Split`], from outside.
    pub(super) const fn external(&self) -> &Arc<[Destination]> {
        &self.external
    }

    /// The ready ones on this node, else those that drain here; none where there are none.
    pub(super) fn local(&self) -> Arc<[Destination]> {
        local_only(&self.candidates)
    }

    /// Whether there are endpoints to send to, on whatever node.
    pub(super) fn any(&self) -> bool {
        self.candidates
            .iter()
            .any(|candidate| candidate.ready || candidate.draining)
    }

    /// Whether there are endpoints to send to, but none of them on this node.
    pub(super) fn none_here(&self) -> bool {
        let mut used = self
            .candidates
            .iter()
            .filter(|candidate| candidate.ready || candidate.draining);
        let first = used.next();
        first.is_some_and(|first| !first.local) && used.all(|candidate| !candidate.local)
    }

    /// Whether an endpoint on this node shuts down and takes nothing new.
    pub(super) fn shuts_down_here(&self) -> bool {
        self.candidates
            .iter()
            .any(|candidate| candidate.local && candidate.terminating && !candidate.draining)
    }

    /// All endpoints of the port, sorted.
    pub(super) fn all(&self) -> impl Iterator<Item = DestinationId> {
        self.candidates.iter().map(Candidate::id)
    }

    /// Those that terminate and serve their last connections, sorted.
    pub(super) fn draining(&self) -> impl Iterator<Item = DestinationId> {
        let draining = self
            .candidates
            .iter()
            .filter(|candidate| candidate.draining);
        draining.map(Candidate::id)
    }

    /// The endpoints on this node, ready or not.
    pub(super) fn on_this_node(&self) -> impl Iterator<Item = (IpAddr, u16)> {
        self.candidates
            .iter()
            .filter(|candidate| candidate.local)
            .map(|candidate| (candidate.address, candidate.port))
    }
}

/// All endpoints of the port, each (address, port) once, sorted.
fn candidates(
    slices: &[&EndpointSlice],
    port: Option<&ServicePort>,
    selection: &Selection<'_>,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for slice in slices
        .iter()
        .filter(|slice| slice.family == selection.family)
    {
        let (upper, lower) = selection.thresholds;
        let weight = slice.weight.map_or(1, Into::into);
        let config = DestinationConfig::masquerade(weight).with_thresholds(upper, lower);
        let serves = |serving: &&EndpointPort| {
            port.is_some_and(|port| {
                (&serving.name, serving.protocol) == (&port.name, port.protocol)
            })
        };
        let serving = slice.ports.iter().filter(serves);
        let numbers = serving.map(|serving| serving.port.get());
        for number in numbers.chain(port.is_none().then_some(0)) {
            candidates.reserve(slice.endpoints.len());
            let endpoints = slice
                .endpoints
                .iter()
                .filter(|e| Family::of(e.address) == selection.family);
            let candidate = |e| Candidate::new(e, number, config, selection);
            candidates.extend(endpoints.map(candidate));
        }
    }
    if selection.rules == EndpointRules::ReadyOnly {
        candidates.retain(|endpoint| endpoint.ready);
    }
    candidates.sort_by_key(|endpoint| (endpoint.address, endpoint.port));
    candidates.dedup_by(|again, first| {
        let same = (again.address, again.port) == (first.address, first.port);
        // Readiness, node and hints all come from the entry that decides; of equals, the first slice's.
        if same && again.decides_over(first) {
            mem::swap(again, first);
        }
        same
    });
    candidates
}

impl Candidate {
    fn new(
        endpoint: &Endpoint,
        port: u16,
        config: DestinationConfig,
        selection: &Selection<'_>,
    ) -> Self {
        let hints = endpoint.hints.as_deref();
        Self {
            address: endpoint.address,
            port,
            config,
            ready: endpoint.ready,
            terminating: endpoint.terminating,
            draining: endpoint.serving && endpoint.terminating,
            local: endpoint.node.as_deref() == Some(selection.node),
            node_hint: hints.map_or(Hint::None, |h| Hint::of(&h.nodes, Some(selection.node))),
            zone_hint: hints.map_or(Hint::None, |h| Hint::of(&h.zones, selection.zone)),
        }
    }

    const fn id(&self) -> DestinationId {
        DestinationId {
            address: self.address,
            port: self.port,
        }
    }

    /// Whether this entry decides over another of the same address and port.
    fn decides_over(&self, other: &Self) -> bool {
        standing(self.terminating, self.ready) < standing(other.terminating, other.ready)
    }
}

/// The ready ones, those hinted for here if hints are complete and any is; else those that drain.
fn for_cluster(candidates: &[Candidate], hints_count: bool) -> Arc<[Destination]> {
    let ready = || candidates.iter().filter(|endpoint| endpoint.ready);
    if ready().next().is_none() {
        return destinations(candidates, |endpoint| endpoint.draining);
    }
    let hints: [fn(&Candidate) -> Hint; 2] = [
        |candidate| candidate.node_hint,
        |candidate| candidate.zone_hint,
    ];
    for hint in hints {
        let complete = ready().all(|endpoint| hint(endpoint) != Hint::None);
        if hints_count && complete && ready().any(|endpoint| hint(endpoint) == Hint::Here) {
            let is_here = |endpoint: &Candidate| endpoint.ready && hint(endpoint) == Hint::Here;
            return destinations(candidates, is_here);
        }
    }
    destinations(candidates, |endpoint| endpoint.ready)
}

/// The ready ones on this node, else those that drain here.
fn local_only(candidates: &[Candidate]) -> Arc<[Destination]> {
    let mut here = candidates.iter().filter(|endpoint| endpoint.local);
    let any_ready = here.any(|endpoint| endpoint.ready);
    destinations(candidates, |endpoint| {
        let chosen = if any_ready {
            endpoint.ready
        } else {
            endpoint.draining
        };
        endpoint.local && chosen
    })
}

/// Those that are chosen.
fn destinations(
    candidates: &[Candidate],
    is_chosen: impl Fn(&Candidate) -> bool,
) -> Arc<[Destination]> {
    let destination = |endpoint: &Candidate| Destination {
        id: endpoint.id(),
        config: endpoint.config,
    };
    // Nearly all are chosen nearly always. How many there are is known then, and they are written where they stay.
    if candidates.iter().all(&is_chosen) {
        return candidates.iter().map(destination).collect();
    }
    let chosen = candidates.iter().filter(|endpoint| is_chosen(endpoint));
    chosen.map(destination).collect()
}
