//! What happens to a packet on its way to an endpoint.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipvs_netlink::{Destination, DestinationId, ForwardingMethod, VirtualServerId};

use super::answer::{FrontendKind, Origin, Outcome, Part, Path, Step};
use super::compare::Shared;
use super::input;
use super::range::{is_local, local_mark, range_mark};
use super::view::{PortView, View};
use crate::cluster::{LINK, Masquerading};
use crate::layout::Layout;
use crate::layout::nftables::{Element, Kind};
use crate::translate::Claim;

/// A packet to one address of a port.
pub(super) struct Packet<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) port: &'a PortView<'a>,
    pub(super) claim: &'a Claim,
    pub(super) kind: FrontendKind,
    /// What belongs to the address and the port.
    pub(super) parts: &'a [Part],
    pub(super) shared: &'a Shared,
    pub(super) from: Origin,
}

/// A step after which nothing follows.
type End = (Step, Outcome);

impl Packet<'_> {
    /// Where the packet goes.
    pub(super) fn path(&self) -> Path {
        let mut steps = Vec::new();
        let outcome = self.walk(&mut steps);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err((step, outcome)) => {
                steps.push(step);
                outcome
            }
        };
        let from = self.from;
        Path {
            from,
            steps,
            outcome,
        }
    }

    fn walk(&self, steps: &mut Vec<Step>) -> Result<Outcome, End> {
        let layout = self.view.desired.layout;
        if layout.has_ipset() {
            self.arrive(steps)?;
        }
        self.pass_ranges(steps)?;
        // What the node itself sends does not come in.
        let refusal = input::refusal(self.view, self.claim.id);
        if let Some(rule) = refusal.filter(|_| self.from != Origin::Node) {
            return Err((Step::Input(rule), Outcome::Dropped));
        }
        let wanted = self.endpoints()?;
        self.get_mark(steps)?;
        if layout == Layout::Nftables && self.from != Origin::Node {
            let mark = self.view.evidence.config.nftables.route_mark;
            let works = self.shared.works(self.port.family) && self.has_elements();
            let step = Step::RouteMark { mark, works };
            if !works {
                return Err((step, Outcome::Unserved));
            }
            steps.push(step);
        }
        let reached = if layout.uses_ipvs() && !self.claim.is_at_loopback() {
            self.schedule(steps)?
        } else {
            self.translate_destination(&wanted, steps)?
        };
        self.return_way(&reached, steps)
    }

    /// A packet to a range gets the mark of its virtual server, in layouts with ipset.
    fn get_mark(&self, steps: &mut Vec<Step>) -> Result<(), End> {
        let Some(range) = self.claim.marked() else {
            return Ok(());
        };
        let mark = range.mark.get();
        let works = self.shared.works(self.port.family);
        let step = Step::RangeMark { mark, works };
        if !works {
            return Err((step, Outcome::Unserved));
        }
        steps.push(step);
        Ok(())
    }

    /// The packet is for this machine if the address is on a link. IPVS takes what the node itself sends wherever it
    /// would go.
    fn arrive(&self, steps: &mut Vec<Step>) -> Result<(), End> {
        let VirtualServerId::Address { address, .. } = self.claim.id else {
            return Ok(());
        };
        match self.link(address) {
            Some(link) => steps.push(Step::Local(address, link)),
            None if self.from == Origin::Node => {}
            None => return Err((Step::NotLocal(address), Outcome::Unserved)),
        }
        Ok(())
    }

    fn link(&self, address: IpAddr) -> Option<Box<str>> {
        let evidence = self.view.evidence;
        if evidence.observed.binds(address) {
            return Some(LINK.into());
        }
        if address.is_loopback() {
            return Some("lo".into());
        }
        another_link(self.view, address)
    }

    /// Whether the source ranges of a load balancer's address let the packet pass.
    fn pass_ranges(&self, steps: &mut Vec<Step>) -> Result<(), End> {
        let Some(ranges) = &self.port.ranges else {
            return Ok(());
        };
        if self.kind != FrontendKind::LoadBalancer {
            return Ok(());
        }
        let step = match self.in_ranges(ranges) {
            Some(true) => Step::InRanges(ranges.clone()),
            None => Step::RangesDecide(ranges.clone()),
            Some(false) => return Err((Step::OutOfRanges(ranges.clone()), Outcome::Dropped)),
        };
        steps.push(step);
        Ok(())
    }

    /// Whether the source is in one of the ranges; `None` if that depends on the client.
    fn in_ranges(&self, ranges: &[IpNetwork]) -> Option<bool> {
        let has = |address: IpAddr| ranges.iter().any(|range| range.contains(address));
        if let Some(client) = self.view.client {
            return Some(has(client));
        }
        if ranges.is_empty() {
            return Some(false);
        }
        match self.from {
            Origin::Node => self.view.node_address(self.port.family).map(has),
            Origin::Outside => None,
            Origin::Pod => {
                let pods = self.view.pod_network(self.port)?;
                let covers = |range: &IpNetwork| {
                    range.prefix() <= pods.prefix() && range.contains(pods.network())
                };
                if ranges.iter().any(covers) {
                    return Some(true);
                }
                let some = ranges.iter().any(|range| pods.contains(range.network()));
                (!some).then_some(false)
            }
        }
    }

    /// The endpoints that should get it.
    fn endpoints(&self) -> Result<Vec<DestinationId>, End> {
        let no_local = (Step::NoLocalEndpoint, Outcome::Dropped);
        let no_endpoint = (Step::NoEndpoint, Outcome::Refused);
        let ids = |all: &[Destination]| all.iter().map(|one| one.id).collect::<Vec<_>>();
        if let Some(rules) = self.claim.rules() {
            let spec = &rules.spec;
            let local = match self.kind {
                FrontendKind::ClusterIp => spec.internal_local,
                _ => spec.external_local && self.from == Origin::Outside,
            };
            let chosen = if local { &spec.local } else { &spec.cluster };
            return match (spec.has_endpoints, chosen.is_empty()) {
                (false, _) => Err(no_endpoint),
                (true, true) if local => Err(no_local),
                _ => Ok(ids(chosen)),
            };
        }
        let elements = self.claim.elements();
        let is_dropped = |element: &Element| matches!(element, Element::RangeDropped(_));
        if self.kind_in_table() == Some(Kind::Drop) || elements.iter().any(is_dropped) {
            return Err(no_local);
        }
        let Some(claim) = self.server() else {
            return Err(no_local);
        };
        if !claim.destinations.is_empty() {
            return Ok(ids(&claim.destinations));
        }
        let none_here = match self.kind {
            FrontendKind::ClusterIp => self.port.no_local.internal,
            _ => self.port.no_local.external,
        };
        // IPVS refuses what it has no destination for.
        let step = match none_here {
            true => Step::NoLocalEndpoint,
            false => Step::NoEndpoint,
        };
        Err((step, Outcome::Refused))
    }

    /// The claim whose virtual server takes it: that by mark for what comes from outside, with the policy `Local` or with
    /// direct return.
    fn server(&self) -> Option<&Claim> {
        if let Some(range) = self.claim.marked() {
            return self.port.by_number(range.mark.get());
        }
        let elements = self.claim.elements();
        if let Some(all) = range_mark(elements) {
            let mark = match is_local(elements) && !self.is_inside() {
                true => local_mark(elements)?,
                false => all,
            };
            return self.port.by_number(mark);
        }
        let needs_mark = self.kind_in_table().is_some_and(Kind::needs_mark);
        if !needs_mark || self.is_inside() {
            return Some(self.claim);
        }
        self.port.marked(self.claim)
    }

    /// Whether rules know it for traffic of this node or its pods.
    fn is_inside(&self) -> bool {
        match self.from {
            Origin::Node => true,
            Origin::Pod => self.port.local_source.is_some(),
            Origin::Outside => false,
        }
    }

    /// What becomes of packets to the address, in the layout that has a table.
    pub(super) fn kind_in_table(&self) -> Option<Kind> {
        self.claim
            .elements()
            .iter()
            .find_map(|element| match element {
                Element::Service(_, kind) | Element::NodePort(_, kind) => Some(*kind),
                _ => None,
            })
    }

    fn has_elements(&self) -> bool {
        let of_source = self.of_source().map(|(part, _)| part);
        let chosen = self.chosen_source().map(|(part, _)| part);
        let of_source: Vec<_> = of_source.chain(chosen).collect();
        let mut elements = self.parts.iter().filter(|part| part.subject == "nft");
        elements.all(|part| part.is_present() || of_source.contains(part))
    }

    /// The endpoint behind a destination: with port 0 a packet keeps its own.
    fn reached(&self, id: DestinationId) -> DestinationId {
        let port = match id.port {
            0 => self.port.port.port.get(),
            port => port,
        };
        DestinationId { port, ..id }
    }

    /// IPVS chooses among the destinations that it has.
    fn schedule(&self, steps: &mut Vec<Step>) -> Result<Vec<DestinationId>, End> {
        let server = self.server().unwrap_or(self.claim).id;
        let Some(found) = self.view.evidence.observed.server(&server) else {
            return Err((Step::NoServer(server), Outcome::Unserved));
        };
        let taking = found.destinations.iter().map(|found| found.destination);
        let destinations: Vec<_> = taking
            .filter(|destination| destination.config.weight > 0)
            .map(|destination| self.reached(destination.id))
            .collect();
        if destinations.is_empty() {
            return Err((Step::NoDestination(server), Outcome::Refused));
        }
        steps.push(Step::Schedule {
            server,
            scheduler: found.config.scheduler.to_string(),
            destinations: destinations.clone(),
        });
        Ok(destinations)
    }

    /// Rules choose among the endpoints.
    fn translate_destination(
        &self,
        endpoints: &[DestinationId],
        steps: &mut Vec<Step>,
    ) -> Result<Vec<DestinationId>, End> {
        let own = self.parts.iter().all(Part::is_present);
        let works = own && self.shared.works(self.port.family);
        let step = Step::Dnat {
            destinations: endpoints.to_vec(),
            works,
        };
        if !works {
            return Err((step, Outcome::Unserved));
        }
        steps.push(step);
        Ok(endpoints.to_vec())
    }

    /// Whether the answer comes back through this node.
    fn return_way(&self, reached: &[DestinationId], steps: &mut Vec<Step>) -> Result<Outcome, End> {
        if let Some(step) = self.direct() {
            steps.push(step);
            return Ok(Outcome::Served);
        }
        if self.is_masqueraded() {
            if self.shared.works(self.port.family) {
                let chosen = self.chosen_source().filter(|(part, _)| part.is_present());
                steps.push(chosen.map_or(Step::Masquerade, |(_, ip)| Step::MasqueradeAs(ip)));
                return Ok(Outcome::Served);
            }
            return Err((Step::NoMasquerade, Outcome::Unanswered));
        }
        steps.push(Step::KeepSource);
        let asked = self.asks_for() == Masquerading::Never;
        let is_external = (self.kind.is_external() || asked) && self.from == Origin::Outside;
        let elsewhere: Vec<_> = reached
            .iter()
            .copied()
            .filter(|id| is_external && !self.port.is_local(self.view, *id))
            .collect();
        if asked && !elsewhere.is_empty() {
            steps.push(Step::AnswerThisWay(elsewhere));
        } else if !elsewhere.is_empty() && elsewhere.len() == reached.len() {
            return Err((Step::AnswersElsewhere(elsewhere), Outcome::Unanswered));
        }
        Ok(Outcome::Served)
    }

    /// Endpoints that get the packet as it is answer the client themselves.
    fn direct(&self) -> Option<Step> {
        let mut destinations = self.server()?.destinations.iter();
        let masquerades = |one: &Destination| one.config.forwarding == ForwardingMethod::Masquerade;
        if destinations.all(masquerades) {
            return None;
        }
        let VirtualServerId::Address { address, .. } = self.claim.id else {
            return None;
        };
        let forwarding = self.port.service.options.as_deref()?.direct_return()?;
        Some(Step::Direct {
            forwarding,
            address,
        })
    }
}

impl PortView<'_> {
    /// Whether an endpoint is on this node, as EndpointSlices have it.
    pub(super) fn is_local(&self, view: &View<'_>, id: DestinationId) -> bool {
        let endpoints = self.slices.iter().flat_map(|slice| &slice.endpoints);
        let here = &*view.evidence.host.node_name;
        endpoints
            .filter(|endpoint| endpoint.address == id.address)
            .any(|endpoint| endpoint.node.as_deref() == Some(here))
    }
}

/// A link that has an address, other than the proxy's.
pub(super) fn another_link(view: &View<'_>, address: IpAddr) -> Option<Box<str>> {
    let mut links = view.evidence.host.links.links_with(address);
    let link = links.find(|link| link.as_str() != LINK)?;
    Some(link.as_str().into())
}
