//! What is wrong with a port.

mod frontend;

use std::sync::Arc;

use ipvs_netlink::{DestinationId, VirtualServerId};

use self::frontend::frontend;
use super::answer::{EndpointAnswer, Finding, Frontend, OptionAnswer, Part, PartState, PortAnswer};
use super::cause::{Cause, NoEndpoint};
use super::compare::{self, Shared};
use super::view::{PortView, View};
use crate::cluster::{
    EndpointPort, EndpointSlice, Family, ObjectName, ServiceOption, ServiceOptions,
};
use crate::conflict::{Holder, NotForwarded};
use crate::translate::{NoEffect, unused_options};

/// The answer about a port, and what is wrong with it.
pub(super) fn port(
    view: &View<'_>,
    port: &PortView<'_>,
    shared: &Shared,
    findings: &mut Vec<Finding>,
) -> PortAnswer {
    let parts = compare::port(view, port);
    let mut all = Findings { port, findings };
    all.conflicts();
    all.endpoints();
    if !view.desired.layout.uses_ipvs() {
        let missing = missing(&parts, &["iptables", "ip6tables"]);
        all.rules(missing);
    }
    let mut frontends = Vec::new();
    for claim in port.claims.iter().filter(|claim| port.is_granted(claim)) {
        frontends.push(frontend(
            view,
            port,
            claim,
            (parts.as_slice(), shared),
            &mut all,
        ));
    }
    for conflict in &port.conflicts {
        if frontends.iter().any(|known| known.at == conflict.server) {
            continue;
        }
        frontends.push(Frontend {
            at: conflict.server,
            kind: port.kind(conflict.server),
            granted: false,
            source_ranges: None,
            parts: Vec::new(),
            paths: Vec::new(),
        });
    }
    let (service, own) = (port.service, &*port.port);
    PortAnswer {
        service: service.name.clone(),
        name: Arc::clone(&own.name),
        protocol: own.protocol,
        number: own.port.get(),
        node_port: own.node_port.map(std::num::NonZero::get),
        family: port.family,
        service_type: service.service_type,
        internal_policy: service.internal_policy,
        external_policy: service.external_policy,
        affinity_seconds: service.affinity_seconds,
        options: options(view, port),
        endpoints: endpoints(view, port),
        parts,
        frontends,
    }
}

/// What a Service's annotations ask for.
fn options(view: &View<'_>, port: &PortView<'_>) -> Vec<OptionAnswer> {
    let service = port.service;
    let unused = unused_options(service, view.evidence.host, view.evidence.config);
    let direct_return = service
        .options
        .as_deref()
        .and_then(ServiceOptions::direct_return);
    let of_port = |option| {
        if option == ServiceOption::Forwarding && port.is_range && direct_return.is_some() {
            return Some(NoEffect::NotForwarded(NotForwarded::Range));
        }
        let mut conflicts = port.conflicts.iter();
        conflicts.find_map(|conflict| match conflict.holder {
            Holder::Forwarding(why) if option == ServiceOption::Forwarding => {
                Some(NoEffect::NotForwarded(why))
            }
            Holder::Affinity(why) if option == ServiceOption::Affinity => {
                Some(NoEffect::NotShared(why))
            }
            _ => None,
        })
    };
    let options = service.options.iter().flat_map(|options| options.iter());
    let answer = |(option, value)| OptionAnswer {
        option,
        value,
        unused: unused
            .iter()
            .find(|unused| unused.option == option)
            .map(|unused| unused.reason)
            .or_else(|| of_port(option)),
    };
    options.map(answer).collect()
}

