//! Why a Service is served, or not: the answer to one question about one node.
//!
//! ```text
//! cluster, host, config ─► translate ─► what should be ─┐
//!                                                       ├─► parts, paths, causes ─► Explanation ─► text
//!                        Observed ─► what is ───────────┘
//! ```
//!
//! [`explain()`] is a function of its arguments, like [`translate`](crate::translate()), whose claims it compares with
//! what was observed. What it finds are values: [`Cause`]s, [`Part`]s of the kernel's state and [`Step`]s of a packet's
//! way. The text of all of them is made in one place, by [`Explanation`]'s `Display`.
//!
//! ```
//! use proxier::explain::{Evidence, explain};
//! use proxier::cluster::{Cluster, Host};
//! use proxier::{Config, Kernel, MemoryKernel};
//!
//! let (cluster, host, config) = (Cluster::default(), Host::new("node-a"), Config::default());
//! let observed = MemoryKernel::new().observe()?;
//! let evidence = Evidence::new(&cluster, &host, &config, &observed);
//! let explanation = explain(&evidence, &"default/web".parse().unwrap());
//! assert!(!explanation.is_served());
//! assert!(explanation.to_string().starts_with("default/web is not a Service of the cluster"));
//! # Ok::<(), proxier::KernelError>(())
//! ```

mod answer;
mod cause;
mod compare;
mod diagnose;
mod display;
mod find;
mod input;
mod loopback;
mod masquerading;
mod path;
mod question;
mod range;
mod sentences;
mod view;
mod words;

use std::net::SocketAddr;

use ipvs_netlink::{DestinationId, VirtualServerId};

use crate::cluster::{Cluster, Host};
use crate::config::Config;
use crate::observed::Observed;

pub use answer::{
    EndpointAnswer, Explanation, Finding, Frontend, FrontendKind, OptionAnswer, Origin, Outcome,
    Part, PartState, Path, PortAnswer, Step,
};
pub use cause::{Cause, Nearest, NoEndpoint, NoLoopback, NotProxied};
pub use question::{Question, QuestionError, Target};

use self::view::View;

/// All that an answer is made of, besides the question.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The node.
    pub host: &'a Host,
    /// The configuration.
    pub config: &'a Config,
    /// What the node's kernel holds.
    pub observed: &'a Observed,
    /// What is known besides.
    pub facts: Facts,
}

/// What can be known besides the cluster and the kernel's state; all of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Why the API server does not answer, if it does not: the cluster is then as it was last known.
    pub api_away: Option<Box<str>>,
    /// Flows of UDP in connection tracking. They bypass IPVS's choice of a destination while they last.
    pub flows: Vec<Flow>,
}

/// A flow in connection tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Flow {
    /// Where it comes from.
    pub client: SocketAddr,
    /// Where it was sent to: the address, protocol and port that the client knows.
    pub to: VirtualServerId,
    /// Who answers: an endpoint, or the address itself where nothing translates it.
    pub answers: DestinationId,
}

impl Flow {
    /// A flow.
    #[must_use]
    pub const fn new(client: SocketAddr, to: VirtualServerId, answers: DestinationId) -> Self {
        Self {
            client,
            to,
            answers,
        }
    }
}

impl<'a> Evidence<'a> {
    /// Evidence without further facts.
    #[must_use]
    pub fn new(
        cluster: &'a Cluster,
        host: &'a Host,
        config: &'a Config,
        observed: &'a Observed,
    ) -> Self {
        Self {
            cluster,
            host,
            config,
            observed,
            facts: Facts::default(),
        }
    }

    /// The same with an API server that does not answer, for this reason.
    #[must_use]
    pub fn with_api_away(mut self, reason: impl Into<Box<str>>) -> Self {
        self.facts.api_away = Some(reason.into());
        self
    }

    /// The same with flows of UDP.
    #[must_use]
    pub fn with_flows(mut self, flows: Vec<Flow>) -> Self {
        self.facts.flows = flows;
        self
    }
}

impl Explanation {
    /// Whether everything that was asked for is served, with nothing wrong.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Answers a question about a node.
///
/// Pure and deterministic. It translates the whole cluster, so it costs as much as [`translate`](crate::translate()).
#[must_use]
pub fn explain(evidence: &Evidence<'_>, question: &Question) -> Explanation {
    let mut findings = Vec::new();
    if let Some(reason) = &evidence.facts.api_away {
        findings.push(Finding {
            port: None,
            at: None,
            cause: Cause::ApiAway(reason.clone()),
        });
        // Nothing can be said of Services that are not known.
        if evidence.cluster.services.is_empty() {
            return Explanation {
                question: question.clone(),
                layout: evidence.config.layout,
                findings,
                ports: Vec::new(),
                shared: Vec::new(),
            };
        }
    }
    let view = View::new(evidence, question.client);
    let (found, wrong) = find::ports(&view, &question.target);
    findings.extend(wrong);
    let shared = compare::shared(&view, &found);
    // Of causes of one kind, what concerns all Services comes first.
    diagnose::shared(&view, &found, &shared, &mut findings);
    let mut ports = Vec::new();
    for port in &found {
        ports.push(diagnose::port(&view, port, &shared, &mut findings));
    }
    findings.sort_by_key(|finding| finding.cause.rank());
    findings.dedup();
    Explanation {
        question: question.clone(),
        layout: evidence.config.layout,
        findings,
        ports,
        shared: shared.into_parts(),
    }
}
