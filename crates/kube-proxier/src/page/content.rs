//! What the engine knows of what is shown: gathered in the loop's time, so no more than a page of it.

use std::net::IpAddr;

use ipvs_netlink::VirtualServerId;
use proxier::cluster::{ObjectName, Service};
use proxier::{Conflict, DrainingDestination, Engine, Held};

use super::search::{Ask, Search, View};
use crate::traffic::port_label;

/// Services on one page.
pub(super) const PAGE: usize = 100;
/// Lines of one Service, where there are several.
const LINES: usize = 20;
/// Lines of a Service that is alone.
const LINES_ALONE: usize = 500;
/// How many conflicts and draining destinations are shown.
const OTHERS: usize = 100;

/// What there is of a kind, of which some is shown.
#[derive(Debug, Default)]
pub(super) struct Part<T> {
    pub(super) all: usize,
    pub(super) shown: Vec<T>,
}

impl<T> Part<T> {
    fn of(all: impl Iterator<Item = T>, most: usize) -> Self {
        let mut part = Self {
            all: 0,
            shown: Vec::new(),
        };
        for one in all {
            part.all += 1;
            if part.shown.len() < most {
                part.shown.push(one);
            }
        }
        part
    }
}

/// What the page shows of the engine.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) layout: &'static str,
    pub(super) mode: &'static str,
    /// Services in all, and virtual servers.
    pub(super) services: usize,
    pub(super) servers: usize,
    /// Services found; of them this page.
    pub(super) found: Part<FoundService>,
    pub(super) conflicts: Part<Conflict>,
    pub(super) draining: Part<Draining>,
}

/// A Service, with its lines.
#[derive(Debug)]
pub(super) struct FoundService {
    pub(super) name: ObjectName,
    pub(super) lines: Lines,
}

/// The lines of a Service.
#[derive(Debug)]
pub(super) enum Lines {
    Servers(Part<ServerLine>),
    Endpoints(Part<EndpointLine>),
}

/// A virtual server of a Service.
#[derive(Debug)]
pub(super) struct ServerLine {
    pub(super) port: Box<str>,
    pub(super) server: VirtualServerId,
    pub(super) endpoints: Part<String>,
}

/// An endpoint of a Service.
#[derive(Debug)]
pub(super) struct EndpointLine {
    pub(super) address: IpAddr,
    /// Names and numbers.
    pub(super) ports: String,
    pub(super) node: String,
    pub(super) condition: &'static str,
}

/// A destination that is kept for the connections that it has.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) what: DrainingDestination,
    pub(super) service: Option<(ObjectName, Box<str>)>,
}

impl Content {
    /// What is asked for.
    pub(super) fn of(engine: &Engine, ask: &Ask) -> Self {
        let search = Search::of(&ask.text);
        let mut found: Vec<&Service> = engine
            .services()
            .filter(|service| search.finds(service, engine))
            .collect();
        found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let most = if found.len() == 1 { LINES_ALONE } else { LINES };
        let from = ask.page.saturating_mul(PAGE);
        let page = found
            .iter()
            .skip(from)
            .take(PAGE)
            .map(|service| FoundService {
                name: service.name.clone(),
                lines: match ask.view {
                    View::Services => Lines::Servers(servers(engine, service, most)),
                    View::Endpoints => Lines::Endpoints(endpoints(engine, service, most)),
                },
            });
        let draining = engine.draining_destinations().map(|what| Draining {
            service: engine.holder(&what.server).map(|(service, port)| {
                (service.clone(), port_label(engine.service(service), port))
            }),
            what,
        });
        let layout = engine.config().layout;
        Self {
            layout: layout.as_str(),
            mode: layout.proxy_mode(),
            services: engine.services().count(),
            servers: engine.servers().len(),
            found: Part {
                all: found.len(),
                shown: page.collect(),
            },
            conflicts: Part::of(engine.conflicts(), OTHERS),
            draining: Part::of(draining, OTHERS),
        }
    }
}

fn servers(engine: &Engine, service: &Service, most: usize) -> Part<ServerLine> {
    let held = engine.held_by(&service.name);
    let line = |held: Held| ServerLine {
        port: port_label(Some(service), &held.port),
        server: held.server,
        endpoints: Part::of(held.endpoints.iter().map(ToString::to_string), 3),
    };
    Part {
        all: held.len(),
        shown: held.into_iter().take(most).map(line).collect(),
    }
}

fn endpoints(engine: &Engine, service: &Service, most: usize) -> Part<EndpointLine> {
    let slices = engine.slices_of(&service.name).iter();
    let all = slices.flat_map(|slice| slice.endpoints.iter().map(move |one| (slice, one)));
    let mut part = Part::of(all, most);
    let shown = std::mem::take(&mut part.shown).into_iter();
    let lines = shown.map(|(slice, one)| {
        let ports = slice.ports.iter().take(10).map(|port| match &*port.name {
            "" => format!("{}/{}", port.port, port.protocol),
            name => format!("{name} {}/{}", port.port, port.protocol),
        });
        EndpointLine {
            address: one.address,
            ports: ports.collect::<Vec<_>>().join(", "),
            node: one.node.as_deref().unwrap_or_default().to_owned(),
            condition: match (one.ready, one.serving, one.terminating) {
                (true, _, _) => "ready",
                (false, true, true) => "terminating, serving",
                (false, false, true) => "terminating",
                (false, _, false) => "not ready",
            },
        }
    });
    Part {
        all: part.all,
        shown: lines.collect(),
    }
}
