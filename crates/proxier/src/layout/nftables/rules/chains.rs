//! What each chain does.
//!
//! ```text
//!  prerouting -150 ─┬► errors ─────────────────────────────────────────┐
//!                   └► services ─┬► cluster-ip ────────────────────────┤
//!                      ▲         ├► external ──────────────────────────┼► make-local
//!  output     -150 ────┘         ├► external-local ─┬► local-policy ───┤
//!                                ├► node-port ──────┴──────────────────┤
//!                                └► ranges ─► range-policy ─┬──────────┤
//!                                      range-cluster-ip ◄───┤          │
//!                                      range-local      ◄───┴──────────┘
//!  input        97   the routing bit off, the mark of a Service's local endpoints on; then IPVS at 98 and 99
//!  postrouting  98   masquerade-address ─► chosen-address, if a Service asks for one
//!              100   masquerade
//!
//!  forward    -150 ─┬► segments ─► clamp
//!  segments     99 ─┘
//!  marks-off   101   all marks off
//!
//!  ping, ping-output -100   to an address of this node, if ping is answered
//!
//!  loopback       output -100 ─► loopback-endpoint, if node ports are served at loopback addresses
//!  loopback-guard input     0   others to loopback addresses, and node ports without endpoints
//! ```

use ipnetwork::IpNetwork;
use nftables_netlink::build::{Body, key};
use nftables_netlink::expression::{CmpOp, NatFlags, RejectKind};
use nftables_netlink::{Chain, Hook, HookNumber, Rule, Verdict, VerdictCode, priority};

use super::TableRules;
use super::path_mtu::opens_connection;
use crate::cluster::Family;
use crate::layout::LocalSource;
use crate::layout::nftables::{SetId, name, table};

/// IPVS takes answers at 98 and requests at 99 (`ip_vs_ops4` in `net/netfilter/ipvs/ip_vs_core.c`).
const BEFORE_IPVS: i32 = 97;
const BEFORE_MASQUERADE: i32 = priority::SRCNAT - 1;
const BEHIND_MASQUERADE: i32 = priority::SRCNAT + 1;

const SERVICES: &str = "services";
const ERRORS: &str = "errors";
const CLUSTER_IP: &str = "cluster-ip";
const EXTERNAL: &str = "external";
const EXTERNAL_LOCAL: &str = "external-local";
const NODE_PORT: &str = "node-port";
const LOCAL_POLICY: &str = "local-policy";
pub(super) const MAKE_LOCAL: &str = "make-local";
pub(super) const SEGMENTS: &str = "segments";
pub(super) const CLAMP: &str = "clamp";
const RANGES: &str = "ranges";
pub(super) const RANGE_POLICY: &str = "range-policy";
pub(super) const RANGE_CLUSTER_IP: &str = "range-cluster-ip";
pub(super) const RANGE_LOCAL: &str = "range-local";
const OWN_MARK: &str = "own-mark";
const OWN_MARK_NODE_PORT: &str = "own-mark-node-port";

/// `IPPROTO_ICMP` and `ICMP_PORT_UNREACH`; `IPPROTO_ICMPV6` and `ICMPV6_PORT_UNREACH`.
pub(super) const fn icmp(family: Family) -> (u8, u8) {
    match family {
        Family::V4 => (1, 3),
        Family::V6 => (58, 4),
    }
}

/// Those that Services have: TCP, UDP and SCTP.
pub(super) const PROTOCOLS: [u8; 3] = [6, 17, 132];

/// `NF_CT_STATE_BIT(IP_CT_ESTABLISHED)`.
pub(super) const CT_ESTABLISHED: u32 = 1 << 1;
/// `NF_CT_STATE_BIT(IP_CT_RELATED)`.
pub(super) const CT_RELATED: u32 = 1 << 2;
/// `NF_CT_STATE_BIT(IP_CT_NEW)`.
pub(super) const CT_NEW: u32 = 1 << 3;
/// `IP_CT_DIR_REPLY`.
const CT_REPLY: u8 = 1;

