//! What is wrong with a frontend: an address and port that a Service's port is served at.

use ipvs_netlink::{DestinationId, VirtualServerId};

use super::{Findings, endpoints, missing};
use crate::explain::answer::{EndpointAnswer, Frontend, FrontendKind, Origin, Part, PartState};
use crate::explain::cause::Cause;
use crate::explain::compare::{self, Shared};
use crate::explain::path::{Packet, another_link};
use crate::explain::view::{PortView, View};
use crate::explain::{input, words};
use crate::layout::nftables::Element;
use crate::translate::Claim;

/// The answer about a frontend, and what is wrong with it. `port_parts` are the parts of its port.
pub(super) fn frontend(
    view: &View<'_>,
    port: &PortView<'_>,
    claim: &Claim,
    (port_parts, shared): (&[Part], &Shared),
    all: &mut Findings<'_>,
) -> Frontend {
    let kind = port.kind(claim.id);
    let parts = compare::frontend(view, port, claim);
    let at = Some(claim.id);
    let from = match claim.id {
        // Only the node itself reaches its loopback addresses.
        VirtualServerId::Address { address, .. } if address.is_loopback() => Some(Origin::Node),
        _ => view.client.map(|client| view.origin(client, port)),
    };
    if claim.is_at_loopback() {
        // Elements alone.
    } else if view.desired.layout.uses_ipvs() {
        if !port.is_range {
            server(view, claim, all);
        }
        // What comes from outside may go by mark, and all that goes to ranges does.
        let marks = claim.elements().iter().filter_map(Element::mark);
        let mut marks: Vec<_> = marks.collect();
        marks.dedup();
        for by_mark in marks.into_iter().filter_map(|mark| port.by_number(mark)) {
            server(view, by_mark, all);
        }
    } else {
        all.rules(missing(&parts, &["iptables", "ip6tables"]));
    }
    address(view, kind, claim, all);
    // What the node itself sends does not come in.
    let refusal = input::refusal(view, claim.id).filter(|_| from != Some(Origin::Node));
    if let Some(rule) = refusal {
        let family = port.family;
        all.push(at, Cause::Input { family, rule });
    }
    let members = missing(&parts, &["ipset", "nft"]);
    if !members.is_empty() {
        all.push(at, Cause::Members(members));
    }
    stale_flows(view, port, claim, all);
    no_local(view, port, (kind, claim), from, all);
    let ranges = port.ranges.as_ref();
    let ranges = ranges.filter(|_| kind == FrontendKind::LoadBalancer);
    if let Some(ranges) = ranges {
        let client = view.client;
        let admits = |client| ranges.iter().any(|range| range.contains(client));
        if ranges.is_empty() || client.is_some_and(|client| !admits(client)) {
            let ranges = ranges.clone();
            all.push(at, Cause::SourceRanges { client, ranges });
        }
    }
    let every: Vec<_> = parts.iter().chain(port_parts).cloned().collect();
    let origins = Origin::ALL.into_iter();
    let origins = origins.filter(|origin| from.is_none_or(|from| from == *origin));
    let paths = origins.map(|from| {
        let parts = &every;
        let packet = Packet {
            view,
            port,
            claim,
            kind,
            parts,
            shared,
            from,
        };
        packet.path()
    });
    Frontend {
        at: claim.id,
        kind,
        granted: true,
        source_ranges: ranges.cloned(),
        paths: paths.collect(),
        parts,
    }
}

/// What is wrong with a virtual server and its destinations.
fn server(view: &View<'_>, claim: &Claim, all: &mut Findings<'_>) {
    let (at, server) = (Some(claim.id), claim.id);
    let Some(found) = view.evidence.observed.server(&server) else {
        all.push(at, Cause::NoServer(server));
        return;
    };
    let wanted = claim.destinations.len();
    let destinations = found.destinations.iter().map(|found| found.destination);
    if wanted > 0 && found.destinations.is_empty() {
        all.push(at, Cause::NoDestination { server, wanted });
        return;
    }
    if wanted > 0 && destinations.clone().all(|one| one.config.weight == 0) {
        let destinations = destinations.map(|one| one.id).collect();
        let mut weights = claim.destinations.iter().map(|wanted| wanted.config.weight);
        let cause = Cause::AllWeightsZero {
            server,
            destinations,
            asked: weights.all(|weight| weight == 0),
        };
        all.push(at, cause);
        return;
    }
    let parts = compare::server(view, claim.id, claim.config, &claim.destinations);
    let wrong = parts
        .iter()
        .filter(|part| !part.is_present() && part.state != PartState::Draining);
    let parts: Vec<_> = wrong.map(words::difference).collect();
    if !parts.is_empty() {
        all.push(at, Cause::ServerDiffers { server, parts });
    }
}

/// What is wrong with the address, in layouts that bind addresses.
fn address(view: &View<'_>, kind: FrontendKind, claim: &Claim, all: &mut Findings<'_>) {
    let VirtualServerId::Address { address, .. } = claim.id else {
        return;
    };
    let observed = view.evidence.observed;
    if claim.bind {
        if !observed.binds(address) {
            let link = observed.addresses.is_some();
            all.push(Some(claim.id), Cause::NotBound { address, link });
        }
    } else if kind == FrontendKind::ClusterIp && view.desired.layout.has_ipset() {
        if let Some(link) = another_link(view, address) {
            all.push(Some(claim.id), Cause::AnotherLink { address, link });
        }
    }
}

/// UDP flows to endpoints that are gone.
fn stale_flows(view: &View<'_>, port: &PortView<'_>, claim: &Claim, all: &mut Findings<'_>) {
    let server = claim.id;
    let known = endpoints(view, port);
    let taking = |one: &&EndpointAnswer| one.ready || (one.serving && one.terminating);
    let here = |id: DestinationId| known.iter().filter(taking).any(|one| one.id == id);
    let facts = &view.evidence.facts;
    let of_server = facts.flows.iter().filter(|flow| flow.to == server);
    let client = view.client;
    let of_client = of_server.filter(|flow| client.is_none_or(|one| flow.client.ip() == one));
    let stale = of_client.filter(|flow| !here(flow.answers)).copied();
    let flows: Vec<_> = stale.collect();
    // Without endpoints that is not what is wrong.
    if !flows.is_empty() && !known.is_empty() {
        all.push(Some(server), Cause::StaleFlows { server, flows });
    }
}

/// Whether a policy `Local` finds no endpoint on this node, so that somebody is not served.
fn no_local(
    view: &View<'_>,
    port: &PortView<'_>,
    (kind, claim): (FrontendKind, &Claim),
    from: Option<Origin>,
    all: &mut Findings<'_>,
) {
    let external = kind.is_external();
    // In layouts with sets, one virtual server is for everybody: it has destinations for all, or for none.
    let one_for_all = view.desired.layout.has_ipset();
    let is_empty = claim.destinations.is_empty();
    let everybody = !external || (one_for_all && is_empty);
    let concerned = if external {
        let outside = from.is_none_or(|from| from == Origin::Outside);
        port.no_local.external && (everybody || outside)
    } else {
        port.no_local.internal && (is_empty || !one_for_all)
    };
    if !concerned {
        return;
    }
    let here = &*view.evidence.host.node_name;
    let endpoints = endpoints(view, port);
    let is_there = |one: &&EndpointAnswer| one.ready && one.node.as_deref() != Some(here);
    let elsewhere = endpoints.iter().filter(is_there);
    let cause = Cause::NoLocalEndpoint {
        external,
        everybody,
        elsewhere: elsewhere.count(),
    };
    all.push(Some(claim.id), cause);
}
