//! Stories: what a node is like, and what happens to it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proxier::cluster::{Change, Cluster, Host, Node, ObjectName, ServiceOptions};
use proxier::{Config, Observed};

use crate::found::{self, Meddling};
use crate::strategies;

/// Something that happens to a node.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Change(Change),
    /// Nothing changes of a Service and a slice but what their annotations ask for.
    Annotate(Index, Option<Box<ServiceOptions>>, Option<u16>),
    Host(Box<Host>),
    Config(Box<Config>),
    /// The next plan's operations at these places fail.
    Fail(Vec<Index>),
    /// Connections of a destination.
    Connect(Index, u32),
    /// Somebody else changes the kernel, and it is observed.
    Meddle(Vec<Meddling>),
    /// It is observed, nothing having happened.
    Audit,
}

/// How it goes with a node.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(super) host: Host,
    pub(super) config: Config,
    pub(super) cluster: Cluster,
    pub(super) found: Observed,
    /// How many operations of new virtual servers a plan has.
    pub(super) limit: Option<usize>,
    /// Each with whether a plan is made and carried out after it.
    pub(super) events: Vec<(Event, bool)>,
}

fn event() -> impl Strategy<Value = Event> {
    let annotate = (
        any::<Index>(),
        strategies::options(),
        proptest::option::of(0..3u16),
    );
    let annotate = annotate.prop_map(|(at, options, weight)| Event::Annotate(at, options, weight));
    let change = prop_oneof![
        4 => strategies::any_service().prop_map(|service| Change::Service(Box::new(service))),
        6 => strategies::any_slice().prop_map(|slice| Change::Slice(Box::new(slice))),
        2 => (0..5u8).prop_map(|n| Change::ServiceGone(ObjectName::new("default", format!("s{n}")))),
        2 => (0..8u8).prop_map(|n| Change::SliceGone(ObjectName::new("default", format!("e{n}")))),
        1 => node().prop_map(|node| Change::Node(Box::new(node))),
        1 => Just(Change::NodeGone("node-a".into())),
        1 => vec(strategies::any_service(), 0..5).prop_map(Change::Services),
        1 => vec(strategies::any_slice(), 0..5).prop_map(Change::Slices),
        1 => vec(node(), 0..2).prop_map(Change::Nodes),
    ];
    prop_oneof![
        12 => change.prop_map(Event::Change),
        3 => annotate,
        1 => strategies::host().prop_map(|host| Event::Host(Box::new(host))),
        1 => strategies::config().prop_map(|config| Event::Config(Box::new(config))),
        3 => vec(any::<Index>(), 1..4).prop_map(Event::Fail),
        2 => (any::<Index>(), 0..3u32).prop_map(|(at, active)| Event::Connect(at, active)),
        2 => vec(found::meddling(), 1..4).prop_map(Event::Meddle),
        1 => Just(Event::Audit),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(here, zone, addressed)| {
        let mut node = Node::new(if here { "node-a" } else { "node-b" });
        node.zone = zone.then(|| "zone-b".into());
        node.addresses = addressed
            .then_some(if here { "192.168.10.10" } else { "203.0.113.2" })
            .map(|address| address.parse().unwrap())
            .into_iter()
            .collect();
        node
    })
}

pub(crate) fn story() -> impl Strategy<Value = Story> {
    (
        strategies::case(),
        proptest::option::of(1..4usize),
        vec((event(), proptest::bool::weighted(0.8)), 1..6),
    )
        .prop_map(|(case, limit, events)| Story {
            host: case.host,
            config: case.config,
            cluster: case.cluster,
            found: case.found,
            limit,
            events,
        })
}