/// A chain with its rules.
pub(super) type FilledChain = (Chain, Vec<Rule>);

/// The chains, each with its rules. A chain comes after those that it leads to.
pub(super) fn all(rules: &TableRules) -> Vec<FilledChain> {
    let hook = |number, priority| Some(("filter", Hook::new(number, priority)));
    let chain = |name: &str, hook, bodies| rules.chain(name, hook, bodies);
    let masquerade = Hook::new(HookNumber::POSTROUTING, priority::SRCNAT);
    let mut all = vec![
        chain(MAKE_LOCAL, None, rules.make_local()),
        chain(LOCAL_POLICY, None, rules.local_policy()),
        chain(CLUSTER_IP, None, rules.cluster_ip()),
        chain(EXTERNAL, None, rules.external()),
        chain(EXTERNAL_LOCAL, None, rules.external_local()),
        chain(NODE_PORT, None, rules.node_port()),
        chain(RANGE_LOCAL, None, rules.range_local()),
        chain(RANGE_CLUSTER_IP, None, rules.range_cluster_ip()),
        chain(RANGE_POLICY, None, rules.range_policy()),
        chain(RANGES, None, rules.ranges()),
        chain(SERVICES, None, rules.services()),
        chain(ERRORS, None, rules.errors()),
        chain(OWN_MARK, None, rules.own_mark()),
        chain(OWN_MARK_NODE_PORT, None, rules.own_mark_of_node_port()),
        chain(CLAMP, None, vec![Body::new().clamp_segments()]),
        chain(SEGMENTS, None, rules.segments()),
        chain(
            "prerouting",
            hook(HookNumber::PREROUTING, priority::MANGLE),
            rules.prerouting(),
        ),
        // Before IPVS at -99 and -98, and before the nat hook.
        chain(
            "output",
            hook(HookNumber::OUTPUT, priority::MANGLE),
            rules.output(),
        ),
        chain("input", hook(HookNumber::INPUT, BEFORE_IPVS), rules.input()),
        chain(
            "forward",
            hook(HookNumber::FORWARD, priority::MANGLE),
            opens_connection(),
        ),
        chain(
            "before-masquerade",
            hook(HookNumber::POSTROUTING, BEFORE_MASQUERADE),
            opens_connection(),
        ),
        chain(
            "postrouting",
            Some(("nat", masquerade)),
            rules.postrouting(),
        ),
        chain(
            "marks-off",
            hook(HookNumber::POSTROUTING, BEHIND_MASQUERADE),
            rules.marks_off(),
        ),
    ];
    if let Some(address) = rules.ping {
        for (name, number) in [
            ("ping", HookNumber::PREROUTING),
            ("ping-output", HookNumber::OUTPUT),
        ] {
            let hook = Hook::new(number, priority::DSTNAT);
            all.push(chain(name, Some(("nat", hook)), rules.ping(address)));
        }
    }
    if !rules.loopback.is_empty() {
        all.extend(rules.loopback_chains());
    }
    if rules.masquerade_addresses {
        all.extend(rules.masquerade_address_chains());
    }
    all
}

pub(super) fn goto(body: Body, chain: &str) -> Body {
    body.goto(&name(chain))
}

pub(super) fn return_(body: Body) -> Body {
    body.verdict(Verdict::new(VerdictCode::RETURN))
}

/// Has come in. What the node itself sends came in on no link, and the rule ends there.
pub(super) fn came_in() -> Body {
    Body::new().is_not(key::iif(), 0_u32)
}

/// What answers is for no Service, though it may go to the address and port of one. What is not tracked does not
/// answer.
fn answers() -> Body {
    Body::new().is(key::ct_direction(), CT_REPLY).accept()
}