/// What is wrong with the state that all Services share.
pub(super) fn shared(
    view: &View<'_>,
    ports: &[PortView<'_>],
    shared: &Shared,
    findings: &mut Vec<Finding>,
) {
    // The Service that was asked for is named, since the fault concerns it too.
    let Some(port) = ports.first().map(name) else {
        return;
    };
    let mut push = |cause| {
        findings.push(Finding {
            port: Some(port.clone()),
            at: None,
            cause,
        });
    };
    for family in Family::ALL {
        let rules = missing(shared.rules.get(family), &["iptables", "ip6tables"]);
        if !rules.is_empty() {
            let missing = rules;
            push(Cause::Rules { family, missing });
        }
        let table = shared.tables.get(family).as_ref();
        if let Some(table) = table.filter(|table| !table.is_present()) {
            let found = table.state != PartState::Missing;
            push(Cause::Table { family, found });
        }
        let routing = missing(shared.routing.get(family), &["rule", "route"]);
        if !routing.is_empty() {
            push(Cause::Routing(routing));
        }
    }
    for &(sysctl, wanted) in &view.desired.sysctls {
        let found = view.evidence.observed.sysctls.get(&sysctl).copied();
        if found != Some(wanted) {
            push(Cause::Sysctl {
                sysctl,
                wanted,
                found,
            });
        }
    }
}

fn name(port: &PortView<'_>) -> (ObjectName, Arc<str>) {
    (port.service.name.clone(), Arc::clone(&port.port.name))
}

/// The parts of these subjects that are missing.
fn missing(parts: &[Part], subjects: &[&str]) -> Vec<String> {
    let of_subject = parts
        .iter()
        .filter(|part| subjects.contains(&part.subject) && !part.is_present());
    of_subject.map(|part| part.text.clone()).collect()
}

fn endpoints(view: &View<'_>, port: &PortView<'_>) -> Vec<EndpointAnswer> {
    let mut all = Vec::new();
    for slice in port.slices.iter().filter(|s| s.family == port.family) {
        let serving = slice.ports.iter().filter(|p| serves(port, p));
        let numbers = serving.map(|serving| serving.port.get());
        let kept = port.is_range.then(|| port.port.port.get());
        for number in numbers.chain(kept) {
            all.extend(slice.endpoints.iter().map(|endpoint| EndpointAnswer {
                id: DestinationId {
                    address: endpoint.address,
                    port: number,
                },
                node: endpoint.node.clone(),
                local: endpoint.node.as_deref() == Some(&*view.evidence.host.node_name),
                ready: endpoint.ready,
                serving: endpoint.serving,
                terminating: endpoint.terminating,
                weight: slice.weight,
            }));
        }
    }
    all.sort_by_key(|endpoint| endpoint.id);
    all.dedup();
    all
}

/// Whether a slice's port is for the Service's.
fn serves(port: &PortView<'_>, slice_port: &EndpointPort) -> bool {
    (&slice_port.name, slice_port.protocol) == (&port.port.name, port.port.protocol)
}

/// Whether a slice has a port for the Service's.
fn has_port(port: &PortView<'_>, slice: &EndpointSlice) -> bool {
    port.is_range || slice.ports.iter().any(|one| serves(port, one))
}

/// Collects what is wrong with a port.
struct Findings<'a> {
    port: &'a PortView<'a>,
    findings: &'a mut Vec<Finding>,
}

impl Findings<'_> {
    fn push(&mut self, at: Option<VirtualServerId>, cause: Cause) {
        let port = Some(name(self.port));
        self.findings.push(Finding { port, at, cause });
    }

    fn rules(&mut self, missing: Vec<String>) {
        if !missing.is_empty() {
            let family = self.port.family;
            self.push(None, Cause::Rules { family, missing });
        }
    }

    fn conflicts(&mut self) {
        for conflict in self.port.conflicts.clone() {
            self.push(Some(conflict.server), Cause::Conflict(conflict));
        }
    }

    /// Why there is no endpoint, if there is none.
    fn endpoints(&mut self) {
        let port = self.port;
        let slices = port.slices.iter().copied();
        let of_family: Vec<_> = slices.filter(|slice| slice.family == port.family).collect();
        let Some(first) = of_family.first() else {
            self.push(None, Cause::NoEndpoint(NoEndpoint::NoSlice(port.family)));
            return;
        };
        let endpoints = || of_family.iter().flat_map(|slice| &slice.endpoints);
        if endpoints().next().is_none() {
            self.push(None, Cause::NoEndpoint(NoEndpoint::Empty));
            return;
        }
        let fitting = || of_family.iter().filter(|slice| has_port(port, slice));
        if fitting().next().is_none() {
            let found = of_family.iter().flat_map(|slice| &slice.ports);
            let mut found: Vec<_> = found.cloned().collect();
            found.sort_unstable();
            found.dedup();
            let cause = Cause::WrongPortName {
                name: Arc::clone(&port.port.name),
                protocol: port.port.protocol,
                slice: first.name.clone(),
                found,
            };
            self.push(None, cause);
            return;
        }
        let usable = fitting()
            .flat_map(|slice| &slice.endpoints)
            .any(|endpoint| endpoint.ready || (endpoint.serving && endpoint.terminating));
        if !usable {
            let count = endpoints().count();
            self.push(None, Cause::NoEndpoint(NoEndpoint::NotReady(count)));
        }
    }
}