impl TableRules {
    /// A chain with these rules; if it has a hook, with the type `filter`, `nat` or the like.
    pub(super) fn chain(
        &self,
        chain: &str,
        hook: Option<(&str, Hook)>,
        bodies: Vec<Body>,
    ) -> FilledChain {
        let rule = |body| Rule::new(self.family, table(), name(chain), body);
        let plain = Chain::new(self.family, table(), name(chain));
        let chain = match hook {
            None => plain,
            Some((kind, hook)) => plain.base(name(kind), hook, VerdictCode::ACCEPT),
        };
        (chain, bodies.into_iter().map(rule).collect())
    }

    /// What this node's pods send, where that can be told.
    pub(super) fn of_pods(&self) -> Option<Body> {
        Some(match self.local_source.as_ref()? {
            LocalSource::Network(network) => self.within(*network),
            LocalSource::Interface(link) => match link.strip_suffix('+') {
                // The first bytes of the name.
                Some(prefix) => Body::new().is(key::iifname(), prefix.as_bytes()),
                None => Body::new().is(key::iifname(), &**link),
            },
        })
    }

    fn within(&self, network: IpNetwork) -> Body {
        if network.prefix() == 0 {
            return Body::new();
        }
        Body::new().masked(self.source(), network.mask(), CmpOp::EQ, network.network())
    }

    fn mark_masquerade(&self) -> Body {
        Body::new().mark_or(self.masquerade_mark)
    }

    fn prerouting(&self) -> Vec<Body> {
        let error = Body::new()
            .protocol(icmp(self.family).0)
            .any_bit(key::ct_state(), CT_RELATED);
        vec![
            answers(),
            goto(error, ERRORS),
            Body::new().jump(&name(SERVICES)),
            self.refuse(),
        ]
    }

    fn output(&self) -> Vec<Body> {
        vec![answers(), Body::new().jump(&name(SERVICES)), self.refuse()]
    }

    fn services(&self) -> Vec<Body> {
        vec![
            self.of(SetId::ClusterIps).jump(&name(CLUSTER_IP)),
            goto(self.of(SetId::External), EXTERNAL),
            goto(self.of(SetId::ExternalLocal), EXTERNAL_LOCAL),
            // Ports of their own come before ranges.
            self.of(SetId::NodeAddresses).jump(&name(NODE_PORT)),
            goto(self.of(SetId::RangeAddresses), RANGES),
        ]
    }

    fn cluster_ip(&self) -> Vec<Body> {
        let mut bodies = Vec::new();
        if self.ping.is_some() {
            bodies.push(self.echo_request().accept());
        }
        bodies.extend([
            self.of(SetId::Dropped).drop(),
            self.without_endpoints(),
            return_(self.outside(Body::new(), SetId::Services)),
        ]);
        if !self.masquerade_all {
            bodies.push(self.spare(SetId::Masqueraded));
        }
        bodies.extend(self.masquerade_unless_kept(SetId::SourceKept));
        bodies
    }

    /// What is not masqueraded on its way to a cluster IP, if that is in no set of those that always are. Where pods cannot
    /// be told from others, what the node itself sends can.
    pub(super) fn spare(&self, always: SetId) -> Body {
        let spared = self.of_pods().unwrap_or_else(came_in);
        goto(self.outside(spared, always), MAKE_LOCAL)
    }

    /// What comes in keeps its source, if a set says so. The node itself may have an address that endpoints cannot answer.
    pub(super) fn keep(&self, kept: SetId) -> Body {
        goto(self.in_set(came_in(), kept), MAKE_LOCAL)
    }

    fn masquerade_unless_kept(&self, kept: SetId) -> [Body; 3] {
        let keep = self.keep(kept);
        [keep, self.mark_masquerade(), goto(Body::new(), MAKE_LOCAL)]
    }

    /// Clients that the source ranges leave out are dropped.
    fn firewall(&self) -> Body {
        self.outside(self.of(SetId::Firewalled), SetId::SourceRanges)
            .drop()
    }

    fn external(&self) -> Vec<Body> {
        let mut bodies = vec![self.firewall(), self.without_endpoints()];
        bodies.extend(self.masquerade_unless_kept(SetId::SourceKept));
        bodies
    }

    fn external_local(&self) -> Vec<Body> {
        vec![
            self.firewall(),
            self.without_endpoints(),
            goto(Body::new(), LOCAL_POLICY),
        ]
    }

    fn node_port(&self) -> Vec<Body> {
        let mut bodies = vec![
            goto(self.of(SetId::NodePortsLocal), LOCAL_POLICY),
            return_(self.outside(Body::new(), SetId::NodePorts)),
        ];
        bodies.extend(self.masquerade_unless_kept(SetId::NodePortsSourceKept));
        bodies
    }

    /// Pods keep their address, since every endpoint can answer them, and so does the outside, which is sent to
    /// endpoints of this node, or that answer it themselves. The node itself may have an address that other nodes cannot
    /// answer. What IPVS routes to an endpoint without translating it passes `output` too, with the mark of its virtual server.
    fn local_policy(&self) -> Vec<Body> {
        let routed = Body::new().any_bit(key::mark(), self.service_marks);
        vec![
            goto(came_in(), MAKE_LOCAL),
            routed.accept(),
            self.mark_masquerade(),
            goto(Body::new(), MAKE_LOCAL),
        ]
    }

    /// IPVS takes what the node itself sends wherever it is routed.
    fn make_local(&self) -> Vec<Body> {
        vec![came_in().mark_or(self.route_mark), Body::new().accept()]
    }

    /// The routing bit must be off before IPVS: routes to endpoints are looked up with the packet's mark. The mark of
    /// local endpoints is set whole, because IPVS compares it so.
    fn input(&self) -> Vec<Body> {
        let unmarked = Body::new().masked(key::mark(), self.route_mark, CmpOp::EQ, 0_u32);
        let mut bodies = vec![unmarked.accept(), Body::new().mark_and(!self.route_mark)];
        bodies.extend(self.of_pods().map(Body::accept));
        bodies.extend([
            goto(self.of(SetId::ExternalLocal), OWN_MARK),
            goto(self.of(SetId::NodeAddresses), OWN_MARK_NODE_PORT),
        ]);
        bodies
    }

    pub(super) fn reject(&self, body: Body) -> Body {
        let (_, code) = icmp(self.family);
        body.reject(RejectKind::ICMP, code)
    }

    /// Ports of a cluster IP that no Service has, and ping where it is not answered. Not where packets are forwarded: there the kernel may send a
    /// redirect first, and then its limit for ICMP holds the refusal back.
    fn refuse(&self) -> Body {
        self.reject(self.of(SetId::ClusterIps))
    }

    /// Connections that are open go on to endpoints that drain.
    fn without_endpoints(&self) -> Body {
        let new = self.of(SetId::Refused).any_bit(key::ct_state(), CT_NEW);
        self.reject(new)
    }

    fn postrouting(&self) -> Vec<Body> {
        let [hairpin, marked, of_range] = self.masqueraded();
        vec![
            hairpin.masquerade(NatFlags::empty()),
            marked.masquerade(NatFlags::FULLY_RANDOM),
            of_range.masquerade(NatFlags::FULLY_RANDOM),
        ]
    }

    /// What is masqueraded: what returns to its sender, and what has the mark, its own or, in ranges, the connection's.
    pub(super) fn masqueraded(&self) -> [Body; 3] {
        let marked = Body::new().any_bit(key::mark(), self.masquerade_mark);
        [self.of(SetId::Hairpin), marked, self.of_range()]
    }

    /// What leaves in a tunnel passes the stack again, and must not be masqueraded there.
    fn marks_off(&self) -> Vec<Body> {
        let ours = self.route_mark | self.masquerade_mark | self.service_marks;
        vec![Body::new().any_bit(key::mark(), ours).mark_and(!ours)]
    }
}
